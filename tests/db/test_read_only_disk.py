"""A mirror on a disk that nobody may write: a backup, or a folder mounted read-only into a container."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.db.engine import make_engine, write_transaction
from etl.errors import DatabaseRefused
from etl.schema.tables import sources
from etl.simulator import World
from tests.conftest import unavailable
from tests.support.command import Command
from tests.support.rig import rig


@pytest.fixture
def mounted(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own; `remount` makes it read-only."""
    folder = tmp_path / "disk"
    folder.mkdir()
    made = subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(folder)], capture_output=True, check=False)
    if made.returncode:
        unavailable("only root, with the right to mount, can have a read-only disk")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_it_is_read_and_refuses_to_be_written(mounted: Path, tmp_path: Path) -> None:
    made = tmp_path / "made.db"
    with rig(World(seed=3, jobs=30, rate=0), f"sqlite:///{made}") as r:
        r.ok()
    with closing(sqlite3.connect(made)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(made, mounted / "x.db")
    subprocess.run(["mount", "-o", "remount,ro", str(mounted)], check=True)
    url = f"sqlite:///{mounted}/x.db"
    command = Command(tmp_path, DATABASE_URL=url)
    count = "SELECT count(*) FROM video_jobs"
    for line in (("status",), ("report", "totals", "--since", "9000d"), ("sql", count)):
        done = command(*line)
        assert done.code == 0, done.all
    engine = make_engine(url)
    with pytest.raises(DatabaseRefused), write_transaction(engine) as connection:
        connection.execute(sa.insert(sources).values(name="x", base_url="u"))
    engine.dispose()
