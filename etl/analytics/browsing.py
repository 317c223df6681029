"""What the dashboard looks through: jobs, page by page, on an engine that cannot write."""

from __future__ import annotations

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.analytics.columns import Column, Scope
from etl.analytics.dialects import Dialect, dialect
from etl.analytics.facts import COST_STATE, JOB_FACTS, cost_of_job, failure_class, price_id, price_of_job
from etl.analytics.queries import Filter, Table, value
from etl.db import schema
from etl.db.engine import is_sqlite, make_engine, storage_errors
from etl.db.types import UtcDateTime

#: Statements of SQLite's machine between two looks at the clock.
_STEPS = 20_000
_CHUNK = 2000


def reading_engine(url: str, timeout: float) -> sa.Engine:
    """An engine whose connections can only read, each question for at most `timeout` seconds."""
    engine = make_engine(url, pool_size=8)
    if is_sqlite(engine):
        sa.event.listen(engine, "checkout", _sqlite_reads(timeout))
    else:
        sa.event.listen(engine, "connect", _server_reads(timeout, engine))
    return engine


def _sqlite_reads(timeout: float) -> Any:
    def take(connection: Any, _record: Any, _proxy: Any) -> None:
        end = time.monotonic() + timeout
        connection.execute("PRAGMA query_only = ON")
        connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)

    return take


def _server_reads(timeout: float, engine: sa.Engine) -> Any:
    def connect(connection: Any, _record: Any) -> None:
        milliseconds = round(timeout * 1000)
        with connection.cursor() as cursor:
            if engine.dialect.name == "postgresql":
                cursor.execute("SET default_transaction_read_only = on")
                cursor.execute(f"SET statement_timeout = {milliseconds}")
            else:
                limit = f"max_execution_time = {milliseconds}"
                if engine.dialect.name == "mariadb":
                    limit = f"max_statement_time = {timeout:g}"
                cursor.execute("SET SESSION TRANSACTION READ ONLY")
                cursor.execute(f"SET SESSION {limit}")
        connection.commit()

    return connect


def exists(engine: sa.Engine) -> bool:
    """Whether the database has our tables. Raises SchemaMismatch, StorageError."""
    if is_sqlite(engine) and not Path(str(engine.url.database)).exists():
        return False
    if schema.current(engine) is None:
        return False
    schema.check(engine)
    return True


# --- jobs --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Choice:
    """Which jobs are listed: those of `jobs`, and of these the failed ones of a `failure` class or `code`."""

    jobs: Filter
    failure: str = ""
    code: str = ""


def _known(*names: str) -> tuple[Column, ...]:
    known = {column.name: column for column in JOB_FACTS.columns}
    return tuple(known[name] for name in names)


_JOBS = (
    *_known(
        "source",
        "job_id",
        "provider",
        "model",
        "status",
        "prompt",
        "size",
        "seconds",
        "created_at",
        "completed_at",
    ),
    *_known(
        "expires_at",
        "total_seconds",
        "cost",
        "currency",
        "cost_state",
        "error_code",
        "error_message",
        "remixed_from_job_id",
    ),
    *_known("versions", "is_unlisted"),
)
_NEWEST = "j.created_at DESC, j.source_id, j.job_id"


def count_jobs(engine: sa.Engine, choice: Choice) -> int:
    """How many jobs are chosen."""
    with storage_errors(), engine.connect() as conn:
        where, values = _where(choice)
        text = f"SELECT COUNT(*) FROM video_jobs j WHERE {where}"
        return int(conn.scalar(bound(text, values)) or 0)


def list_jobs(engine: sa.Engine, choice: Choice, offset: int, limit: int) -> Table:
    """`limit` of the chosen jobs, newest first, beginning with number `offset`."""
    with storage_errors(), engine.connect() as conn:
        statement = _listing(conn, choice, f"LIMIT {int(limit)} OFFSET {int(offset)}")
        return _jobs(list(conn.execute(statement)))


def every_job(engine: sa.Engine, choice: Choice) -> Iterator[Table]:
    """All chosen jobs, newest first, a few thousand at a time; at least one table. May take its time."""
    with storage_errors(), engine.connect().execution_options(yield_per=_CHUNK) as conn:
        _unhurried(conn)
        try:
            found = False
            for rows in conn.execute(_listing(conn, choice, None)).partitions():
                found = True
                yield _jobs(rows)
            if not found:
                yield _jobs([])
        finally:
            conn.invalidate()  # the time limit is back with the next connection


def _unhurried(conn: sa.Connection) -> None:
    if conn.dialect.name == "sqlite":
        raw: Any = conn.connection.driver_connection
        raw.set_progress_handler(None, 0)
    elif conn.dialect.name == "postgresql":
        conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
    else:
        name = "max_statement_time" if conn.dialect.name == "mariadb" else "max_execution_time"
        conn.exec_driver_sql(f"SET SESSION {name} = 0")


def _jobs(rows: Any) -> Table:
    return as_table("jobs", "Jobs, newest first", _JOBS, rows)


