"""The list of jobs, page by page or whole: those of a range, and of these the ones behind some number."""

from __future__ import annotations

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Literal

import sqlalchemy as sa

from etl.analytics.filters import Filter, bind_values, filter_conditions, filter_values
from etl.analytics.queries import Table, as_table, convert_value
from etl.analytics.read_only import lift_time_limit
from etl.db.engine import storage_errors
from etl.schema.views.columns import Column, Scope
from etl.schema.views.dialects import Dialect, make_dialect
from etl.schema.views.job_facts import (
    COST_STATE,
    COUNTED,
    JOB_FACTS,
    LATE,
    STALLED,
    cost_of_job,
    failure_class,
    is_open,
    price_of_job,
)
from etl.schema.views.owners import DIMENSIONS, OWNER_JOINS, owner_name

_CHUNK = 2000
#: Among how many of the newest jobs names are looked for: a look at all of them would cost what all cost.
_RECENT = 20_000
Only = Literal["", "open", "late", "stalled", "unpriced"]


@dataclass(frozen=True, slots=True)
class Choice:
    """Those of `jobs` for which all of this holds: failed in this class (`failure`), with this `code`; took
    at least `slower` seconds; are open, late or stalled now, or completed without a known cost (`only`);
    their id begins with `text`, or their prompt contains it (A to Z are taken for a to z).

    `sort` is a column of SORTS, "-" before it for the greatest first; "" is newest first. What has no value
    there comes last. `owner` is a name of DIMENSIONS and whose jobs are meant, as reports by it say.
    """

    jobs: Filter
    failure: str = ""
    code: str = ""
    slower: float = 0.0
    only: Only = ""
    text: str = ""
    sort: str = ""
    owner: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class OpenNow:
    """How many of the jobs are open, and of these late and stalled."""

    jobs: int
    late: int
    stalled: int


def _job_columns(*names: str) -> tuple[Column, ...]:
    known = {column.name: column for column in JOB_FACTS.columns}
    return tuple(known[name] for name in names)


JOBS = (
    *_job_columns("source", "job_id", "provider", "model", "status"),
    Column("progress", "number", "Percent done."),
    *_job_columns("prompt", "size", "seconds", "created_at", "completed_at", "expires_at", "total_seconds"),
    *_job_columns("cost", "currency", "cost_state", "error_code", "error_message", "remixed_from_job_id"),
    *_job_columns("versions", "is_unlisted"),
)
#: Columns that the list can be sorted by; the others would have to be read whole, or say nothing in order.
SORTS = (
    "source", "job_id", "provider", "model", "status", "progress", "size", "seconds", "created_at",
    "completed_at", "expires_at", "total_seconds", "cost", "error_code", "versions",
)  # fmt: skip
#: Of these the greatest come first when somebody sorts by them, as numbers and instants are mostly asked.
GREATEST_FIRST = frozenset(
    ("progress", "seconds", "created_at", "completed_at", "expires_at", "total_seconds", "cost", "versions")
)
_NEWEST = "j.created_at DESC, j.source_id, j.job_id"


#: Some databases know the small letter of every capital, others only of A to Z.
_TEXT = """(j.job_id LIKE :begins ESCAPE '!'
  OR LOWER(j.prompt) LIKE :has ESCAPE '!' OR LOWER(j.prompt) LIKE :has_ascii ESCAPE '!')"""


def count_jobs(engine: sa.Engine, choice: Choice) -> int:
    """How many jobs are chosen."""
    with storage_errors(), engine.connect() as conn:
        where, values = conditions_of(make_dialect(conn.dialect.name), choice)
        return int(conn.scalar(bind_values(f"SELECT COUNT(*) FROM video_jobs j WHERE {where}", values)) or 0)


def count_open(engine: sa.Engine, chosen: Filter) -> OpenNow:
    """Whenever they were created: the range of `chosen` does not count."""
    ever = replace(chosen, since=None, until=None)
    with storage_errors(), engine.connect() as conn:
        where, values = conditions_of(make_dialect(conn.dialect.name), Choice(ever, only="open"))
        marks = {"late": _moment_before(ever, LATE), "stalled": _moment_before(ever, STALLED)}
        sums = ", ".join(f"SUM(CASE WHEN j.created_at < :{name} THEN 1 ELSE 0 END)" for name in marks)
        text = f"SELECT COUNT(*), {sums} FROM video_jobs j WHERE {where}"
        row = conn.execute(bind_values(text, values | marks)).one()
        return OpenNow(*(int(number or 0) for number in row))


