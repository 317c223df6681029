"""Ticks one after another in one process, as the service does them, after one that does not count.

    python -m benchmarks.tick CONFIG TICKS

Prints JSON, per tick: milliseconds in all and without the gateway's answer, requests, statements, commits.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.app import App
from etl.config import load_config

_SPENT = sa.text("SELECT duration_ms FROM list_pages WHERE run_id = :run")


def listen(engine: sa.Engine) -> Counter[str]:
    """Counts statements and commits from now on."""
    seen: Counter[str] = Counter()
    sa.event.listen(engine, "before_cursor_execute", lambda *_: seen.update(["statements"]))
    sa.event.listen(engine, "commit", lambda *_: seen.update(["commits"]))
    return seen


def one(app: App, seen: Counter[str]) -> dict[str, Any]:
    seen.clear()
    began, processor = time.perf_counter(), time.process_time()
    result = app.sync()[0]
    took, worked = time.perf_counter() - began, time.process_time() - processor
    counted = dict(seen)
    assert result.status == "ok" and result.counts.jobs_inserted == 0, result
    with app.engine.connect() as connection:
        waited = sum(connection.scalars(_SPENT, {"run": result.run_id}))
    own = {"total_ms": took * 1000, "own_ms": took * 1000 - waited, "processor_ms": worked * 1000}
    return {**own, "requests": result.counts.requests, **counted}


def main(config: str, ticks: int) -> list[dict[str, Any]]:
    with App(load_config(Path(config), os.environ)) as app:
        seen = listen(app.engine)
        return [one(app, seen) for _ in range(ticks + 1)][1:]


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))
