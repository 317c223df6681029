"""Cost over time, stacked by model or by whatever else the table is added up by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from etl.analytics.filters import Filter
from etl.analytics.queries import Table, run_report
from etl.analytics.spend import BY, SPANS, split_dimensions
from etl.db.engine import Engine
from etl.web.dashboard.buckets import is_hourly
from etl.web.dashboard.charts import Chart, Scale, draw_bars, round_number
from etl.web.dashboard.filters import PageQuery
from etl.web.dashboard.formatting import show_money
from etl.web.dashboard.time_axis import make_slots
from etl.words import count_noun

#: So many are drawn by name, the others as one.
_NAMED = 5
_FEES = Scale(round_number, lambda n: f"{n:,.0f}" if n >= 10 or not n else f"{n:,.2f}")


def cost_charts(engine: Engine, report: str, chosen: Filter, query: PageQuery) -> list[Chart]:
    """The chart of `report cost` or `spend`, in the reporting currency. Raises ConfigError, StorageError."""
    given = query.by or ("team" if report == "spend" else "model")
    names = [name for name in split_dimensions(given) if name not in SPANS] or ["model"]
    span = "hour" if is_hourly(chosen) else "day"
    found = run_report(engine, report, replace(chosen, limit=None, by=",".join([span, *names])))
    costs = _costs_by_name(found, span, [BY[name] for name in names], chosen.currency)
    if not costs:
        return []
    largest = sorted(costs, key=lambda name: (-sum(costs[name].values()), name))
    title = f"Cost by {' and '.join(names).replace('-', ' ')}, {chosen.currency}"
    return [_draw_costs(title, costs, largest, chosen, query)]


def _costs_by_name(
    table: Table, span: str, keys: Sequence[str], currency: str
) -> dict[str, dict[Any, float]]:
    """By name of what it is added up by, and by moment."""
    columns = [column.name for column in table.columns]
    costs: dict[str, dict[Any, float]] = {}
    for row in (dict(zip(columns, values, strict=True)) for values in table.rows):
        if row["cost"] is None or row.get("currency", currency) != currency or row[span] is None:
            continue
        name = " ".join(str(row[key]) for key in keys if row[key] is not None) or "–"
        of_name = costs.setdefault(name, {})
        of_name[row[span]] = of_name.get(row[span], 0.0) + float(row["cost"])
    return costs


def _draw_costs(
    title: str,
    costs: Mapping[str, Mapping[Any, float]],
    largest: Sequence[str],
    chosen: Filter,
    query: PageQuery,
) -> Chart:
    named, rest = largest[:_NAMED], largest[_NAMED:]
    axis = make_slots(chosen, {moment for of_name in costs.values() for moment in of_name})
    groups = [[name] for name in named] + ([rest] if rest else [])
    labels = (*named, *([count_noun(len(rest), "other")] if rest else []))
    points = [
        tuple(sum(costs[name].get(key, 0.0) for name in group for key in slot.keys) for group in groups)
        for slot in axis
    ]
    whole = show_money(sum(sum(point) for point in points), chosen.currency)

    def said(n: int) -> str:
        parts = [
            f"{label} {show_money(cost, chosen.currency)}"
            for label, cost in zip(labels, points[n], strict=True)
            if cost
        ]
        return ", ".join(parts) or "nothing"

    drawn = draw_bars(
        title,
        whole,
        axis,
        points,
        tuple(f"s{n}" for n in range(len(groups))),
        _FEES,
        said,
        lambda slot: query.url("/jobs", since=slot.since, until=slot.until, status=("completed",)),
    )
    return replace(drawn, parts=tuple(f"s{n}" for n in range(len(groups))), names=labels)