def recent_names(engine: sa.Engine, chosen: Filter) -> tuple[set[str], set[str]]:
    """Providers and models of the newest jobs in the range, whatever else is chosen: to choose from."""
    ranged = Choice(Filter(chosen.now, chosen.since, chosen.until))
    with storage_errors(), engine.connect() as conn:
        where, values = conditions_of(make_dialect(conn.dialect.name), ranged)
        text = f"""
SELECT DISTINCT provider, model FROM (
  SELECT j.provider, j.model FROM video_jobs j WHERE {where} ORDER BY j.created_at DESC LIMIT {_RECENT}
) newest"""
        rows = conn.execute(bind_values(text, values)).all()
    return {row[0] for row in rows if row[0]}, {row[1] for row in rows if row[1]}


def list_jobs(engine: sa.Engine, choice: Choice, offset: int, limit: int) -> Table:
    """`limit` of the chosen jobs, beginning with number `offset`."""
    with storage_errors(), engine.connect() as conn:
        return _jobs_table(
            list(conn.execute(_listing_statement(conn, choice, f"LIMIT {int(limit)} OFFSET {int(offset)}")))
        )


def every_job(engine: sa.Engine, choice: Choice) -> Iterator[Table]:
    """All chosen jobs, a few thousand at a time; at least one table. May take its time."""
    with storage_errors(), engine.connect() as conn:
        lift_time_limit(conn)
        try:
            found = False
            result = conn.execute(
                _listing_statement(conn, choice, None), execution_options={"yield_per": _CHUNK}
            )
            for rows in result.partitions():
                found = True
                yield _jobs_table(rows)
            if not found:
                yield _jobs_table([])
        finally:
            conn.invalidate()  # the time limit is back with the next connection


def these_jobs(engine: sa.Engine, source_id: int, ids: list[str]) -> Table:
    """The jobs of these ids, in no order."""
    if not ids:
        return _jobs_table([])
    with storage_errors(), engine.connect() as conn:
        d = make_dialect(conn.dialect.name)
        text = _select_jobs(d, "j.source_id = :one AND j.job_id IN :ids", "")
        return _jobs_table(list(conn.execute(bind_values(text, {"one": source_id, "ids": ids}))))


def facts_of(engine: sa.Engine, source: str, job_id: str) -> dict[str, Any]:
    """The job's row of job_facts; empty when it is not there."""
    with storage_errors(), engine.connect() as conn:
        d = make_dialect(conn.dialect.name)
        one = "j.job_id = :job AND j.source_id = (SELECT id FROM sources WHERE name = :source)"
        text = JOB_FACTS.sql(d, Scope(one, d.day, d.hours))
        row = conn.execute(bind_values(text, {"job": job_id, "source": source})).first()
    if row is None:
        return {}
    return {c.name: convert_value(c.kind, item) for c, item in zip(JOB_FACTS.columns, row, strict=True)}


def _jobs_table(rows: Any) -> Table:
    return as_table("jobs", "Jobs", JOBS, rows)


def _listing_statement(conn: sa.Connection, choice: Choice, part: str | None) -> sa.TextClause:
    """Rows are chosen and cut first: only those shown are priced."""
    d = make_dialect(conn.dialect.name)
    where, values = conditions_of(d, choice)
    order = f"ORDER BY {_order(d, choice.sort)}"
    cut = order if part is None else f"{order} {part}"
    priced = choice.sort.removeprefix("-") == "cost"
    return bind_values(f"{_select_jobs(d, where, cut, priced=priced)}\n{order}", values)


def _order(d: Dialect, sort: str) -> str:
    """Unknown values last, then newest first: the same on every database, and the same at every look."""
    name = sort.removeprefix("-")
    if not name:
        return _NEWEST
    found = {"total_seconds": seconds_taken(d), "cost": cost_of_job(d), "versions": "j.version"}.get(
        name, f"j.{name}"
    )
    if name == "source":
        found = "(SELECT named.name FROM sources named WHERE named.id = j.source_id)"
    return f"({found} IS NULL), {found}{' DESC' if sort != name else ''}, {_NEWEST}"


