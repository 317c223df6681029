"""SQLite's log reaches the file while a run still writes."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.db import checkpointer
from etl.db.engine import make_engine, write_transaction
from tests.support.running import until

ROWS = 2000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "50% of it.db"


def fill(engine: sa.Engine) -> None:
    with write_transaction(engine) as conn:
        conn.exec_driver_sql("CREATE TABLE IF NOT EXISTS numbers (n, text)")
        conn.exec_driver_sql("INSERT INTO numbers VALUES (?, ?)", [(n, "x" * 1000) for n in range(ROWS)])


def test_what_is_written_is_copied_beside_the_work(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointer, "_PAUSE", 0.001)
    engine = make_engine(f"sqlite:///{file}")
    fill(engine)
    assert file.stat().st_size < 100_000, "by itself SQLite waits for a longer log"
    with checkpointer.log_copied(engine):
        until(lambda: file.stat().st_size > ROWS * 1000, "the first copy")
        fill(engine)
        until(lambda: file.stat().st_size > 2 * ROWS * 1000, "the second")
    engine.dispose()
    with sqlite3.connect(file) as connection:
        assert connection.execute("SELECT count(*) FROM numbers").fetchone() == (2 * ROWS,)


def test_a_short_block_never_comes_to_it(file: Path) -> None:
    engine = make_engine(f"sqlite:///{file}")
    with checkpointer.log_copied(engine):
        fill(engine)
    assert file.stat().st_size < 100_000
    engine.dispose()


def test_a_file_that_is_gone_is_not_made_anew(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpointer, "_PAUSE", 0)
    checkpointer._copy_log(f"{file.as_uri()}?mode=rw", threading.Event())
    assert not file.exists()
