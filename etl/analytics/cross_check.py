"""Do the totals that commits keep say what the jobs say? Counted by the database, compared cell by cell."""

from __future__ import annotations

# ruff: noqa: S608 (SQL is put together from our own snippets)
from typing import Any

import sqlalchemy as sa

from etl.db.engine import storage_errors
from etl.schema.totals_tables import DAY_SUMS, HOURS
from etl.schema.views.dialects import Dialect, make_dialect
from etl.schema.views.job_facts import COUNTED, outcome_sql

_SIZE = "j.size, j.width, j.height"


def total_differences(engine: sa.Engine) -> list[str]:
    """A sentence for each cell that is not what the jobs say. Reads every job once. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        d = make_dialect(conn.dialect.name)
        return [
            f"{table} has {told:,} {what} where {counted:,} are stored: {_describe_cell(names, key)}"
            for table, (names, sums, source) in _compared_tables(d).items()
            for key, what, told, counted in _compare_cells(conn, table, names, sums, source)
        ]


def _compared_tables(d: Dialect) -> dict[str, tuple[str, tuple[str, ...], str]]:
    """For each table the columns that make a cell, those that add up, and what the jobs say of them."""
    took = d.whole(f"ROUND({d.seconds('j.created_at', 'j.completed_at')} * 1000)")
    listed = f"FROM video_jobs j WHERE {COUNTED}"
    return {
        "daily_totals": (
            "source_id, day, provider, model, status, outcome, seconds, size, width, height",
            DAY_SUMS,
            _count_days(d, took, listed),
        ),
        "duration_totals": (
            "source_id, provider, model, milliseconds",
            ("jobs",),
            f"SELECT j.source_id, j.provider, j.model, {took} AS milliseconds, 1 AS jobs {listed}"
            " AND j.status = 'completed' AND j.completed_at IS NOT NULL AND j.created_at IS NOT NULL",
        ),
        "job_kinds": (
            "source_id, provider, model, size, width, height",
            ("jobs",),
            f"SELECT j.source_id, j.provider, j.model, {_SIZE}, 1 AS jobs {listed}",
        ),
    }


def _count_days(d: Dialect, took: str, listed: str) -> str:
    timed = "CASE WHEN j.status = 'completed' AND j.completed_at >= j.created_at THEN {} ELSE 0 END AS {}"
    hours = ", ".join(f"CASE WHEN hour = {n} THEN 1 ELSE 0 END AS {name}" for n, name in enumerate(HOURS))
    return f"""SELECT one.*, {hours} FROM (
  SELECT j.source_id, {d.day("j.created_at")} AS day, j.provider, j.model, j.status,
    {outcome_sql()} AS outcome, j.seconds, {_SIZE}, {d.hour("j.created_at")} AS hour, 1 AS jobs,
    {timed.format(1, "timed_jobs")}, {timed.format(took, "milliseconds")}
  {listed}) one"""


def _compare_cells(
    conn: sa.Connection, table: str, names: str, sums: tuple[str, ...], source: str
) -> list[tuple[tuple[Any, ...], str, int, int]]:
    """Each cell that differs, the sum in which it does, what the table says of it, and the jobs."""
    added = ", ".join(f"SUM({name})" for name in sums)
    told, counted = (
        _read_cells(conn, f"SELECT {names}, {added} FROM {rows} GROUP BY {names}", len(sums))
        for rows in (table, f"({source}) c")
    )
    nothing = (0,) * len(sums)
    found = []
    for key in {*told, *counted}:
        pairs = zip(sums, told.get(key, nothing), counted.get(key, nothing), strict=True)
        found += [(key, what, one, other) for what, one, other in pairs if one != other][:1]
    return found


def _read_cells(conn: sa.Connection, statement: str, sums: int) -> dict[tuple[Any, ...], tuple[int, ...]]:
    return {
        tuple(None if each is None else str(each) for each in row[:-sums]): tuple(map(int, row[-sums:]))
        for row in conn.execute(sa.text(statement))
    }


def _describe_cell(names: str, key: tuple[Any, ...]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(names.split(", "), key, strict=True))