def _listing(conn: sa.Connection, choice: Choice, part: str | None) -> sa.TextClause:
    """Rows are chosen and cut first: only those shown are priced. All of them are priced by groups."""
    d = dialect(conn.dialect.name)
    where, values = _where(choice)
    prices = price_of_job(d) if part is not None else _grouped_prices(d, where)
    text = f"""
SELECT s.name AS source, j.job_id, j.provider, j.model, j.status, j.prompt, j.size, j.seconds, j.created_at,
  j.completed_at, j.expires_at, {d.seconds("j.created_at", "j.completed_at")} AS total_seconds,
  {cost_of_job(d)} AS cost, p.currency, {COST_STATE} AS cost_state, j.error_code, j.error_message,
  j.remixed_from_job_id, j.version AS versions, (j.unlisted_at IS NOT NULL) AS is_unlisted
FROM (SELECT * FROM video_jobs j WHERE {where} ORDER BY {_NEWEST} {part or ""}) j
JOIN sources s ON s.id = j.source_id
{prices}
ORDER BY {_NEWEST}"""
    return bound(text, values)


def _grouped_prices(d: Dialect, where: str) -> str:
    """A join that gives job j its price p, looked up once for all jobs that must have the same."""
    names = ("provider", "model", "size", "width", "height")
    day = d.day("j.created_at")
    key = d.joined(
        *(part for name in names for part in (f"COALESCE({_text(d, name)}, '-')", "'|'")), _text(d, day)
    )
    groups = f"""
  SELECT {key} AS price_key, j.provider, j.model, j.size, j.width, j.height, {day} AS utc_day
  FROM video_jobs j WHERE j.created_at IS NOT NULL AND {where}
  GROUP BY 1, j.provider, j.model, j.size, j.width, j.height, 7"""
    return (
        f"LEFT JOIN (SELECT g.price_key, {price_id(d, 'g', 'g.utc_day')} AS price_id FROM ({groups}) g) q"
        f" ON q.price_key = {key} LEFT JOIN prices p ON p.id = q.price_id"
    )


def _text(d: Dialect, name: str) -> str:
    column = name if "(" in name else f"j.{name}"
    return f"CAST({column} AS {'CHAR' if d.family == 'mysql' else 'TEXT'})"


def _where(choice: Choice) -> tuple[str, dict[str, Any]]:
    jobs = choice.jobs
    parts: dict[str, tuple[str, Any]] = {
        "since": ("j.created_at >= :since", jobs.since),
        "until": ("j.created_at < :until", jobs.until),
        "sources": ("j.source_id IN (SELECT id FROM sources WHERE name IN :sources)", list(jobs.sources)),
        "models": ("j.model IN :models", list(jobs.models)),
        "statuses": ("j.status IN :statuses", list(jobs.statuses)),
        "failure": (f"j.status = 'failed' AND {failure_class()} = :failure", choice.failure),
        "code": ("j.error_code = :code", choice.code),
    }
    kept = {name: (sql, given) for name, (sql, given) in parts.items() if given}
    return " AND ".join(["1 = 1", *(sql for sql, _ in kept.values())]), {n: g for n, (_, g) in kept.items()}


def bound(text: str, values: dict[str, Any]) -> sa.TextClause:
    moments = ("since", "until")
    return sa.text(text).bindparams(
        *(
            sa.bindparam(name, given, type_=UtcDateTime())
            if name in moments
            else sa.bindparam(name, given, expanding=isinstance(given, list))
            for name, given in values.items()
        )
    )


def as_table(name: str, title: str, columns: tuple[Column, ...], rows: Any) -> Table:
    read = (tuple(_value(column, item) for column, item in zip(columns, row, strict=True)) for row in rows)
    return Table(name, title, columns, tuple(read))


def _value(column: Column, item: Any) -> Any:
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item).decode("utf-8", "replace")
    return value(column.kind, item)


def latencies(engine: sa.Engine, chosen: Filter) -> dict[int, float]:
    """Percentiles 50, 90, 95, 99 of the seconds from creation to completion, by nearest rank; or nothing."""
    with storage_errors(), engine.connect() as conn:
        where, values = _where(Choice(chosen))
        total = dialect(conn.dialect.name).seconds("j.created_at", "j.completed_at")
        text = f"""
SELECT {total} AS took, COUNT(*) AS jobs FROM video_jobs j
WHERE j.status = 'completed' AND j.completed_at IS NOT NULL AND j.created_at IS NOT NULL AND {where}
GROUP BY 1 ORDER BY 1"""
        rows = [(float(took), int(jobs)) for took, jobs in conn.execute(bound(text, values))]
    whole, found, until = sum(jobs for _, jobs in rows), dict[int, float](), 0
    for took, jobs in rows:
        until += jobs
        for percent in (50, 90, 95, 99):
            if until * 100 >= whole * percent:
                found.setdefault(percent, took)
    return found


def facts_of(engine: sa.Engine, source: str, job_id: str) -> dict[str, Any]:
    """The job's row of job_facts; empty when it is not there."""
    with storage_errors(), engine.connect() as conn:
        d = dialect(conn.dialect.name)
        one = "j.job_id = :job AND j.source_id = (SELECT id FROM sources WHERE name = :source)"
        text = JOB_FACTS.sql(d, Scope(one, d.day))
        row = conn.execute(bound(text, {"job": job_id, "source": source})).first()
    if row is None:
        return {}
    return {c.name: value(c.kind, item) for c, item in zip(JOB_FACTS.columns, row, strict=True)}
