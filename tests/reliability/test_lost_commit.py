"""A connection that dies around a COMMIT: whether it was done is not known, and must not matter."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

import etl.pipeline.run
from etl.db.engine import make_engine
from etl.schema.tables import metadata
from etl.simulator import World
from tests.reliability.proxy import ROWS, How, Proxy
from tests.support.databases import Server
from tests.support.rig import Rig, rig

HOUR = 3600.0
FIRST_TRIES = range(1, sys.maxsize, 2)
BATCH = b"UPDATE sync_state"  # every batch says where the source stands


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etl.pipeline.run, "PAGES_PER_BATCH", 2)
    monkeypatch.setattr(etl.pipeline.run, "SECONDS_PER_BATCH", 3600.0)


@pytest.fixture
def proxy(database: str, request: pytest.FixtureRequest) -> Iterator[Proxy]:
    server: Server = request.getfixturevalue("postgres" if database == "postgresql" else "mariadb")
    with Proxy(server.port) as made:
        yield made


class History:
    """The same life of a source, told into one database under several names."""

    def __init__(self, proxy: Proxy, url: str) -> None:
        self.proxy, self.url = proxy, url

    def tell(self, name: str, how: How | None = None, **where: Any) -> Rig:
        """A first load and a later sync; `how` cuts each transaction's first try. Both must succeed."""
        world = World(seed=71, jobs=300, rate=30)
        settings = {"name": name, "page_size": 25, "first_load_lanes": 1}
        with rig(world, self.proxy.url(self.url), settings=settings) as told:
            for kind in ("drift", "bad_item:rate=0.5", "bad_item:rate=0.3,kind=duplicate"):
                told.sim.fault(kind)
            for _ in range(2):
                if how is not None:
                    self.proxy.cut(how, at=FIRST_TRIES, **where)
                told.ok()
                assert how is None or self.proxy.cuts
                world.advance(HOUR)
        self.proxy.cut("before", at=())
        return told

    def facts(self, name: str) -> dict[str, Any]:
        """All that is stored of a source, times and keys aside."""
        engine = make_engine(self.url)
        with engine.connect() as conn:
            tables = {table.name: table for table in metadata.tables.values()}
            source = tables["sources"]
            key = conn.execute(sa.select(source.c.id).where(source.c.name == name)).scalar_one()
            found = {}
            for title in FACTS:
                table = tables[title]
                columns = [c for c in table.c if not _is_private(c)]
                rows = conn.execute(sa.select(*columns).where(table.c.source_id == key))
                found[title] = Counter(tuple(row) for row in rows)
        engine.dispose()
        return found


FACTS = (
    *("sync_runs", "list_pages", "video_jobs", "video_job_versions"),
    *("rejected_items", "unknown_fields", "coverage_gaps", "sync_state"),
)


def _is_private(column: sa.Column[Any]) -> bool:
    ours = {"id", "source_id", "run_id", "change_seq", "worker", "last_commit", "config_hash", "duration_ms"}
    mine = {"valid_from", "latency_ms", "complete_run_id", "first_run_id", "lease_token"}
    return column.name in ours | mine or (column.name.endswith("_at") and column.name != "created_at")


WAYS: dict[How, dict[str, Any]] = {
    "answer": {"behind": BATCH},
    "sent": {"behind": BATCH},
    "before": {"behind": BATCH},
    "halfway": {"on": ROWS},
}


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
def test_every_commit_of_a_run_loses_its_connection(proxy: Proxy, engine_url: str) -> None:
    history = History(proxy, engine_url)
    history.tell("calm")
    calm = history.facts("calm")
    assert len(calm["video_job_versions"]) > len(calm["video_jobs"]) >= 300
    assert calm["rejected_items"] and calm["unknown_fields"]
    for how, where in WAYS.items():
        history.tell(how, how, **where)
        assert history.facts(how) == calm, how


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_a_commit_that_is_still_at_work_when_it_is_tried_again(
    proxy: Proxy, engine: sa.Engine, engine_url: str
) -> None:
    """Its connection is gone, the server has not noticed, and commits a moment later all the same."""
    history = History(proxy, engine_url)
    history.tell("calm")
    with engine.begin() as conn:
        for statement in SLOW_COMMITS:
            conn.exec_driver_sql(statement)
    history.tell("late", "sent", behind=BATCH)
    assert history.facts("late") == history.facts("calm")


SLOW_COMMITS = (
    "CREATE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql"
    " AS $$ BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END $$",
    "CREATE CONSTRAINT TRIGGER slow AFTER UPDATE ON sync_state DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION slow()",
)
