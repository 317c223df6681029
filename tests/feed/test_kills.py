"""`kill -9` anywhere in a delivery: the next one ends with every row, each once."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.feed_history import Writer, add_source
from tests.support.reading_back import assert_equal, destination

ROOT = Path(__file__).parents[2]
KILLS = {"filesystem": 8, "duckdb": 5, "delta": 4, "iceberg": 4}


def feeder(url: str, kind: str, folder: Path, last: int, *within: str) -> subprocess.CompletedProcess[str]:
    place = destination(kind, folder).url
    assert place is not None
    arguments = [sys.executable, "-m", "tests.feed.feeder", url, kind, place.reveal(), str(last), *within]
    return subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", KILLS)
@pytest.mark.slow
def test_killed_anywhere(engine, engine_url, tmp_path, kind):
    kills = KILLS[kind]
    rng = random.Random(f"{kind}-7")
    writers = [Writer(engine, add_source(engine, name), seed) for seed, name in enumerate("ab")]
    for writer in writers:
        writer.step(new=60, changes=10)
    first = feeder(engine_url, kind, tmp_path, 0)
    assert first.returncode == 0, first.stderr
    killed = 0
    for _ in range(kills):
        for writer in writers:
            writer.step(new=30, changes=25)
        done = feeder(engine_url, kind, tmp_path, rng.randint(1, int(first.stdout)))
        assert done.returncode in (0, -signal.SIGKILL), done.stderr
        killed += done.returncode != 0
    assert killed >= kills // 2
    assert feeder(engine_url, kind, tmp_path, 0).returncode == 0
    assert_equal(engine, kind, tmp_path)
