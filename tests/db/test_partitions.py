"""History in months on PostgreSQL: there and back, with everything that hangs on it."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from etl.db.engine import make_engine, write_transaction
from etl.errors import ConfigError
from etl.schema import migrate, partitions, repartition
from etl.schema.partitions import Month
from etl.schema.tables import metadata, video_job_versions
from etl.simulator import World
from tests.db.test_schema import differences
from tests.support.cluster import until
from tests.support.command import Command
from tests.support.feed_history import Writer, add_source, stored
from tests.support.rig import rig

postgres = pytest.mark.parametrize("database", ["postgresql"], indirect=True)
NOW = datetime(2026, 6, 20, tzinfo=UTC)


@pytest.fixture
def writer(engine: sa.Engine) -> Writer:
    """Four months of history."""
    made = Writer(engine, add_source(engine, "a"))
    for _ in range(12):
        made.step()
        made.at += timedelta(days=9)
    return made


def parts(engine: sa.Engine) -> dict[str, int]:
    """Rows by partition."""
    query = "SELECT tableoid::regclass::text, count(*) FROM video_job_versions GROUP BY 1 ORDER BY 1"
    with engine.connect() as conn:
        return dict(list(conn.execute(sa.text(query))))


def view(engine: sa.Engine, name: str = "job_history") -> list[Any]:
    with engine.connect() as conn:
        rows = conn.execute(sa.text(f"SELECT * FROM {name} ORDER BY source_id, job_id, version")).mappings()
        return [dict(row) for row in rows]


@postgres
def test_there_and_back(engine: sa.Engine, writer: Writer) -> None:
    before, seen = stored(engine, "video_job_versions"), view(engine)
    assert repartition.partition_history(engine, NOW) == len(before)
    held = parts(engine)
    assert list(held) == [f"video_job_versions_2026_0{n}" for n in (3, 4, 5, 6)]
    assert sum(held.values()) == len(before) and min(held.values()) > 0
    assert stored(engine, "video_job_versions") == before and view(engine) == seen
    migrate.check_schema(engine)
    assert migrate.upgrade_schema(engine) == migrate.head_revision()
    # The unique constraint stands on each month; but for the months and their indexes nothing else differs.
    changes = differences(engine)
    assert {change[0] for change in changes} == {"remove_table", "remove_index", "add_constraint"}
    assert all(c[1].table.name.startswith("video_job_versions_") for c in changes if c[0] == "remove_index")
    writer.step()
    assert repartition.unpartition_history(engine) == len(before) + 8
    assert differences(engine) == []
    assert stored(engine, "video_job_versions")[: len(before)] == before
    assert view(engine)[0] == seen[0]
    writer.step()


@postgres
def test_down_to_nothing_and_up_again(engine: sa.Engine, writer: Writer) -> None:
    repartition.partition_history(engine, NOW)
    migrate.downgrade_schema(engine, "base")
    assert sa.inspect(engine).get_table_names() == [migrate.VERSION_TABLE]
    migrate.upgrade_schema(engine)
    assert differences(engine) == []


@postgres
def test_what_hangs_on_the_table_still_does(engine: sa.Engine, writer: Writer) -> None:
    with write_transaction(engine) as conn:
        for statement in (
            "CREATE VIEW theirs WITH (security_barrier=true) AS SELECT job_id FROM video_job_versions "
            "WHERE job_id LIKE '%%1' AND op = 'insert'",
            "CREATE VIEW on_theirs AS SELECT count(*) AS many FROM theirs",
            "CREATE ROLE analyst_of_months",
            "GRANT SELECT ON video_job_versions, job_history, theirs TO analyst_of_months",
            "GRANT INSERT ON video_job_versions TO PUBLIC",
        ):
            conn.exec_driver_sql(statement)
    query = sa.text("SELECT many FROM on_theirs")
    may = sa.text("SELECT has_table_privilege('analyst_of_months', :name, :what)")
    with engine.connect() as conn:
        many = conn.scalar(query)
    try:
        for reshaped in (
            lambda: repartition.partition_history(engine, NOW),
            lambda: repartition.unpartition_history(engine),
        ):
            reshaped()
            with engine.connect() as conn:
                assert conn.scalar(query) == many > 0
                for name in ("video_job_versions", "job_history", "theirs"):
                    assert conn.scalar(may, {"name": name, "what": "SELECT"}), name
                assert conn.scalar(may, {"name": "video_job_versions", "what": "INSERT"})
                options = conn.scalar(sa.text("SELECT reloptions FROM pg_class WHERE relname = 'theirs'"))
                assert options == ["security_barrier=true"]
    finally:
        with write_transaction(engine) as conn:
            conn.exec_driver_sql("DROP OWNED BY analyst_of_months")
            conn.exec_driver_sql("DROP ROLE analyst_of_months")


@postgres
def test_a_materialized_view_is_named_and_nothing_happens(engine: sa.Engine, writer: Writer) -> None:
    with write_transaction(engine) as conn:
        conn.exec_driver_sql("CREATE MATERIALIZED VIEW frozen AS SELECT job_id FROM video_job_versions")
    with pytest.raises(ConfigError, match="frozen"):
        repartition.partition_history(engine, NOW)
    assert differences(engine) == []


def test_other_databases_are_refused(engine: sa.Engine) -> None:
    if engine.dialect.name == "postgresql":
        repartition.partition_history(engine, NOW)
    with pytest.raises(ConfigError):
        repartition.partition_history(engine, NOW)


@postgres
def test_months_are_made_ahead_and_strays_are_brought_home(
    engine: sa.Engine, engine_url: str, writer: Writer
) -> None:
    repartition.partition_history(engine, NOW)
    writer.at = datetime(2027, 1, 5, tzinfo=UTC)  # nobody ran for half a year
    writer.step()
    rows = stored(engine, "video_job_versions")
    assert parts(engine)["video_job_versions_rest"] == 8
    for _ in range(2):
        later = make_engine(engine_url)
        partitions.make_ahead(later, writer.at)
        later.dispose()
    assert parts(engine)["video_job_versions_2027_01"] == 8 and "video_job_versions_rest" not in parts(engine)
    with engine.connect() as conn:
        assert partitions.list_months(conn)[-3:] == [Month(2027, 1), Month(2027, 2), Month(2027, 3)]
        assert partitions.count_strays(conn) == 0
    assert stored(engine, "video_job_versions") == rows


@postgres
def test_each_month_keeps_its_keys(engine: sa.Engine, writer: Writer) -> None:
    repartition.partition_history(engine, NOW)
    row = stored(engine, "video_job_versions")[-1]
    for taken in ({}, {"change_seq": row["change_seq"] + 1000}):
        with pytest.raises(sa.exc.IntegrityError), engine.begin() as conn:
            conn.execute(sa.insert(video_job_versions), {**row, **taken})


@postgres
def test_syncs_go_on_with_the_same_history(engine: sa.Engine, engine_url: str, tmp_path: Any) -> None:
    """Two mirrors of one gateway, one of them partitioned on the way."""
    world = World(seed=3, jobs=200, start=datetime(2026, 6, 30, 23, 0, tzinfo=UTC).timestamp(), rate=400)
    names = ("job_id", "version", "op", "status", "changed_fields", "completed_at")
    with rig(world, engine_url) as one, rig(world, f"sqlite:///{tmp_path}/plain.db") as other:
        for turn in range(5):
            one.ok(), other.ok()
            if turn == 1:
                repartition.partition_history(engine, one.now())
            if turn == 3:
                one.reconcile(), other.reconcile()
            world.advance(1500)
        here, there = (
            sorted(tuple(row[name] for name in names) for row in made.rows("video_job_versions"))
            for made in (one, other)
        )
        one.assert_accounts()
    assert [row[:4] for row in here] == [row[:4] for row in there]
    assert len(parts(engine)) == 2  # June and July


@postgres
def test_a_sync_that_is_under_way_waits_and_goes_on(engine: sa.Engine, engine_url: str) -> None:
    """Converted, and back, in the middle of a first load."""
    world = World(seed=5, jobs=900, start=NOW.timestamp())
    with rig(world, engine_url, latency=0.02, settings={"page_size": 10}) as made:
        ended: list[Any] = []
        thread = threading.Thread(target=lambda: ended.append(made.sync()))
        thread.start()
        until(lambda: sum(parts(engine).values()), "a first commit")
        assert repartition.partition_history(engine, NOW) > 0
        assert repartition.unpartition_history(engine) > 0
        repartition.partition_history(engine, NOW)
        assert thread.is_alive()
        thread.join()
        assert ended[0].status == "ok", ended[0].error
        made.assert_equals_gateway()
        made.assert_accounts()


@postgres
@pytest.mark.slow
def test_plans_stay_good(engine: sa.Engine) -> None:
    """The feed reads in order without sorting, a job's history comes by index, a month by its partition."""
    made = Writer(engine, add_source(engine, "a"))
    for _ in range(4):
        made.step(new=1500, changes=400)
        made.at += timedelta(days=31)
    repartition.partition_history(engine, NOW)

    def plan(query: str) -> str:
        with engine.connect() as conn:
            conn.execute(sa.text("ANALYZE video_job_versions"))
            return "\n".join(conn.scalars(sa.text(f"EXPLAIN {query}")))

    columns = ", ".join(column.name for column in metadata.tables["video_job_versions"].columns)
    feed = plan(
        f"SELECT {columns} FROM video_job_versions WHERE change_seq > 100 ORDER BY change_seq LIMIT 500"
    )
    assert "->  Sort" not in feed and "Seq Scan" not in feed and "Index Scan" in feed, feed
    job = plan("SELECT * FROM job_history WHERE source_id = 1 AND job_id = 'video_1_0000007'")
    assert not re.search("Seq Scan on video_job_versions_2026_0[3-6]", job), job  # later ones are empty
    month = plan("SELECT count(*) FROM video_job_versions WHERE valid_from < '2026-04-01+00'")
    assert "_03" in month and "_05" not in month, month


@postgres
def test_the_command(engine: sa.Engine, engine_url: str, writer: Writer, tmp_path: Any) -> None:
    command = Command(tmp_path, DATABASE_URL=engine_url)
    done = command("db", "partition")
    assert done.code == 0 and "versions moved; history stands in " in done.out, done.all
    assert command("db", "recount").code == 0  # the rows were written by hand
    assert "history stands in months: " in command("db", "check").out
    with pytest.raises(ConfigError, match="kept in months"):
        repartition.partition_history(engine, NOW)
    assert command("db", "partition", "--undo").out.endswith("history stands in one table\n")
