"""Runs reports and reads what they give: rows of plain Python values, with columns that say what they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from etl.analytics.filters import (
    RANGE,
    Filter,
    bind_values,
    filter_conditions,
    filter_values,
    now_parameter,
)
from etl.analytics.ranges import find_moved_hours, local_day, local_hour, on_another_day
from etl.analytics.reports import REPORTS, Report, report_by
from etl.analytics.sums import sum_rows
from etl.config.nearest import unknown_name
from etl.db.engine import storage_errors
from etl.schema.tables import coverage_gaps, job_requests, sources, video_jobs
from etl.schema.views.columns import Column, CountedDays, MovedHours, Scope, ValueKind
from etl.schema.views.dialects import Dialect, make_dialect

_DAY, _MICROSECOND = timedelta(days=1), timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Table:
    """A report's answer. Values are str, int, float, Decimal (money), bool, date, datetime (UTC), None.
    `cut`: more exist. `totals` are lines under it: of all rows, those that are cut included. `currency` is
    that of money of which no column says another. `asked` columns at the left were asked for by name."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Any, ...], ...]
    chart: str | None = None
    cut: bool = False
    ranged: bool = True
    totals: tuple[tuple[Any, ...], ...] = ()
    currency: str | None = None
    asked: int = 0


@dataclass(frozen=True, slots=True)
class UnseenPeriod:
    """Jobs created between these instants (UTC, gateway's clock) may have come and gone unseen."""

    source: str
    since: datetime | None
    until: datetime | None
    reason: str


def run_report(engine: sa.Engine, name: str, chosen: Filter) -> Table:
    """The report `name`. Raises ConfigError for an unknown one, StorageError."""
    if name not in REPORTS:
        raise unknown_name("report", name, REPORTS)
    report = report_by(name, chosen.by) if chosen.by else REPORTS[name]
    with storage_errors(), engine.connect() as conn:
        statement = _report_statement(conn, report, chosen)
        rows = list(conn.execute(statement))
    columns = tuple(_in_zone(column, chosen.zone) for column in report.columns)
    table = with_sums(as_table(name, report.title, columns, rows), chosen)
    cut = chosen.limit is not None and len(rows) > chosen.limit
    shown, totals = table.rows[: chosen.limit], () if cut and not report.whole else table.totals
    ranged = report.filtered.time is not None
    asked = len(chosen.by.split(",")) if chosen.by else 0
    return replace(table, rows=shown, totals=totals, chart=report.chart, cut=cut, ranged=ranged, asked=asked)


def _in_zone(column: Column, zone: str) -> Column:
    """A view's days are UTC's; a report's are those of its zone, and say so."""
    if column.kind != "day":
        return column
    return replace(column, comment=f"{column.comment.replace(' (UTC)', '').rstrip('.')} ({zone}).")


def with_sums(table: Table, chosen: Filter) -> Table:
    """The table with the line under it."""
    return replace(table, totals=sum_rows(table.columns, table.rows), currency=chosen.currency)


def find_unseen_periods(engine: sa.Engine, chosen: Filter) -> list[UnseenPeriod]:
    """What the range may lack. Raises StorageError."""
    c = coverage_gaps.c
    query = sa.select(sources.c.name, c.gap_from, c.gap_until, c.reason).join(sources).order_by(c.id)
    if chosen.since is not None:
        query = query.where(sa.or_(c.gap_until.is_(None), c.gap_until >= chosen.since))
    if chosen.until is not None:
        query = query.where(sa.or_(c.gap_from.is_(None), c.gap_from < chosen.until))
    if chosen.sources:
        query = query.where(sources.c.name.in_(chosen.sources))
    with storage_errors(), engine.connect() as conn:
        return [UnseenPeriod(*row) for row in conn.execute(query)]


