"""What the first page shows, from the reports: tiles, charts and tables of one range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from etl.analytics import queries
from etl.analytics.browsing import latencies
from etl.analytics.queries import Engine, Filter, Table
from etl.analytics.rendering import shown
from etl.web.dashboard_cells import money, span
from etl.web.dashboard_charts import Chart, Values, by_day

#: Rows of a table on the first page.
FEW = 8


@dataclass(frozen=True, slots=True)
class Tile:
    """One number. `link` names the section or page behind it; `tone` is good, bad or nothing."""

    name: str
    text: str
    more: str = ""
    link: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    tiles: tuple[Tile, ...]
    charts: tuple[Chart, ...]
    daily: Table
    models: Table
    latency: Table
    failures: Table
    notes: tuple[str, ...]
    known_models: tuple[str, ...]
    jobs: int


def collect(engine: Engine, chosen: Filter) -> Overview:
    """Seven questions, each over the jobs of the range. Raises StorageError."""
    daily, models = (queries.run(engine, name, chosen) for name in ("daily", "models"))
    cache = queries.run(engine, "cache", chosen)
    sums = _sums(daily)
    return Overview(
        tiles=_tiles(sums, latencies(engine, chosen), _sums(cache), chosen.currency),
        charts=_charts(daily, cache, chosen.currency),
        daily=replace(daily, rows=daily.rows[::-1]),
        models=models,
        latency=queries.run(engine, "latency", chosen),
        failures=queries.run(engine, "failures", chosen),
        notes=_notes(engine, chosen, sums),
        known_models=_known_models(engine, chosen, models),
        jobs=int(sums.get("jobs", 0)),
    )


def _known_models(engine: Engine, chosen: Filter, models: Table) -> tuple[str, ...]:
    """To choose from: those of the range, whichever is chosen now."""
    every = models
    if chosen.models or chosen.statuses:
        every = queries.run(engine, "models", replace(chosen, models=(), statuses=()))
    place = [column.name for column in every.columns].index("model")
    return tuple(sorted({row[place] for row in every.rows if row[place]} | set(chosen.models)))


def _dicts(table: Table) -> list[dict[str, Any]]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def _sums(table: Table) -> dict[str, float]:
    """Each column of numbers added up; what is unknown everywhere is left out."""
    found: dict[str, float] = {}
    for row in _dicts(table):
        for name, value in row.items():
            if isinstance(value, int | float) and not isinstance(value, bool):
                found[name] = found.get(name, 0) + value
    return found


def _tiles(
    sums: dict[str, float], took: dict[int, float], cache: dict[str, float], currency: str
) -> tuple[Tile, ...]:
    jobs, failed = sums.get("jobs", 0), sums.get("failed", 0)
    ended = sums.get("completed", 0) + failed
    lookups, hits = cache.get("lookups", 0), cache.get("hits", 0)
    uncosted = int(sums.get("uncosted_jobs", 0))
    return (
        Tile("Jobs", f"{jobs:,.0f}", f"{sums.get('completed', 0):,.0f} completed", "jobs"),
        Tile(
            "Failure rate", _share(failed, ended), f"{failed:,.0f} failed", "failed", "bad" if failed else ""
        ),
        Tile(
            "Cost",
            money(sums.get("cost"), currency),
            f"{uncosted:,} without a price" if uncosted else "all priced" if jobs else "",
        ),
        Tile("Video made", span(sums.get("seconds")), "length of completed clips"),
        Tile("Time to finish", span(took.get(50)), f"95 % within {span(took.get(95))}" if took else "median"),
        Tile("Cache hit rate", _share(hits, lookups), f"{lookups:,.0f} lookups"),
    )


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.1%}" if whole else "–"


def _notes(engine: Engine, chosen: Filter, sums: dict[str, float]) -> tuple[str, ...]:
    notes = [
        f"Coverage gap in {gap.source}: jobs created from {shown(gap.since, 'instant', chosen.zone)} to "
        f"{shown(gap.until, 'instant', chosen.zone)} may be missing ({gap.reason})."
        for gap in queries.gaps(engine, chosen)
    ]
    missing = int(sums.get("uncosted_jobs", 0))
    if missing:
        notes.append(
            f"{missing:,} completed jobs are not in the cost: `bifrost-etl prices check` names them."
        )
    return tuple(notes)


# --- charts ------------------------------------------------------------------------------------


def _charts(daily: Table, cache: Table, currency: str) -> tuple[Chart, ...]:
    rows = _dicts(daily)
    states = ("completed", "failed", "unfinished")
    volume: Values = {
        row["day"]: tuple(float(row[name] or 0) for name in states) for row in rows if row["day"]
    }
    cost: Values = {row["day"]: (float(row["cost"] or 0),) for row in rows if row["day"]}
    return (
        by_day("Jobs", volume, states, _counted, join=_added(3)),
        by_day("Failure rate", _ended(volume), ("failed",), _rate("failed"), join=_added(2), heights=_percent,
               top=1.0, show_top=lambda _: "100%"),
        by_day(f"Cost, {currency}", cost, ("cost",), lambda v: money(v[0], currency), join=_added(1),
               show_top=lambda number: f"{number:,.2f}"),
        by_day("Cache hit rate", _lookups(cache), ("cache",), _rate("hits"), join=_added(2), heights=_percent,
               top=1.0, show_top=lambda _: "100%"),
    )  # fmt: skip


def _ended(volume: Values) -> Values:
    """Per day: failed, and all that ended."""
    return {day: (failed, completed + failed) for day, (completed, failed, _) in volume.items()}


def _lookups(cache: Table) -> Values:
    found: dict[date, tuple[float, ...]] = {}
    for row in _dicts(cache):
        hits, lookups = found.get(row["day"], (0.0, 0.0))
        found[row["day"]] = hits + row["hits"], lookups + row["lookups"]
    return found


def _added(width: int) -> Any:
    def join(days: Sequence[tuple[float, ...]]) -> tuple[float, ...]:
        return tuple(sum(day[n] for day in days) for n in range(width))

    return join


def _percent(values: tuple[float, ...]) -> tuple[float, ...]:
    part, whole = values
    return (part / whole if whole else 0.0,)


def _rate(word: str) -> Any:
    return lambda values: f"{_share(*values)} ({values[0]:,.0f} {word} of {values[1]:,.0f})"


def _counted(values: tuple[float, ...]) -> str:
    completed, failed, unfinished = values
    return f"{completed:,.0f} completed, {failed:,.0f} failed, {unfinished:,.0f} unfinished"
