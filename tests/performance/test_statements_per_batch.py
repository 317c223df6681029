"""A batch takes few statements whatever its pages hold: no page, no item and no job costs one.

Each kind of content stands on every page of a batch of MANY. On the servers every statement counts; on
SQLite, where a statement is no journey, the same one in a row counts once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest
import sqlalchemy as sa

from etl.db.engine import make_engine
from etl.pipeline import run
from etl.records import RunResult
from etl.schema import migrate
from etl.schema.tables import metadata
from etl.schema.views.create import VIEWS
from etl.simulator import World
from tests.performance.counting import counting, transactions
from tests.support.rig import Rig, rig

PAGE, MANY = 10, 40
#: Of one batch. At MANY pages, one statement for each page alone would be more.
MOST = 36
DAY = 86400.0


def _nothing(_: Rig) -> None:
    """Leave the world as it is."""


class Content(NamedTuple):
    """What the gateway sends. `before` is done before the first sync, `between` before the measured run."""

    before: Callable[[Rig], None] = _nothing
    between: Callable[[Rig], None] | None = None
    measured: Callable[[Rig], RunResult] = lambda r: r.sync()
    open: bool = False
    settings: dict[str, object] = {}  # noqa: RUF012 (never changed)


def _ids(r: Rig) -> list[str]:
    return [r.world.id_at(index) for index in range(r.world.created_count())]


def _cache_misses(r: Rig) -> None:
    r.sim.fault("cached:hit=miss,on=list")


def _stale_pages(r: Rig) -> None:
    """Every page comes from the gateway's cache once, and is asked for again."""
    r.sim.fault("cached:hit=semantic,times=1,on=list")
    for last in _ids(r):
        r.sim.fault(f"cached:hit=semantic,times=1,on=list,order=asc,after={last}")


def _rejects(r: Rig) -> None:
    """Two items of each page, each with other bytes."""
    for number, job_id in enumerate(_ids(r)):
        if number % 5 == 2:
            r.world.set(job_id, b'{"number":%d,"id":{}}' % number)


def _new_fields(r: Rig) -> None:
    """Two in each job, one of which no other job has."""
    for number, job_id in enumerate(_ids(r)):
        r.world.update(job_id, **{f"field_{number}": number, "hint": "new"})


def _other_models(r: Rig) -> None:
    for number, job_id in enumerate(_ids(r)):
        r.world.update(job_id, model=f"model-{number % 7}")


def _progress(r: Rig) -> None:
    for number, job_id in enumerate(_ids(r)):
        r.world.update(job_id, progress=number % 90 + 1)


def _all_settle(r: Rig) -> None:
    r.sim.advance(30 * DAY)


def _half_deleted(r: Rig) -> None:
    for job_id in _ids(r)[::2]:
        r.world.delete(job_id)


def _all_deleted_but_the_newest(r: Rig) -> None:
    for job_id in _ids(r)[:-1]:
        r.world.delete(job_id)


def _reconcile(r: Rig) -> RunResult:
    return r.reconcile(accept_suspicious=True)


_BY_ID = {"open_job_patience": 60.0, "rereads_per_run": PAGE * MANY}

CONTENTS = {
    "nothing special": Content(),
    "cache lookups": Content(_cache_misses),
    "cache lookups again": Content(_cache_misses, _nothing, _reconcile),
    "stale pages": Content(_stale_pages),
    "rejects": Content(_rejects),
    "rejects again": Content(_rejects, _nothing, _reconcile),
    "new fields": Content(_new_fields),
    "new fields again": Content(_new_fields, _nothing, _reconcile),
    "raw payloads": Content(settings={"raw_payloads": "store"}),
    "hashed prompts": Content(settings={"prompts": "hash"}),
    "open jobs": Content(open=True),
    "open jobs that settle": Content(between=_all_settle, open=True),
    "open jobs that progress": Content(between=_progress, measured=_reconcile, open=True),
    "progress with a version": Content(
        between=_progress, measured=_reconcile, open=True, settings={"history_progress": True}
    ),
    "changed jobs": Content(between=_other_models, measured=_reconcile),
    "deleted jobs": Content(between=_half_deleted, measured=_reconcile),
    "jobs read by id": Content(between=_all_settle, open=True, settings=_BY_ID),
    "jobs gone by id": Content(between=_all_deleted_but_the_newest, open=True, settings=_BY_ID),
}


@pytest.mark.parametrize("name", CONTENTS)
@pytest.mark.slow
def test_a_batch_of_many_pages_takes_few_statements(
    name: str,
    database: str,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setattr(run, "PAGES_PER_BATCH", 10 * MANY)
    monkeypatch.setattr(run, "SECONDS_PER_BATCH", 3600.0)  # a run is one batch, and what is seen at once
    batch = max(_batches(CONTENTS[name], database, database_url, request), key=len)
    assert len(batch) <= MOST, "\n".join(statement[:100] for statement in batch)


def _batches(content: Content, database: str, url: str, request: pytest.FixtureRequest) -> list[list[str]]:
    """Of the measured run: the transactions that wrote, each as the statements in it."""
    world = World(seed=63, jobs=PAGE * MANY, rate=0, gap=0.001, stuck=1.0 if content.open else 0.0)
    if not content.open:
        world.advance(30 * DAY)
    settings = {"page_size": PAGE, "concurrency": 1, "first_load_lanes": 1, **content.settings}
    with rig(world, url, settings=settings) as r:
        content.before(r)
        if content.between is not None:
            assert r.ok().counts.jobs_inserted > 0
            content.between(r)
        else:
            migrate.upgrade_schema(r.app.engine)
        with counting(r.app.engine, database, request) as counter:
            result = content.measured(r)
            assert result.status == "ok", result
            return transactions(counter.statements(), together=database == "sqlite")


@pytest.mark.parametrize("database", ["mariadb"], indirect=True)
def test_a_new_database_is_made_with_its_indexes(database_url: str) -> None:
    """MariaDB writes to the disk for each statement, and makes a table anew for an index of its own."""
    engine = make_engine(database_url)
    said: list[str] = []
    sa.event.listen(engine, "before_cursor_execute", lambda _c, _cursor, text, *_: said.append(text))
    migrate.upgrade_schema(engine)
    engine.dispose()
    made = [text.split()[:2] for text in said if text.lstrip().upper().startswith("CREATE")]
    assert len(made) <= len(metadata.tables) + len(VIEWS) + 1
    assert ["CREATE", "INDEX"] not in made
