"""Do the totals that commits keep say what the jobs say? Counted by the database, compared cell by cell."""

from __future__ import annotations

# ruff: noqa: S608 (SQL is put together from our own snippets)
from collections import Counter
from typing import Any

import sqlalchemy as sa

from etl.db.engine import storage_errors
from etl.schema.views.dialects import Dialect, make_dialect
from etl.schema.views.job_facts import COUNTED, outcome_sql

_SIZE = "j.size, j.width, j.height"


def total_differences(engine: sa.Engine) -> list[str]:
    """A sentence for each cell that is not what the jobs say. Reads every job once. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        d = make_dialect(conn.dialect.name)
        return [
            f"{table} has {told:,} jobs where {counted:,} are stored: {_describe_cell(names, key)}"
            for table, (names, source) in _compared_tables(d).items()
            for key, told, counted in _compare_cells(conn, table, names, source)
        ]


def _compared_tables(d: Dialect) -> dict[str, tuple[str, str]]:
    """For each table the columns that make a cell, and what the jobs say of them."""
    took = d.whole(f"ROUND({d.seconds('j.created_at', 'j.completed_at')} * 1000)")
    listed = f"FROM video_jobs j WHERE {COUNTED}"
    days = f"{d.day('j.created_at')} AS day, j.provider, j.model, j.status"
    days += f", {outcome_sql()} AS outcome, j.seconds"
    return {
        "daily_totals": (
            "source_id, day, provider, model, status, outcome, seconds, size, width, height",
            f"SELECT j.source_id, {days}, {_SIZE} {listed}",
        ),
        "duration_totals": (
            "source_id, provider, model, milliseconds",
            f"SELECT j.source_id, j.provider, j.model, {took} AS milliseconds {listed}"
            " AND j.status = 'completed' AND j.completed_at IS NOT NULL AND j.created_at IS NOT NULL",
        ),
        "job_kinds": (
            "source_id, provider, model, size, width, height",
            f"SELECT j.source_id, j.provider, j.model, {_SIZE} {listed}",
        ),
    }


def _compare_cells(
    conn: sa.Connection, table: str, names: str, source: str
) -> list[tuple[tuple[Any, ...], int, int]]:
    told, counted = Counter[tuple[Any, ...]](), Counter[tuple[Any, ...]]()
    stored = f"SELECT {names}, SUM(jobs) FROM {table} GROUP BY {names}"
    asked = f"SELECT {names}, COUNT(*) FROM ({source}) c GROUP BY {names}"
    for found, what in ((told, stored), (counted, asked)):
        for *key, jobs in conn.execute(sa.text(what)):
            found[tuple(None if each is None else str(each) for each in key)] += int(jobs)
    return [(key, told[key], counted[key]) for key in {*told, *counted} if told[key] != counted[key]]


def _describe_cell(names: str, key: tuple[Any, ...]) -> str:
    return ", ".join(f"{name} {value}" for name, value in zip(names.split(", "), key, strict=True))