def _select_jobs(d: Dialect, where: str, cut: str, *, priced: bool = False) -> str:
    """`priced`: the cut itself needs each job's cost."""
    prices = price_of_job(d) if priced else ""
    return f"""
SELECT s.name AS source, j.job_id, j.provider, j.model, j.status, j.progress, j.prompt, j.size, j.seconds,
  j.created_at, j.completed_at, j.expires_at, {seconds_taken(d)} AS total_seconds,
  {cost_of_job(d)} AS cost, p.currency, {COST_STATE} AS cost_state, j.error_code, j.error_message,
  j.remixed_from_job_id, j.version AS versions, (j.unlisted_at IS NOT NULL) AS is_unlisted
FROM (SELECT j.* FROM video_jobs j {prices} WHERE {where} {cut}) j
JOIN sources s ON s.id = j.source_id
{price_of_job(d)}"""


def seconds_taken(d: Dialect) -> str:
    """Seconds from creation to completion of job j."""
    return d.seconds("j.created_at", "j.completed_at")


def _is_unpriced(d: Dialect, where: str) -> str:
    """A condition: job j is completed, and what it cost is not known."""
    return f"""(j.source_id, j.job_id) IN (
  SELECT j.source_id, j.job_id FROM video_jobs j
  {price_of_job(d)}
  WHERE j.status = 'completed' AND {where} AND {cost_of_job(d)} IS NULL)"""


# --- what is chosen ----------------------------------------------------------------------------


def conditions_of(d: Dialect, choice: Choice) -> tuple[str, dict[str, Any]]:
    """SQL on video_jobs j, and its parameters."""
    parts: dict[str, tuple[str, Any]] = {
        "failure": (f"j.status = 'failed' AND {failure_class()} = :failure", choice.failure),
        "code": ("j.error_code = :code", choice.code),
        "slower": (f"j.status = 'completed' AND {seconds_taken(d)} >= :slower", choice.slower),
    }
    kept = {name: (sql, given) for name, (sql, given) in parts.items() if given}
    plain, more = _choice_conditions(d, choice)
    conditions = [*filter_conditions(choice.jobs).values(), *(sql for sql, _ in kept.values())]
    where = " AND ".join([COUNTED, *plain, *conditions])
    if choice.only == "unpriced":
        where = f"{_is_unpriced(d, where)} AND {where}"
    return where, filter_values(choice.jobs) | {name: given for name, (_, given) in kept.items()} | more


def _choice_conditions(d: Dialect, choice: Choice) -> tuple[list[str], dict[str, Any]]:
    """Conditions of `only`, `text`, `sort` and `owner`, and the values that they need."""
    conditions, values = [], dict[str, Any]()
    if choice.owner is not None:
        dimension, values["owner"] = choice.owner
        inside = " AND ".join([COUNTED, *filter_conditions(choice.jobs).values()])
        conditions.append(f"""(j.source_id, j.job_id) IN (SELECT j.source_id, j.job_id FROM video_jobs j
  {OWNER_JOINS} WHERE {inside} AND {owner_name(DIMENSIONS[dimension], "mk", "st", "pl")} = :owner)""")
    if choice.sort == "-total_seconds":  # what did not complete took no time
        conditions.append(
            "j.status = 'completed' AND j.completed_at IS NOT NULL AND j.created_at IS NOT NULL"
        )
    if choice.text:
        conditions.append(_TEXT)
        literal = re.sub("([!%_])", r"!\1", choice.text)
        values |= {
            "begins": f"{literal}%",
            "has": f"%{literal.lower()}%",
            "has_ascii": f"%{_lowered(literal)}%",
        }
    if choice.only not in ("", "unpriced"):
        conditions.append(is_open(d))
        age = {"late": LATE, "stalled": STALLED}.get(choice.only)
        if age is not None:
            conditions.append("j.created_at < :born_before")
            values["born_before"] = _moment_before(choice.jobs, age)
    return conditions, values


def _lowered(text: str) -> str:
    """As SQLite does it, and PostgreSQL where texts compare byte by byte: other letters than A to Z stay."""
    return "".join(letter.lower() if letter.isascii() else letter for letter in text)


def _moment_before(chosen: Filter, age: float) -> Any:
    return chosen.now - timedelta(seconds=age)
