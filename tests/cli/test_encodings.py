"""Output where the system's encoding is not UTF-8: programs that read it want every character."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.simulator import World
from tests.support.command import PROGRAM, ROOT
from tests.support.rig import rig

MODEL = "sora-2-\u6771-\U0001f3ac"


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    url = f"sqlite:///{tmp_path_factory.mktemp('encodings') / 'x.db'}"
    world = World(seed=3, jobs=3, rate=0)
    moment = int(world.now())
    world.add(object="video", model=MODEL, status="completed", created_at=moment, seconds="8", prompt=MODEL)
    with rig(world, url) as r:
        r.ok()
    yield url


@pytest.mark.parametrize("encoding", ["cp1252", "ascii", "utf-8"])
@pytest.mark.parametrize("form", ["csv", "json", "markdown", "table"])
def test_every_character_arrives(mirrored: str, form: str, encoding: str, tmp_path: Path) -> None:
    environ = {"PATH": "", "PYTHONPATH": str(ROOT), "DATABASE_URL": mirrored, "PYTHONIOENCODING": encoding}
    question = "SELECT model FROM video_jobs WHERE model LIKE 'sora-2-%' AND length(model) < 12"
    done = subprocess.run(
        [*PROGRAM, "sql", "--format", form, question],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    text = done.stdout.decode("utf-8")
    if form == "json":
        text = json.dumps(json.loads(text), ensure_ascii=False)
    assert MODEL in text
