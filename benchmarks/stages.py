"""Where a first load's processor time goes: microseconds per job, one stage after another, in one thread.

    python -m benchmarks.stages [WORLD [JOBS [DATABASE [profile]]]]       (reference 20000 sqlite)

The stages are docs/architecture.md's: decode, transform, make ready, write; `write again` is what an
unchanged re-read's commits take. Fetching is the yardstick's business. `server` is the database server's own
time. `profile` prints the functions that take most.
"""

from __future__ import annotations

import cProfile
import gc
import pstats
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from benchmarks.process import processor_seconds
from benchmarks.stores import Stores
from benchmarks.worlds import World
from etl.db.engine import make_engine, write_transaction
from etl.extract.decode import decode_page
from etl.load import CommitBatch, Lane, Lease, Store, register_source
from etl.records import PageRequest, PageRows, RawPage, RunKind
from etl.schema import migrate
from etl.transform import Options, transform_page

PAGES_PER_BATCH = 50


def _now() -> datetime:
    return datetime.now(UTC)


def bodies(world: World) -> Iterator[tuple[PageRequest, bytes]]:
    """Every page oldest first, each with the limit at which no cache answers."""
    after, more = None, True
    while more:
        numbers, more = world.page(after, "asc", 99)
        yield PageRequest(after, "asc", 99), world.body(after, "asc", 99)
        after = world.ids[numbers[-1]]


def page_of(request: PageRequest, body: bytes) -> RawPage:
    found = decode_page(body)
    fields = found.fields
    ends = fields["first_id"], fields["last_id"], fields["has_more"]
    return RawPage(request, tuple(found.items), *ends, found.extra_fields, _now(), size=len(body))


class Stages:
    """Times what it runs; `took` is seconds of this process by stage, `server` those of the server."""

    def __init__(self, pid: int | None, profiler: cProfile.Profile | None) -> None:
        self.took: dict[str, float] = {}
        self.server: dict[str, float] = {}
        self._pid, self._profiler = pid, profiler

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        server = processor_seconds(self._pid) if self._pid else 0.0
        began = time.process_time()
        if self._profiler:
            self._profiler.enable()
        yield
        if self._profiler:
            self._profiler.disable()
        self.took[name] = time.process_time() - began
        self.server[name] = processor_seconds(self._pid) - server if self._pid else 0.0


def measure(stages: Stages, url: str, world: World) -> None:
    engine = make_engine(url)
    migrate.upgrade_schema(engine)
    with write_transaction(engine) as conn:
        source = register_source(conn, "main", "http://x", "openai", None, _now())
    asked = list(bodies(world))
    with stages.stage("decode"):
        raw = [page_of(request, body) for request, body in asked]
    with stages.stage("transform"):
        pages = [transform_page(page, Options(), source_provider="openai") for page in raw]
    first = _store(engine, source, "first")
    with stages.stage("make ready"):
        pages = [replace(page, ready=first.ready(page)) for page in pages]
    with stages.stage("write"):
        _write(first, pages)
    again = _store(engine, source, "reconcile")
    with stages.stage("write again"):
        _write(again, [replace(page, ready={}) for page in pages])
    engine.dispose()


def _store(engine: Any, source: int, kind: RunKind) -> Store:
    lease = Lease(source, "stages", 600)
    store = Store(engine, source, lease, kind=kind, clock=_now, sleep=time.sleep, patience=86400)
    store.open()
    store.committed.lanes["only"] = Lane("asc")
    return store


def _write(store: Store, pages: list[PageRows]) -> None:
    for start in range(0, len(pages), PAGES_PER_BATCH):
        part = pages[start : start + PAGES_PER_BATCH]
        last = start + PAGES_PER_BATCH >= len(pages)
        store.commit(
            CommitBatch([("only", page) for page in part], checkpoint={} if not last else None, complete=last)
        )
    store.lease.held = False


def main(name: str = "reference", jobs: str = "20000", database: str = "sqlite", *rest: str) -> None:
    world = World(name, int(jobs), int(time.time()))
    profiler = cProfile.Profile() if rest else None
    gc.disable()  # here all pages are held at once, which no run does
    with Stores() as stores, stores.empty(database) as store:
        server = stores.server(database)
        stages = Stages(server.pid if server else None, profiler)
        measure(stages, store.url, world)
    each = 1e6 / int(jobs)
    for stage, took in stages.took.items():
        print(f"{stage:12} {took * each:7.2f} µs   server {stages.server[stage] * each:7.2f} µs")
    if profiler:
        pstats.Stats(profiler).sort_stats("tottime").print_stats(45)


if __name__ == "__main__":
    main(*sys.argv[1:])
