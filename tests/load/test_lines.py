"""Rows as lines: LOAD DATA and INSERT store the same, and what LOAD DATA would bend or skip is an error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from etl.db.engine import write_transaction
from etl.errors import DuplicateRow, StorageError
from etl.load import bulk, bulk_mysql
from etl.load.upsert import JobWriter, Seen
from etl.records import Counts
from etl.schema.tables import rejected_items, unknown_fields, video_jobs
from tests.load.test_jobs import _NOW, _TEXTS, _job, run
from tests.support.databases import Server

__all__ = ["run"]
pytestmark = pytest.mark.parametrize("database", ["mariadb"], indirect=True)

_COLUMNS = ("source_id", "path", "type", "first_seen_at", "last_seen_at", "count")
_AT = "2026-01-02 03:04:05.000006"
_STORABLE = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=255)


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """LOAD DATA for one row already; what became of each."""
    monkeypatch.setattr(bulk_mysql, "FEW", 1)
    done: list[bool] = []
    load = bulk_mysql.load_data

    def listening(*arguments: Any) -> bool:
        done.append(load(*arguments))
        return done[-1]

    monkeypatch.setattr(bulk_mysql, "load_data", listening)
    return done


def _reasons(conn: sa.Connection) -> list[tuple[Any, ...]]:
    query = sa.select(rejected_items.c.reason, rejected_items.c.cursor, rejected_items.c.position)
    return [tuple(row) for row in conn.execute(query.order_by(rejected_items.c.id))]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(_STORABLE, st.none() | _STORABLE, st.none() | st.integers(0, 9)), min_size=1))
@example([("NULL", None, None), ("\\N", "\\", 1), ('"', '","', 0), ("\n", "a\nb\r\n\t\x1a\b\f", 2)])
@example(
    [(",null,", "null", None), ("true", 'x",1,"', 1), ("\x7f\x01\x1f", "\u2028é😀", 0), ("'", "%s%(a)s", 1)]
)
def test_every_text_arrives_as_it_is(
    engine: sa.Engine, run: int, loads: list[bool], rows: list[tuple[str, str | None, int | None]]
) -> None:
    columns = (
        "source_id", "run_id", "rejected_at", "last_seen_at", "payload_hash", "reason", "cursor", "position"
    )  # fmt: skip
    with write_transaction(engine) as conn:
        conn.execute(sa.delete(rejected_items))
        many = [(1, run, _AT, _AT, f"{n}", *row) for n, row in enumerate(rows)]
        bulk.insert_rows(conn, rejected_items, columns, many)
        assert _reasons(conn) == rows
    assert loads[-1]


def test_jobs_are_loaded_and_the_same_as_inserted(engine: sa.Engine, run: int, loads: list[bool]) -> None:
    texts = list(_TEXTS.values())
    ids = [f"{n} {text}" for n, text in enumerate(texts)]
    jobs = [_job(key, text, extra='{"a":"\\"\\\\"}') for key, text in zip(ids, texts, strict=True)]
    with write_transaction(engine) as conn:
        writer = JobWriter(conn, 1, run)
        writer.write([Seen(job, n, _NOW, None) for n, job in enumerate(jobs)], Counts())
        stored = conn.execute(
            sa.select(video_jobs.c.job_id, video_jobs.c.prompt, video_jobs.c.extra, video_jobs.c.settled)
            .order_by(video_jobs.c.list_position)
        ).all()  # fmt: skip
    assert stored == [(job.job_id, job.prompt, job.extra, job.settled) for job in jobs]
    assert loads[0]


def test_a_job_that_is_there_already_is_an_error_not_skipped(
    engine: sa.Engine, run: int, loads: list[bool]
) -> None:
    def write(*ids: str) -> None:
        with write_transaction(engine) as conn:
            seen = [Seen(_job(key, None), n, _NOW, None) for n, key in enumerate(ids)]
            JobWriter(conn, 1, run).write(seen, Counts())

    write("a", "b")
    with pytest.raises(DuplicateRow):
        write("c", "b", "d")
    assert loads == [True, False]
    with engine.connect() as conn:
        assert conn.scalars(sa.select(video_jobs.c.job_id)).all() == ["a", "b"]


def test_what_would_be_cut_short_is_an_error(engine: sa.Engine, run: int, loads: list[bool]) -> None:
    rows = [(1, "path", "type", _AT, _AT, 1), (1, "longer", "x" * 17, _AT, _AT, 1)]
    with pytest.raises(StorageError), write_transaction(engine) as conn:
        bulk.insert_rows(conn, unknown_fields, _COLUMNS, rows)
    assert loads == [False]
    with engine.connect() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(unknown_fields)) == 0


@pytest.fixture
def refusing(mariadb: Server) -> Iterator[None]:
    mariadb.execute("SET GLOBAL local_infile = OFF")
    yield
    mariadb.execute("SET GLOBAL local_infile = ON")


def test_where_the_server_refuses_rows_are_inserted(
    engine: sa.Engine, run: int, loads: list[bool], refusing: None
) -> None:
    with write_transaction(engine) as conn:
        for number in range(2):
            bulk.insert_rows(conn, unknown_fields, _COLUMNS, [(1, f"path {number}", "type", _AT, _AT, 1)])
        assert conn.scalar(sa.select(sa.func.count()).select_from(unknown_fields)) == 2
    assert loads == [False, False]


def test_a_server_that_refuses_is_asked_once_per_connection(
    engine: sa.Engine, run: int, loads: list[bool], refusing: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _x, text, *_: asked.append(text))
    with write_transaction(engine) as conn:
        for number in range(3):
            bulk.insert_rows(conn, unknown_fields, _COLUMNS, [(1, f"path {number}", "type", _AT, _AT, 1)])
    assert [text for text in asked if "SAVEPOINT" in text] == [
        "SAVEPOINT before_load",
        "ROLLBACK TO SAVEPOINT before_load",
    ]


def test_no_statement_sends_a_file(engine: sa.Engine, run: int, tmp_path: Any) -> None:
    """A server may ask for any file in answer to any statement."""
    secret = tmp_path / "secret"
    secret.write_text("1,path,type\n")
    with engine.connect() as conn:
        raw: Any = conn.connection.driver_connection
        with pytest.raises(RuntimeError, match="LOAD_LOCAL"):
            raw.cursor().execute(f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE unknown_fields")
        conn.invalidate()
    with engine.connect() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(unknown_fields)) == 0
