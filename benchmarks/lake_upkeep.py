"""Is a lake that was fed N times in small steps as fast, as small and as right as one that was fed once?

    python -m benchmarks.lake_upkeep [--jobs 20000] [--minutes M] [N] [KIND …]

The lake begins with so many jobs. Each step is a run with 5 new jobs and 3 changes of any, then a delivery.
`keep_replaced` is a second, and three deliveries with nothing new follow at the end, so that what maintenance
may remove is gone. Rows are compared through readers that are not ours. Standard error says how far it is.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from etl.config import Destination, SecretUrl
from etl.db.engine import make_engine
from etl.feed import delivery
from etl.schema import migrate
from tests.support.feed_history import Writer, add_source
from tests.support.reading_back import held

KINDS = ("filesystem", "duckdb", "delta", "iceberg")
TABLES = (
    *("video_job_versions", "video_jobs", "job_requests", "list_pages", "cache_lookups", "sync_runs"),
    *("sources", "prices"),
)


def measure(kind: str, steps: int, jobs: int, minutes: float, folder: Path) -> dict[str, Any]:
    url = f"sqlite:///{folder}/etl.db"
    engine = make_engine(url)
    migrate.upgrade_schema(engine)
    writer = Writer(engine, add_source(engine, "a"))
    writer.step(new=jobs, changes=0)
    _feed(engine, kind, folder / "often")
    seconds, busy, most, largest = [], [], 0, 0
    until = time.monotonic() + 60 * minutes
    for step in range(1, steps + 1):
        writer.step(new=5, changes=3)
        began = time.process_time()
        seconds.append(_feed(engine, kind, folder / "often"))
        busy.append(time.process_time() - began)
        sizes = _files(folder / "often")
        most, largest = max(most, len(sizes)), max(largest, sum(sizes))
        if step % 100 == 0:
            print(kind, step, len(sizes), "files,", sum(sizes) // 1024, "KiB", file=sys.stderr, flush=True)
        if time.monotonic() > until:
            break
    just_fed = sum(_files(folder / "often"))
    for _ in range(3):  # with nothing new, when what was replaced may go
        time.sleep(1.1)
        _feed(engine, kind, folder / "often")
    once = _feed(engine, kind, folder / "once")
    engine.dispose()
    often_size, once_size = (sum(_files(folder / name)) for name in ("often", "once"))
    tables = [name for name in TABLES if (kind, name) != ("filesystem", "video_jobs")]
    reading = {name: _read(kind, folder / name, tables) for name in ("often", "once")}
    return {
        "kind": kind,
        "deliveries": len(busy),
        "ms_first_50": round(1000 * statistics.median(seconds[:50])),
        "ms_last_50": round(1000 * statistics.median(seconds[-50:])),
        "cpu_ms_first_50": round(1000 * statistics.mean(busy[:50])),
        "cpu_ms_last_50": round(1000 * statistics.mean(busy[-50:])),
        "ms_worst": round(1000 * max(seconds)),
        "ms_once": round(1000 * once),
        "most_files": most,
        "files": len(_files(folder / "often")),
        "files_once": len(_files(folder / "once")),
        "kib_just_fed": just_fed // 1024,
        "kib_most": largest // 1024,
        "kib": often_size // 1024,
        "kib_once": once_size // 1024,
        "size_factor": round(often_size / once_size, 2),
        "ms_read": round(1000 * reading["often"][0]),
        "ms_read_once": round(1000 * reading["once"][0]),
        "equal": reading["often"][1] == reading["once"][1],
    }


def _feed(engine: Any, kind: str, folder: Path) -> float:
    place = f"duckdb:///{folder}/warehouse.duckdb" if kind == "duckdb" else f"file://{folder}/{kind}"
    began = time.perf_counter()
    target = Destination(name="lake", type=kind, url=SecretUrl(place), keep_replaced=1.0)  # type: ignore[arg-type]
    result = delivery.deliver_to_one(engine, target)
    if result.error is not None:
        raise result.error
    return time.perf_counter() - began


def _files(folder: Path) -> list[int]:
    return [path.stat().st_size for path in folder.rglob("*") if path.is_file()]


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
