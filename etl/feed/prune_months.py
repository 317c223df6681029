"""Pruning history that stands in months (PostgreSQL): whole partitions are dropped or replaced.

A month of which nothing has to stay is dropped. One of which enough may go is replaced by the rows that have
to stay: that gives the space back at once, and costs no more than writing those. The few that may go from
other months are deleted as everywhere else.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime

import sqlalchemy as sa

from etl.db.engine import storage_errors, write_transaction
from etl.errors import DatabaseBusy
from etl.log import get_logger
from etl.schema.migrate import exclude_migrations
from etl.schema.partitions import Month, is_partitioned, list_months, month_table, rewrite_month

#: The share of a month's rows that must be able to go before it is written anew.
SHARE = 0.2
#: Seconds to wait for readers before the month is left for the next time; everybody else waits as long.
LOCK_WAIT = 5

Goes = Callable[[sa.Table], Sequence[sa.ColumnElement[bool]]]


def prune_months(engine: sa.Engine, edge: datetime, goes: Goes, stop: threading.Event) -> int:
    """Rows removed from months that end before `edge`. `goes`: what may be removed from such a table."""
    with storage_errors(), engine.connect() as conn:
        if not is_partitioned(conn):
            return 0
        old = [month for month in list_months(conn) if month.next.start <= edge]
    removed = 0
    for month in old:
        if stop.is_set():
            break
        try:
            removed += _prune_month(engine, month, sa.and_(*goes(month_table(month))))
        except DatabaseBusy:
            get_logger("prune").warning("month_in_use", partition=month.name)
    return removed


def _prune_month(engine: sa.Engine, month: Month, goes: sa.ColumnElement[bool]) -> int:
    with storage_errors(), engine.connect() as conn:
        total, going = _count_month(conn, month, goes)
    if going < max(1, SHARE * total) and total:
        return 0
    with write_transaction(engine) as conn, exclude_migrations(conn):
        conn.execute(sa.text(f"SET LOCAL lock_timeout = '{LOCK_WAIT * 1000:.0f}ms'"))
        conn.execute(sa.text(f"LOCK TABLE {month.name} IN SHARE MODE"))
        total, going = _count_month(conn, month, goes)
        rewrite_month(conn, month, sa.not_(goes) if going < total else None)
    get_logger("prune").info("month_pruned", partition=month.name, removed=going, left=total - going)
    return going


def _count_month(conn: sa.Connection, month: Month, goes: sa.ColumnElement[bool]) -> tuple[int, int]:
    count = sa.select(sa.func.count()).select_from(month_table(month))
    return int(conn.execute(count).scalar_one()), int(conn.execute(count.where(goes)).scalar_one())
