"""What others reported of tools like this one, tried on the command as it is used."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.db.engine import make_engine
from etl.simulator import World
from etl.simulator.server import Simulator
from tests.support.command import Command
from tests.support.rig import TOKEN


def configure(folder: Path, sim: Simulator, name: str = "a") -> Command:
    (folder / "bifrost-etl.yaml").write_text(
        "database: {url: 'sqlite:///x.db'}\n"
        f"sources:\n  - {{name: {name}, base_url: '{sim.base_url}', provider: openai, api_key: {TOKEN}}}\n"
    )
    return Command(folder)


def ask(folder: Path, question: str) -> list[tuple[object, ...]]:
    engine = make_engine(f"sqlite:///{folder / 'x.db'}")
    with engine.connect() as connection:
        rows = [tuple(row) for row in connection.execute(sa.text(question))]
    engine.dispose()
    return rows


@pytest.mark.slow
def test_jobs_of_cron_that_overlap(tmp_path: Path) -> None:
    """Four processes at once, syncs and reconciles: nothing twice, nothing unlisted."""
    with Simulator(World(seed=4, jobs=1500, rate=0), token=TOKEN, latency=0.05) as sim:
        command = configure(tmp_path, sim)
        for verbs in (("sync",) * 4, ("reconcile", "reconcile", "sync", "reconcile")):
            threads = [threading.Thread(target=command, args=(verb,)) for verb in verbs]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    counts = "SELECT count(*), count(DISTINCT job_id), count(unlisted_at) FROM video_jobs"
    assert ask(tmp_path, counts) == [(1500, 1500, 0)]
    assert ask(tmp_path, "SELECT count(*) FROM video_job_versions") == [(1500,)]


def test_a_source_with_a_better_name_counts_once(tmp_path: Path) -> None:
    """Gateway, provider and key are what a source is; a second name of it doubles no figure."""
    with Simulator(World(seed=4, jobs=60, rate=0), token=TOKEN) as sim:
        assert configure(tmp_path, sim)("sync").code == 0
        command = configure(tmp_path, sim, "openai-main")
        assert command("sync").code == 0
        done = command("report", "totals", "--since", "9000d", "--format", "json")
    [table] = done.json["tables"].values()
    assert table["rows"][0]["jobs"] == 60


def test_no_home_and_a_read_only_root(tmp_path: Path) -> None:
    """As a hardened container runs it: only the mirror's folder and a temporary one may be written."""
    with Simulator(World(seed=4, jobs=20, rate=0), token=TOKEN) as sim:
        command = configure(tmp_path, sim)
        done = command("sync", HOME="/proc/nohome", TMPDIR=str(tmp_path))
        assert done.code == 0, done.all
    assert ask(tmp_path, "SELECT count(*) FROM video_jobs") == [(20,)]
