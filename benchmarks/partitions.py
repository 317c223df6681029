"""History in months on PostgreSQL: how long converting N versions takes, and pruning them.

    python -m benchmarks.partitions [VERSIONS]          (1000000)

Two versions per job, a job a second from 2026-01-01 on, spread over a year. Pruned twice, from two copies: as
one table, and in months.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TypeVar

import sqlalchemy as sa

from benchmarks.feed import fill
from etl.config import Retention
from etl.db.engine import make_engine
from etl.feed.prune import prune_tables
from etl.schema import repartition
from tests.support.databases import postgres_server

NOW = datetime(2027, 1, 15, tzinfo=UTC)
KEEP = Retention(versions=182 * 86400.0)
_SIZE = """
SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE relname ~ '^video_job_versions' AND relkind = 'r'
"""
_T = TypeVar("_T")


def timed(what: str, engine: sa.Engine, act: Callable[[], _T]) -> _T:
    began = time.perf_counter()
    result = act()
    took = time.perf_counter() - began
    with engine.connect() as conn:
        size = float(conn.scalar(sa.text(_SIZE)) or 0) / 2**20
    print(f"{what}: {took:.1f} s, {result}, history then takes {size:,.0f} MiB", flush=True)
    return result


def main(versions: int) -> None:
    with postgres_server("max_wal_size=4GB") as server:
        url = server.create("plain")
        fill(url, versions)
        engine = make_engine(url)
        with engine.begin() as conn:  # a year of history, whatever the number
            step = 365 * 86400 / (versions / 2)
            conn.execute(
                sa.text(
                    "UPDATE video_job_versions SET valid_from = timestamptz '2026-01-01+00'"
                    " + make_interval(secs => :step * extract(epoch from valid_from - '2026-01-01+00'))"
                ),
                {"step": step},
            )
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
            conn.exec_driver_sql("VACUUM FULL ANALYZE video_job_versions")
        engine.dispose()
        parted = make_engine(server.create("parted", template="plain"))
        engine = make_engine(url)
        timed("into months", parted, lambda: repartition.partition_history(parted, NOW))
        timed("prune in one table", engine, lambda: prune_tables(engine, KEEP, now=NOW))
        timed("prune in months", parted, lambda: prune_tables(parted, KEEP, now=NOW))
        timed("back to one table", parted, lambda: repartition.unpartition_history(parted))


if __name__ == "__main__":
    main(int(sys.argv[1]) if sys.argv[1:] else 1_000_000)
