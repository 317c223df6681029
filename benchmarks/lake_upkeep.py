"""Is a lake that was fed N times in small steps as fast, as small and as right as one that was fed once?

    python -m benchmarks.lake_upkeep [--jobs 20000] [--minutes M] [N] [KIND …]

The lake begins with so many jobs. Each step is a run with 5 new jobs and 3 changes of any, then a delivery.
`keep_replaced` is a second, and three deliveries with nothing new follow at the end, so that what maintenance
may remove is gone; then 30 deliveries more go to it and to a lake that was fed once. A thread weighs the lake
twenty times a second, so "most" is amid deliveries, too. Rows are compared through readers that are not ours.
Standard error says how far it is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from etl.config import Destination, SecretUrl
from etl.db.engine import make_engine
from etl.feed import delivery
from etl.schema import migrate
from tests.support.feed_history import Lifelike, add_source
from tests.support.reading_back import held

KINDS = ("filesystem", "duckdb", "delta", "iceberg")
TABLES = (
    *("video_job_versions", "video_jobs", "job_requests", "list_pages", "cache_lookups", "sync_runs"),
    *("sources", "prices"),
)


class Scales(threading.Thread):
    """Weighs a folder over and over: `most` bytes, and `most_files`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(daemon=True)
        self.folder, self.most, self.most_files, self.busy, self._ended = folder, 0, 0, 0.0, threading.Event()

    def run(self) -> None:
        while not self._ended.wait(0.05):
            sizes = _files(self.folder)
            self.most, self.most_files = max(self.most, sum(sizes)), max(self.most_files, len(sizes))
            self.busy = time.thread_time()

    def __enter__(self) -> Scales:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self.join()


def measure(kind: str, steps: int, jobs: int, minutes: float, folder: Path) -> dict[str, Any]:
    url = f"sqlite:///{folder}/etl.db"
    engine = make_engine(url)
    migrate.upgrade_schema(engine)
    writer = Lifelike(engine, add_source(engine, "a"))
    writer.step(new=jobs, changes=0)
    often, once = folder / "often", folder / "once"
    _feed(engine, kind, often)
    busy: list[float] = []
    with Scales(often) as scales:
        until = time.monotonic() + 60 * minutes
        while len(busy) < steps and time.monotonic() < until:
            writer.step(new=5, changes=3)
            began = time.process_time() - scales.busy
            _feed(engine, kind, often)
            busy.append(time.process_time() - scales.busy - began)
            if len(busy) % 100 == 0:
                print(
                    kind, len(busy), *map(round, _ms(busy[-100:])), _size(often), file=sys.stderr, flush=True
                )
    just_fed = _size(often)
    for _ in range(3):  # with nothing new, when what was replaced may go
        time.sleep(1.1)
        _feed(engine, kind, often)
    _feed(engine, kind, once)
    sizes = {place: _size(place) for place in (often, once)}
    counted = {place: len(_files(place)) for place in (often, once)}
    again: dict[Path, list[float]] = {often: [], once: []}
    for _ in range(30):
        writer.step(new=5, changes=3)
        for place, costs in again.items():
            costs.append(_busy_feed(engine, kind, place))
    engine.dispose()
    tables = [name for name in TABLES if (kind, name) != ("filesystem", "video_jobs")]
    reading = {place: _read(kind, place, tables) for place in (often, once)}
    return {
        "kind": kind,
        "deliveries": len(busy),
        "cpu_ms_first_100": _ms(busy[:100]),
        "cpu_ms_last_100": _ms(busy[-100:]),
        "most_files": scales.most_files,
        "files": counted[often],
        "files_once": counted[once],
        "kib_most": scales.most // 1024,
        "kib_just_fed": just_fed,
        "kib": sizes[often],
        "kib_once": sizes[once],
        "most_factor": round(scales.most / 1024 / sizes[once], 2),
        "rest_factor": round(sizes[often] / sizes[once], 2),
        "cpu_ms_30_more": _ms(again[often]),
        "cpu_ms_30_more_once": _ms(again[once]),
        "ms_read": round(1000 * reading[often][0]),
        "ms_read_once": round(1000 * reading[once][0]),
        "equal": reading[often][1] == reading[once][1],
    }


def _busy_feed(engine: Any, kind: str, folder: Path) -> float:
    began = time.process_time()
    _feed(engine, kind, folder)
    return time.process_time() - began


def _ms(seconds: list[float]) -> tuple[int, int]:
    """Their mean and their median."""
    return round(1000 * statistics.mean(seconds)), round(1000 * statistics.median(seconds))


def _feed(engine: Any, kind: str, folder: Path) -> None:
    place = f"duckdb:///{folder}/warehouse.duckdb" if kind == "duckdb" else f"file://{folder}/{kind}"
    target = Destination(name="lake", type=kind, url=SecretUrl(place), keep_replaced=1.0)  # type: ignore[arg-type]
    result = delivery.deliver_to_one(engine, target)
    if result.error is not None:
        raise result.error


def _files(folder: Path) -> list[int]:
    """Their sizes. Scales ask for them all the time, beside what is measured: so by the cheapest way."""
    found, folders = [], [str(folder)]
    for place in folders:
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                    continue
                with contextlib.suppress(OSError):  # gone since it was listed
                    found.append(entry.stat(follow_symlinks=False).st_size)
    return found


def _size(folder: Path) -> int:
    """KiB."""
    return sum(_files(folder)) // 1024


def _read(kind: str, folder: Path, tables: list[str]) -> tuple[float, dict[str, Any]]:
    """Seconds of the quickest of three, and the rows."""
    best, rows = float("inf"), {}
    for _ in range(3):
        began = time.perf_counter()
        rows = {name: held(kind, folder, name) for name in tables}
        best = min(best, time.perf_counter() - began)
    return best, rows


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lake_upkeep", description=__doc__)
    parser.add_argument("steps", metavar="N", type=int, nargs="?", default=1000, help="deliveries (1000)")
    parser.add_argument(
        "kinds", metavar="KIND", nargs="*", default=KINDS, help=f"of {', '.join(KINDS)} (all)"
    )
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs at the beginning (20000)")
    parser.add_argument(
        "--minutes", type=float, default=float("inf"), help="then no more deliveries are begun"
    )
    asked = parser.parse_args()
    for kind in asked.kinds:
        with tempfile.TemporaryDirectory() as folder:
            print(json.dumps(measure(kind, asked.steps, asked.jobs, asked.minutes, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
