"""How a fleet scales: the same sources by 1, 2, 4 and 8 workers, each a process that works on one at a time.

    python -m benchmarks.scaling_fleet [SOURCES JOBS LATENCY_MS PAGE]          (16 2000 100 20)

Gateways are simulated in processes of their own and answer after LATENCY_MS, PAGE jobs at a time: pages are
small so that waiting, not the processor, is what is shared out. Every measurement is a first load, then a
tick, then a reconcile, into a PostgreSQL database of its own. `threads` is the same without a cluster, in one
process. At the end: one source's reconcile by the number of its requests at once.
"""

from __future__ import annotations

import multiprocessing
import os
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from etl.app import App
from etl.config import Config, Dask, DatabaseConfig, Secret, SecretUrl, Source
from etl.records import RunResult
from etl.simulator import Simulator, World
from tests.support.databases import Server, postgres_server

TOKEN = "benchmark-token"
PER_PROCESS = 4


def serve(seeds: list[int], jobs: int, latency: float, pipe: Any) -> None:
    """Gateways until the pipe closes; their jobs are drawn before the clock runs."""
    worlds = [World(seed=seed, jobs=jobs, start=time.time()) for seed in seeds]
    sims = [Simulator(world, token=TOKEN, latency=latency).start() for world in worlds]
    for world in worlds:
        world.advance(86400)  # every job is settled
        world.expected()
    pipe.send([sim.base_url for sim in sims])
    with suppress(EOFError):  # whoever asked is gone
        pipe.recv()


@contextmanager
def gateways(count: int, jobs: int, latency: float) -> Iterator[list[str]]:
    spawn = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for first in range(0, count, PER_PROCESS):
        ours, theirs = spawn.Pipe()
        seeds = list(range(first + 1, min(first + PER_PROCESS, count) + 1))
        process = spawn.Process(target=serve, args=(seeds, jobs, latency, theirs), daemon=True)
        process.start()
        pipes.append(ours)
        processes.append(process)
    try:
        yield [url for pipe in pipes for url in pipe.recv()]
    finally:
        for pipe, process in zip(pipes, processes, strict=True):
            pipe.send(None)
            process.join()


def config(urls: list[str], database: str, **more: Any) -> Config:
    reading = {key: more.pop(key) for key in ("concurrency", "page_size") if key in more}
    sources = tuple(
        Source(name=f"s{n}", base_url=url, provider="openai", api_key=Secret(TOKEN), **reading)
        for n, url in enumerate(urls)
    )
    return Config(sources=sources, database=DatabaseConfig(url=SecretUrl(database)), **more)


def timed(app: App, verb: str) -> tuple[float, list[RunResult]]:
    began = time.perf_counter()
    results: list[RunResult] = getattr(app, verb)()
    took = time.perf_counter() - began
    assert {result.status for result in results} == {"ok"}, [result.error for result in results]
    return took, results


def measure(server: Server, settings: dict[str, Any], urls: list[str], jobs: int) -> list[float]:
    """Seconds of a first load, a tick and a reconcile."""
    name = f"fleet{time.monotonic_ns()}"
    with App(config(urls, server.create(name), **settings)) as app:
        fleet = app.fleet()
        if fleet is not None:  # workers import the program once, before the clock runs
            fleet._client.run(lambda: __import__("etl.cluster.task") and None)
        first, loaded = timed(app, "sync")
        assert sum(result.counts.jobs_inserted for result in loaded) == len(urls) * jobs
        rest = [timed(app, verb)[0] for verb in ("sync", "reconcile")]
    server.drop(name)
    return [first, *rest]


def main(sources: int, jobs: int, latency: float, page: int) -> None:
    print(
        f"{sources} sources, {jobs:,} jobs each, {latency * 1000:.0f} ms per request, {os.cpu_count()} cores"
    )
    with postgres_server("max_connections=200") as server, gateways(sources, jobs, latency) as urls:
        for way in ("dask", "threads"):
            base: list[float] = []
            for workers in (1, 2, 4, 8):
                dask = {"executor": "dask", "dask": Dask(workers=workers, threads=1)}
                settings = dask if way == "dask" else {"parallel": workers}
                took = measure(server, {**settings, "page_size": page}, urls, jobs)
                base = base or took
                shown = "  ".join(f"{t:6.2f} s ({b / t:4.1f}x)" for t, b in zip(took, base, strict=True))
                print(f"{way:8} {workers}  first load, tick, reconcile: {shown}", flush=True)
    with postgres_server() as server, gateways(1, 10 * jobs, latency) as urls:
        for concurrency in (1, 4, 16, 64):
            *_, scan = measure(server, {"concurrency": concurrency}, urls, 10 * jobs)
            print(
                f"reconcile of {10 * jobs:,} jobs, {concurrency:2} requests at once: {scan:6.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    given = [float(word) for word in sys.argv[1:]] or [16, 2000, 100, 20]
    main(int(given[0]), int(given[1]), given[2] / 1000, int(given[3]))