def oldest_job_at(engine: sa.Engine) -> datetime | None:
    """Creation of the oldest job, gateway's clock. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        found: datetime | None = conn.scalar(sa.select(sa.func.min(video_jobs.c.created_at)))
        return found


def check_sources(engine: sa.Engine, names: tuple[str, ...]) -> None:
    """Raises ConfigError for a source that the database does not know."""
    with storage_errors(), engine.connect() as conn:
        known = list(conn.scalars(sa.select(sources.c.name).order_by(sources.c.name)))
    for name in names:
        if name not in known:
            raise unknown_name("source", name, known)


def check_models(engine: sa.Engine, names: tuple[str, ...]) -> None:
    """Raises ConfigError for a model of which the database has no job."""
    model = video_jobs.c.model
    with storage_errors(), engine.connect() as conn:
        for name in names:
            if conn.scalar(sa.select(model).where(model == name).limit(1)) is None:
                known = [str(found) for found in conn.scalars(sa.select(model).distinct()) if found]
                raise unknown_name("model", name, sorted(known))


def _report_statement(conn: sa.Connection, report: Report, chosen: Filter) -> sa.TextClause:
    d = make_dialect(conn.dialect.name, now=now_parameter(conn.dialect.name))
    conditions = filter_conditions(chosen, report.filtered)
    where = " AND ".join(["1 = 1", *conditions.values()])
    which = " AND ".join(["1 = 1", *(sql for name, sql in conditions.items() if name not in RANGE)])
    whole = chosen.since is None and chosen.until is None
    kept, moved = _split_counted_days(d, chosen), _moved_days(conn, d, chosen) if report.zoned else None
    hours = _moved_hours(conn, d, chosen) if report.zoned else MovedHours()
    scope = Scope(
        where, days_of(conn, d, chosen), hours_of(conn, d, chosen), whole, which, kept, moved, hours
    )
    scope = replace(scope, unowned=conn.scalar(sa.select(job_requests.c.request_seq).limit(1)) is None)
    order = f" ORDER BY {report.order}" if report.order else ""
    limit = "" if chosen.limit is None or report.whole else f" LIMIT {int(chosen.limit) + 1}"
    return bind_values(f"SELECT * FROM ({report.sql(d, scope)}) report{order}{limit}", filter_values(chosen))


def _moved_days(conn: sa.Connection, d: Dialect, chosen: Filter) -> str | None:
    """SQL for: the reporting time zone puts job j on another day than UTC does."""
    if chosen.zone == "UTC":
        return None
    return on_another_day(d, "j.created_at", chosen.zone, *_range_ends(conn, chosen))


def _moved_hours(conn: sa.Connection, d: Dialect, chosen: Filter) -> MovedHours | None:
    if chosen.zone == "UTC":
        return MovedHours()
    return find_moved_hours(chosen.zone, *_range_ends(conn, chosen), d)


def _split_counted_days(d: Dialect, chosen: Filter) -> CountedDays | None:
    """The whole UTC days of the range, and what is left of it before and after them."""
    first = None if chosen.since is None else (chosen.since - _MICROSECOND).astimezone(UTC).date() + _DAY
    last = None if chosen.until is None else chosen.until.astimezone(UTC).date()
    if first is not None and last is not None and first >= last:
        return None
    days, edges = ["1 = 1"], []
    if first is not None:
        days.append(f"j.day >= '{first}'")
        edges.append(f"j.created_at < {d.instant(datetime.combine(first, time(), UTC))}")
    if last is not None:
        days.append(f"j.day < '{last}'")
        edges.append(f"j.created_at >= {d.instant(datetime.combine(last, time(), UTC))}")
    return CountedDays(" AND ".join(days), " OR ".join(edges) or None)


def days_of(conn: sa.Connection, d: Dialect, chosen: Filter) -> Callable[[str], str]:
    """SQL for the day of a moment in the reporting time zone. An open end is the oldest job, or tomorrow."""
    if chosen.zone == "UTC":
        return d.day
    since, until = _range_ends(conn, chosen)
    return lambda column: local_day(d, column, chosen.zone, since, until)


def hours_of(conn: sa.Connection, d: Dialect, chosen: Filter) -> Callable[[str], str]:
    """SQL for the start of the hour of a moment, as the clocks of the reporting time zone cut it."""
    if chosen.zone == "UTC":
        return d.hours
    since, until = _range_ends(conn, chosen)
    return lambda column: local_hour(d, column, chosen.zone, since, until)


def _range_ends(conn: sa.Connection, chosen: Filter) -> tuple[datetime, datetime]:
    oldest = chosen.since or conn.scalar(sa.select(sa.func.min(video_jobs.c.created_at))) or chosen.now
    return oldest, chosen.until or max(chosen.now, oldest) + _DAY


# --- values ------------------------------------------------------------------------------------


def as_table(name: str, title: str, columns: tuple[Column, ...], rows: Iterable[Any]) -> Table:
    """Rows of a driver as a table of plain values."""
    read = (
        tuple(convert_value(column.kind, item) for column, item in zip(columns, row, strict=True))
        for row in rows
    )
    return Table(name, title, columns, tuple(read))


def convert_value(kind: ValueKind, item: Any) -> Any:
    """What a driver gave, as the same Python type whatever the database."""
    if item is None:
        return None
    if isinstance(item, bytes | bytearray | memoryview):
        return bytes(item).decode("utf-8", "replace")
    if kind == "instant":
        found = datetime.fromisoformat(item) if isinstance(item, str) else item
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    if kind == "day":
        return date.fromisoformat(item) if isinstance(item, str) else item
    if kind == "flag":
        return bool(item)
    if kind == "integer":
        return int(item)
    if kind == "money":
        return round(Decimal(str(item)), 6).normalize() + 0
    if kind == "amounts":
        return ", ".join(sorted(str(item).split(", ")))
    return str(item) if kind == "text" else float(item)
