"""What the first page shows, from the reports: tiles, charts and tables of one range."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

from etl.analytics import durations, queries
from etl.analytics.filters import Filter
from etl.analytics.queries import Table
from etl.analytics.rendering import show_value
from etl.analytics.sums import add_amounts, sum_rows
from etl.db.engine import Engine
from etl.web.dashboard.buckets import is_hourly, is_minutely
from etl.web.dashboard.charts import (
    Chart,
    Point,
    Scale,
    draw_bars,
    draw_lines,
    round_number,
    round_share,
    round_span,
)
from etl.web.dashboard.filters import SLOWEST, PageQuery
from etl.web.dashboard.formatting import failure_share, show_money, show_seconds, show_share
from etl.web.dashboard.tiles import Tile, tiles_of
from etl.web.dashboard.time_axis import Slot, make_slots
from etl.words import count_noun

#: Rows of a table on the first page.
FEW = 8
#: Coverage gaps that are told one by one.
_GAPS = 3
#: Longer ranges are not compared with the time before: that would read as much again.
_COMPARED_UP_TO = timedelta(days=90)
STATES = ("completed", "failed", "stopped", "unfinished", "vanished")


@dataclass(frozen=True, slots=True)
class Overview:
    tiles: tuple[Tile, ...]
    charts: tuple[Chart, ...]
    volume: Table
    models: Table
    failures: Table
    notes: tuple[str, ...]
    jobs: int


def collect_overview(engine: Engine, chosen: Filter, query: PageQuery) -> Overview:
    """A handful of questions, each over the jobs of the range. Raises StorageError."""
    volume, models = _read_counts(engine, chosen)
    cache = queries.run_report(engine, "cache", chosen)
    sums, took = _sum_columns(volume), durations.latency_percentiles(engine, chosen)
    return Overview(
        tiles=tiles_of(sums, _sums_before(engine, chosen), took, _sum_columns(cache), chosen, query),
        charts=_overview_charts(volume, cache, sums, chosen, query),
        volume=replace(volume, rows=volume.rows[::-1]),
        models=_dearest_models(models),
        failures=queries.run_report(engine, "failures", chosen),
        notes=_overview_notes(engine, chosen, sums, volume),
        jobs=int(sums.get("jobs", 0)),
    )


def _read_counts(engine: Engine, chosen: Filter) -> tuple[Table, Table]:
    """Jobs by minute, hour or day, and by model. Days and models are read at once: long ranges take long."""
    if is_hourly(chosen):
        name = "minutely" if is_minutely(chosen) else "hourly"
        return queries.run_report(engine, name, chosen), queries.run_report(engine, "models", chosen)
    usage = queries.run_report(engine, "usage", chosen)
    return _group_rows(usage, "daily", ("day",)), _group_rows(usage, "models", ("provider", "model"))


def _group_rows(usage: Table, name: str, keys: tuple[str, ...]) -> Table:
    """Adds up what differs in other things than `keys`; shares are taken anew."""
    kept = [column for column in usage.columns if column.name in keys or column.kind not in ("day", "text")]
    groups: dict[Any, list[dict[str, Any]]] = {}
    for row in _rows_as_dicts(usage):
        groups.setdefault(tuple(row[key] for key in keys), []).append(row)
    rows = [dict(zip(keys, group, strict=True)) | _sum_rows(found) for group, found in groups.items()]
    found = tuple(tuple(r[c.name] for c in kept) for r in rows)
    return replace(usage, name=name, columns=tuple(kept), rows=found, totals=sum_rows(kept, found))


def _sum_rows(rows: list[dict[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("jobs", *STATES, "seconds", "cost", "uncosted_jobs"):
        known = [row[name] for row in rows if row[name] is not None]
        found[name] = sum(known) if known else None
    found["other_costs"] = add_amounts([row["other_costs"] for row in rows])
    failed, ended = failure_share(found)
    return found | {"failure_rate": failed / ended if ended else None}


def _dearest_models(models: Table) -> Table:
    place = [column.name for column in models.columns].index("cost")
    return replace(models, rows=tuple(sorted(models.rows, key=lambda row: -(row[place] or 0))))


def _rows_as_dicts(table: Table) -> list[dict[str, Any]]:
    names = [column.name for column in table.columns]
    return [dict(zip(names, row, strict=True)) for row in table.rows]


def _sum_columns(table: Table) -> dict[str, float]:
    """Each column of numbers added up; what is unknown everywhere is left out."""
    found: dict[str, float] = {}
    for row in _rows_as_dicts(table):
        for name, value in row.items():
            if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
                found[name] = found.get(name, 0) + float(value)
    return found


def _sums_before(engine: Engine, chosen: Filter) -> dict[str, float]:
    """The same sums of the time just before, as long as the range; nothing when our history begins later."""
    if chosen.since is None:
        return {}
    length = (chosen.until or chosen.now) - chosen.since
    if not timedelta(0) < length <= _COMPARED_UP_TO:
        return {}
    oldest = queries.oldest_job_at(engine)
    if oldest is None or oldest > chosen.since - length:
        return {}
    earlier = replace(chosen, since=chosen.since - length, until=chosen.since)
    return _sum_columns(queries.run_report(engine, "totals", earlier))


def _overview_notes(
    engine: Engine, chosen: Filter, sums: Mapping[str, float], volume: Table
) -> tuple[str, ...]:
    gaps = queries.find_unseen_periods(engine, chosen)
    notes = [
        f"Coverage gap in {gap.source}: jobs created from {show_value(gap.since, 'instant', chosen.zone)} to "
        f"{show_value(gap.until, 'instant', chosen.zone)} may be missing ({gap.reason})."
        for gap in gaps[-_GAPS:]
    ]
    if len(gaps) > _GAPS:
        more = count_noun(len(gaps) - _GAPS, "more coverage gap")
        notes.append(f"{more} in this range: `bifrost-etl status` lists them.")
    others = add_amounts([row["other_costs"] for row in _rows_as_dicts(volume)])
    if others:
        notes.append(f"Also spent, in other currencies: {others}.")
    missing = int(sums.get("uncosted_jobs", 0))
    if missing:
        jobs = count_noun(missing, "completed job is", "completed jobs are")
        notes.append(f"{jobs} not in the cost: `bifrost-etl prices check` shows which.")
    return tuple(notes)


# --- charts ------------------------------------------------------------------------------------

_COUNT = Scale(round_number, lambda n: f"{n:,.0f}" if n == int(n) else f"{n:,.1f}")
_PERCENT = Scale(round_share, lambda n: f"{100 * n:.3g}%")
_SPAN = Scale(round_span, show_seconds)


def _overview_charts(
    volume: Table, cache: Table, sums: Mapping[str, float], chosen: Filter, query: PageQuery
) -> tuple[Chart, ...]:
    """The charts of one axis: jobs, how many failed, what they cost, and how often the cache helped."""
    rows = {row[volume.columns[0].name]: row for row in _rows_as_dicts(volume) if row[volume.columns[0].name]}
    axis, currency = make_slots(chosen, rows, minutes=True), chosen.currency
    counts = _add_by_slot(axis, rows, STATES)
    costs = _add_by_slot(axis, rows, ("cost", "uncosted_jobs"))
    ended = [failure_share(dict(zip(STATES, each, strict=True))) for each in counts]
    fees = Scale(round_number, lambda n: f"{n:,.0f}" if n >= 10 or not n else f"{n:,.2f}")
    charts = [
        draw_bars("Jobs", f"{sums.get('jobs', 0):,.0f}", axis, counts, STATES, _COUNT,
            lambda n: _counted_text(counts[n]), _link_to_slot(query)),
        draw_bars("Failure rate", show_share(*failure_share(sums)), axis,
            _rate_points(ended), ("failed",), _PERCENT,
            lambda n: _share_text(ended[n], "failed"), _link_to_slot(query, status=("failed",))),
        draw_bars(f"Cost, {currency}", show_money(sums.get("cost"), currency), axis,
            [c[:1] for c in costs], ("cost",), fees,
            lambda n: _priced_text(costs[n], currency), _link_to_slot(query, status=("completed",))),
    ]  # fmt: skip
    return (*charts, *_cache_chart(cache, chosen, query))


def _cache_chart(cache: Table, chosen: Filter, query: PageQuery) -> list[Chart]:
    """Lookups are counted by day only: a chart of hours has none."""
    found: dict[Any, dict[str, float]] = {}
    for row in _rows_as_dicts(cache):
        of_day = found.setdefault(row["day"], {"hits": 0.0, "lookups": 0.0})
        for name in of_day:
            of_day[name] += row[name]
    if not found or is_hourly(chosen):
        return []
    axis = make_slots(chosen, found)
    pairs = _add_by_slot(axis, found, ("hits", "lookups"))
    whole = show_share(sum(hits for hits, _ in pairs), sum(every for _, every in pairs))
    full = Scale(lambda _: 1.0, _PERCENT.show)
    link = _link_to_slot(query, path="/tables/cache")
    return [
        draw_bars(
            "Cache hit rate",
            whole,
            axis,
            _rate_points(pairs),
            ("cache",),
            full,
            lambda n: _share_text(pairs[n], "hits"),
            link,
        )
    ]


def pace_charts(table: Table, chosen: Filter, query: PageQuery) -> list[Chart]:
    """Percentiles over time: all of it, waiting, and rendering."""
    titles = {"total": "Total", "queue": "Queued", "render": "Rendering"}
    axis = make_slots(chosen, (row[0] for row in table.rows if row[0]), join=False)
    found = []
    for part, title in titles.items():
        if table.cut and part != "total":
            continue
        known = {key: ranks for key, *ranks in durations.rows_of(table, part)}
        points: list[Point] = [tuple(known.get(slot.keys[0], (None,) * 3)) for slot in axis]
        link = _link_to_slot(query, status=("completed",), sort=SLOWEST)
        found.append(draw_lines(title, "", axis, points, ("p50", "p90", "p99"), _SPAN, link))
    return found


def _add_by_slot(
    axis: Sequence[Slot], rows: Mapping[Any, Mapping[str, Any]], names: Sequence[str]
) -> list[Any]:
    """For each slot the sums of these columns."""
    return [
        tuple(sum(float(rows[key][name] or 0) for key in slot.keys if key in rows) for name in names)
        for slot in axis
    ]


def _rate_points(pairs: Sequence[tuple[float, float]]) -> list[Point]:
    return [(part / whole if whole else None,) for part, whole in pairs]


def _link_to_slot(query: PageQuery, *, path: str = "/jobs", **changes: Any) -> Callable[[Slot], str]:
    return lambda slot: query.url(path, since=slot.since, until=slot.until, **changes)


def _share_text(pair: tuple[float, float], word: str) -> str:
    return f"{show_share(*pair)} ({pair[0]:,.0f} {word} of {pair[1]:,.0f})"


def _priced_text(pair: tuple[float, float], currency: str) -> str:
    cost, missing = pair
    return show_money(cost, currency) + (f", {count_noun(int(missing), 'job')} unpriced" if missing else "")


def _counted_text(values: Sequence[float]) -> str:
    completed, failed, *others = values
    rest = [f", {n:,.0f} {name}" for n, name in zip(others, STATES[2:], strict=True) if n]
    return f"{completed:,.0f} completed, {failed:,.0f} failed{''.join(rest)}"
