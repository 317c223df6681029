"""What the first page shows, from the reports: tiles, charts and tables of one range."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any
from zoneinfo import ZoneInfo

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
        charts=_charts(daily, cache, chosen),
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
            f"Cost, {currency}",
            money(sums.get("cost"), ""),
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


def _charts(daily: Table, cache: Table, chosen: Filter) -> tuple[Chart, ...]:
    rows = [row for row in _dicts(daily) if row["day"]]
    states, currency = ("completed", "failed", "unfinished"), chosen.currency
    volume: Values = {row["day"]: tuple(float(row[name] or 0) for name in states) for row in rows}
    cost: Values = {row["day"]: (float(row["cost"] or 0),) for row in rows}
    ended, lookups, ends = _ended(volume), _lookups(cache), _ends(chosen)
    rate: Any = {"join": _added(2), "heights": _percent, "show_top": lambda top: f"{top:.0%}", "ends": ends}
    return (
        by_day("Jobs", volume, states, _counted, join=_added(3), ends=ends),
        by_day("Failure rate", ended, ("failed",), _rate("failed"), top=_ceiling(ended), **rate),
        by_day(
            f"Cost, {currency}", cost, ("cost",), lambda v: money(v[0], currency), join=_added(1),
            show_top=lambda number: f"{number:,.2f}", ends=ends,
        ),
        by_day("Cache hit rate", lookups, ("cache",), _rate("hits"), top=1.0, **rate),
    )  # fmt: skip


def _ends(chosen: Filter) -> tuple[date | None, date | None]:
    """First and last day of the range, in the reporting time zone."""
    zone = ZoneInfo(chosen.zone)
    last = (chosen.until or chosen.now) - timedelta(microseconds=1)
    first = None if chosen.since is None else chosen.since.astimezone(zone).date()
    return first, last.astimezone(zone).date()


def _ceiling(ended: Values) -> float:
    """A round rate above all of them, so that small ones can be told apart."""
    worst = max((failed / whole for failed, whole in ended.values() if whole), default=0.0)
    return next(top for top in (0.05, 0.1, 0.25, 0.5, 1.0) if worst <= top)


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
