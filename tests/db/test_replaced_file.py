"""The SQLite file is deleted, or replaced by a backup, under a process that keeps it open: what that process
writes from then on must not go where nobody reads it."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from etl.simulator import World
from tests.support.rig import Rig, rig


@pytest.fixture
def r(tmp_path: Path) -> Iterator[Rig]:
    with rig(World(seed=401, jobs=40, rate=0), f"sqlite:///{tmp_path / 'etl.db'}") as made:
        made.ok()
        yield made


def add_jobs(r: Rig, count: int) -> None:
    for _ in range(count):
        r.world.advance(30)
        r.world.add({"prompt": "late", "status": "completed"})


def back_up(folder: Path) -> Path:
    copy = folder / "backup.db"
    with closing(sqlite3.connect(folder / "etl.db")) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)
    return copy


def remove(folder: Path, pattern: str) -> None:
    for file in folder.glob(pattern):
        file.unlink()


def count_jobs(folder: Path) -> int:
    with closing(sqlite3.connect(folder / "etl.db")) as connection:
        return int(connection.execute("SELECT count(*) FROM video_jobs").fetchone()[0])


@pytest.mark.parametrize("removed", ["etl.db*", "etl.db-*"])
def test_a_backup_put_in_its_place_is_what_is_written_to(r: Rig, tmp_path: Path, removed: str) -> None:
    """`cp backup.db etl.db` keeps the file and writes into it; only the log beside it is another one."""
    copy = back_up(tmp_path)
    add_jobs(r, 5)
    r.ok()
    remove(tmp_path, removed)
    shutil.copy(copy, tmp_path / "etl.db")
    add_jobs(r, 5)
    r.ok()
    assert count_jobs(tmp_path) == 50
    assert len(r.jobs()) == 50
    r.assert_accounts()


def test_a_deleted_file_is_no_success(r: Rig, tmp_path: Path) -> None:
    remove(tmp_path, "etl.db*")
    add_jobs(r, 5)
    result = r.sync()
    assert result.error is not None or count_jobs(tmp_path) == 45
