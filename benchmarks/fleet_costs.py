"""What one more source costs: processor, bytes on the wire, rows in the log. For docs/scaling.md.

    python -m benchmarks.fleet_costs [SOURCES JOBS TICKS]          (50 1000 40)

Gateways are simulated in processes of their own and answer at once; the database is PostgreSQL. Processor
time is this process's: what the program itself uses, not the gateways and not the database.
"""

from __future__ import annotations

import sys
import time

import sqlalchemy as sa

from benchmarks.scaling_fleet import config, gateways, timed
from etl.app import App
from tests.support.databases import postgres_server

_SIZES = "SELECT count(*), pg_total_relation_size('{0}') FROM {0}"
_WIRE = "SELECT sum(bytes), sum(items), count(*) FROM list_pages"


def main(sources: int, jobs: int, ticks: int) -> None:
    with (
        postgres_server() as server,
        gateways(sources, jobs, 0.0) as urls,
        App(config(urls, server.create("costs"), parallel=8)) as app,
    ):
        many, began = sources * jobs, time.process_time()
        took, _ = timed(app, "sync")
        used = time.process_time() - began
        print(f"first load: {many:,} jobs in {took:.1f} s; {used / many * 1e6:.0f} µs of processor per job")
        with app.engine.connect() as conn:
            size, items, pages = conn.execute(sa.text(_WIRE)).one()
        print(f"wire: {size / items:.0f} bytes per job, {size / pages:,.0f} per page")
        tick(app, sources, ticks)
        with app.engine.connect() as conn:
            for table in ("list_pages", "sync_runs"):
                rows, size = conn.execute(sa.text(_SIZES.format(table))).one()
                print(f"{table}: {size / rows:.0f} bytes per row, indexes included")


def tick(app: App, sources: int, ticks: int) -> None:
    used, began = time.process_time(), time.perf_counter()
    for _ in range(ticks):
        timed(app, "sync")
    each = sources * ticks
    used, took = time.process_time() - used, time.perf_counter() - began
    print(f"tick: {used / each * 1e3:.1f} ms of processor per source; {each / took:.0f} sources a second")


if __name__ == "__main__":
    given = [int(word) for word in sys.argv[1:]] or [50, 1000, 40]
    main(*given)
