"""A quiet tick looks rows up; none of its statements walks a table, however large the history grows."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import sqlalchemy as sa

from etl.schema import migrate
from etl.simulator import World
from tests.support.databases import Server
from tests.support.rig import rig

pytestmark = pytest.mark.slow

#: A table of one row, and what another step, which is judged too, has found.
_FEW = ("SCAN bifrost_etl_revision", "SCAN stretch", "SCAN waiting", "SCAN missed")


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_no_statement_of_a_tick_reads_all_jobs_or_runs(database_url: str) -> None:
    with rig(World(seed=60, jobs=300, rate=0), database_url) as r:
        r.ok()
        statements: list[tuple[str, Any]] = []

        @sa.event.listens_for(r.app.engine, "before_cursor_execute")
        def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
            if not many and statement.startswith(("SELECT", "UPDATE")):
                statements.append((statement, parameters))

        r.ok()
        with r.app.engine.connect() as conn:
            plans = {s: _plan(conn, s, p) for s, p in statements}
    assert any("video_jobs" in s for s in plans) and any("sync_runs" in s for s in plans)
    for statement, plan in plans.items():
        for step in plan:
            walks = step.startswith("SCAN ") and "json_each" not in step and "CONSTANT" not in step
            assert not walks or step in _FEW, (statement, plan)
            # In list order with a LIMIT is a look; by the primary key it is every job of the source.
            whole = "autoindex_video_jobs" in step and step.endswith("(source_id=?)")
            running = "sync_runs" in step and "status" in statement and "ORDER" not in statement
            assert not whole and not (running and "source_id=?" in step), (statement, plan)


def test_postgresql_reads_no_whole_table_in_a_tick_right_after_a_load(postgres: Server) -> None:
    """What it knows of the positions then is from the load's first page, the newest jobs: as if half of all
    jobs stood above any of them. One of these is open, so the tick begins amid them."""
    world = World(seed=66, jobs=4000, rate=0, gap=1.5)
    with rig(world, postgres.create("stretch")) as r, r.app.engine.connect() as conn:
        migrate.upgrade_schema(r.app.engine)
        with r.app.engine.begin() as setting:  # else it may come to know better while the load goes on
            setting.exec_driver_sql("ALTER TABLE video_jobs SET (autovacuum_enabled = false)")
        r.ok()
        asked: list[tuple[str, Any]] = []

        @sa.event.listens_for(r.app.engine, "before_cursor_execute")
        def note(_c: Any, _cursor: Any, statement: str, parameters: Any, _x: Any, many: bool) -> None:
            if statement.startswith("SELECT") and "video_jobs" in statement:
                asked.append((statement, parameters))

        r.ok()
        noted = list(asked)
        plans = {s: [row[0] for row in conn.exec_driver_sql(f"EXPLAIN {s}", p)] for s, p in noted}
    postgres.drop("stretch")
    assert any("stretch" in statement for statement in plans)
    for statement, plan in plans.items():
        assert not any("Seq Scan on video_jobs" in step for step in plan), (statement, plan)


def _plan(conn: sa.Connection, statement: str, parameters: Any) -> list[str]:
    return [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)]


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_sqlite_stores_a_batch_by_id(database_url: str) -> None:
    """Then it changes each page of its two indexes of ids once, and writes half as much."""
    with rig(World(seed=67, jobs=300, rate=0), database_url) as r:
        r.ok()
        with r.app.engine.connect() as conn:
            for table, order in (("video_jobs", "rowid"), ("video_job_versions", "change_seq")):
                ids = conn.scalars(sa.text(f"SELECT job_id FROM {table} ORDER BY {order}")).all()
                falls = sum(one > following for one, following in pairwise(ids))
                assert len(ids) == 300 and falls < 5, table  # one between two batches


def test_families_of_remixes_cost_mariadb_what_there_is_of_them(mariadb: Server) -> None:
    """It once joined every job with every member: sixteen times as many rows for four times as many jobs."""
    few, many = (_rows_read(mariadb, f"families{jobs}", jobs) for jobs in (300, 1200))
    assert few > 300
    assert many < 6 * few


def _rows_read(server: Server, name: str, jobs: int) -> int:
    with rig(World(seed=61, jobs=jobs, rate=0), server.create(name)) as r:
        r.ok()
        with r.app.engine.connect() as conn:
            conn.exec_driver_sql("FLUSH STATUS")
            assert conn.exec_driver_sql("SELECT count(*) FROM remix_trees").scalar_one()
            rows = conn.exec_driver_sql("SHOW SESSION STATUS LIKE 'Handler_read%%'").all()
    server.drop(name)
    return sum(int(value) for _, value in rows)
