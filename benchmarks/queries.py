"""How long the shipped views and reports take, and the database's plan for each.

    python -m benchmarks.queries DATABASE_URL [NOW]      (NOW: unix seconds; default: the newest job's time)

Prints JSON. Reports run over 30 days, as by default, and over everything; views give their first 1,000 rows.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.queries import run_report
from etl.analytics.reports import REPORTS
from etl.db.engine import make_engine
from etl.schema.tables import video_jobs
from etl.schema.views.create import VIEWS

ROWS = 1000
_WARM, _TIMES = 1, 3


def works(engine: sa.Engine, now: datetime) -> Iterator[tuple[str, Callable[[], int]]]:
    """Name, and what to run: it gives the number of rows."""
    for view in VIEWS:
        yield f"SELECT * FROM {view.name}", lambda name=view.name: _view(engine, name)  # type: ignore[misc]
    for days in (30, None):
        since = None if days is None else now - timedelta(days=days)
        chosen = Filter(now, since=since, limit=ROWS)
        for name in REPORTS:
            said = f"report {name}, {'everything' if days is None else f'{days} days'}"
            yield said, lambda name=name, chosen=chosen: len(run_report(engine, name, chosen).rows)  # type: ignore[misc]


def _view(engine: sa.Engine, name: str) -> int:
    with engine.connect() as conn:
        return len(conn.execute(sa.text(f"SELECT * FROM {name} LIMIT {ROWS}")).all())


def measure(engine: sa.Engine, now: datetime) -> list[dict[str, Any]]:
    asked: list[tuple[str, Any]] = []
    sa.event.listen(
        engine, "before_cursor_execute", lambda _c, _x, text, values, *_: asked.append((text, values))
    )
    found = []
    for name, work in works(engine, now):
        took = []
        for _ in range(_WARM + _TIMES):
            asked.clear()
            began = time.perf_counter()
            rows = work()
            took.append(time.perf_counter() - began)
        plan = [line for text, values in list(asked) for line in _plan(engine, text, values)]
        found.append({"name": name, "seconds": min(took[_WARM:]), "rows": rows, "plan": plan})
    return found


def _plan(engine: sa.Engine, text: str, values: Any) -> list[str]:
    sqlite = engine.dialect.name == "sqlite"
    with engine.connect() as conn:
        rows = conn.exec_driver_sql(f"EXPLAIN {'QUERY PLAN ' if sqlite else ''}{text}", values).all()
    if not sqlite:
        return [" | ".join(str(cell) for cell in row if cell is not None) for row in rows]
    depth = {0: -1}
    for number, above, *_ in rows:
        depth[number] = depth[above] + 1
    return ["  " * depth[number] + detail for number, _, _, detail in rows]


def main(url: str, now: float | None) -> None:
    engine = make_engine(url)
    with engine.connect() as conn:
        newest = conn.scalar(sa.select(sa.func.max(video_jobs.c.created_at)))
    moment = datetime.fromtimestamp(now, UTC) if now is not None else newest or datetime.now(UTC)
    print(json.dumps(measure(engine, moment)))
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]) if len(sys.argv) > 2 else None)
