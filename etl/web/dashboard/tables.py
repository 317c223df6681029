"""One table, as its address names it: a report, a log, a tree, percentiles over time."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from etl.analytics import durations, queries, run_log
from etl.analytics.budgets import budget_table, read_budgets
from etl.analytics.grouped import GROUPED
from etl.analytics.queries import Table
from etl.analytics.remix_tree import read_tree
from etl.analytics.spend import BY, NO_LOG_READ, names_nobody, split_dimensions
from etl.errors import ConfigError
from etl.web.dashboard.buckets import is_hourly
from etl.web.dashboard.cells import make_grid
from etl.web.dashboard.charts import Chart
from etl.web.dashboard.context import Call, Missing
from etl.web.dashboard.cost_chart import cost_charts
from etl.web.dashboard.formatting import show_money
from etl.web.dashboard.overview import pace_charts
from etl.web.dashboard.table_specs import TABLE_SPECS, TableSpec
from etl.words import count_noun

#: Rows of a table that is shown whole; more are in the files.
MANY = 500
#: A page that is sorted looks at so many rows; the files have all.
_SORTED_AMONG = 20_000
#: Trees go from parent to child, percentiles over time.
_IN_OWN_ORDER = ("tree", "pace")


def read_table(call: Call, limit: int | None) -> tuple[TableSpec, Table]:
    """The table that the address names. Raises Missing for another name."""
    name = call.request.path_params["name"]
    if name not in TABLE_SPECS:
        raise Missing(
            "There is no such table",
            f"Nothing is called {name[:100]!r}.",
            f"one of: {', '.join(TABLE_SPECS)}",
        )
    sort = call.query.sort if name not in _IN_OWN_ORDER else ""
    if not sort:
        return TABLE_SPECS[name], _query_table(call, name, limit)
    return TABLE_SPECS[name], sorted_table(_query_table(call, name, limit and _SORTED_AMONG), sort, limit)


def sorted_table(table: Table, sort: str, limit: int | None) -> Table:
    """Rows by the column `sort`, greatest first with "-" before it; what has no value comes last. Raises
    ConfigError when there is no such column."""
    names = [column.name for column in table.columns]
    name = sort.removeprefix("-")
    if name not in names:
        raise ConfigError(f"this table cannot be sorted by {name!r}", hint=f"one of: {', '.join(names)}")
    place = names.index(name)
    known = [row for row in table.rows if row[place] is not None]
    unknown = [row for row in table.rows if row[place] is None]
    known.sort(key=lambda row: _comparable(row[place]), reverse=sort != name)
    rows = tuple(known + unknown)
    return replace(table, rows=rows[:limit], cut=table.cut or (limit is not None and len(rows) > limit))


def _comparable(value: Any) -> tuple[int, Any]:
    """Numbers before texts: a column of any kind may hold both."""
    if isinstance(value, bool | int | float | Decimal):
        return 0, value
    return (1, value) if isinstance(value, date) else (2, str(value))


def _query_table(call: Call, name: str, limit: int | None) -> Table:
    if name == "tree":
        return _remix_tree(call)
    if name == "pace":
        chosen = call.chosen()
        return durations.durations_by_time(call.engine, chosen, hourly=is_hourly(chosen))
    if name == "budgets":
        return budget_table(read_budgets(call.engine, call.state.app().config.budgets, call.of_now()))
    if name in run_log.LOGS:
        return run_log.read_log(call.engine, name, call.query.source, run=run_of(call), limit=limit)
    chosen = replace(call.chosen(limit), by=call.query.by if name in GROUPED else "")
    table = queries.run_report(call.engine, name, chosen)
    return replace(table, ranged=table.ranged or name == "open")


def _remix_tree(call: Call) -> Table:
    named = call.job_named()
    try:
        return read_tree(call.engine, *named)
    except ConfigError as error:
        raise Missing("There is no such tree", str(error), error.hint) from None


def run_of(call: Call) -> int | None:
    given = call.parameters.get("run", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


def table_values(call: Call, view: TableSpec, table: Table) -> dict[str, Any]:
    """What the page of one table shows."""
    few = view.few if view.name in ("tree", "open", "models", "daily", "hourly", "budgets") else ()
    path = "" if view.name in (*_IN_OWN_ORDER, "pages") else f"/tables/{view.name}"
    drawn = make_grid(
        table,
        call.setting(unfold=True, sort_path=path),
        only=few,
        first=(*_key_names(call, view.name), *view.few),
    )
    charts = _charts_of(call, view.name, table)
    depths = [row[0] for row in table.rows] if view.name == "tree" else []
    view = replace(view, about=_describe_tree(table)) if view.name == "tree" else view
    beside = [TABLE_SPECS[name] for name in view.beside]
    values = {
        "page": view.name,
        "beside": beside,
        "view": view,
        "run": run_of(call),
        "charts": charts,
        "depths": depths,
    }
    return values | {
        "by": _by_links(call, view.name),
        "no_log": NO_LOG_READ if _lacks_owners(call, view.name, table) else "",
        "cut": table.cut,
        "ranged": table.ranged,
        "grid": drawn,
        "file": _file_address(call, view),
    }


def _lacks_owners(call: Call, name: str, table: Table) -> bool:
    if any(source.reads_log for source in call.state.app().config.sources):
        return False
    return name in GROUPED and names_nobody(name, call.query.by, table.columns, table.rows)


def _key_names(call: Call, name: str) -> tuple[str, ...]:
    """The columns that the table is added up by."""
    if name not in GROUPED or not call.query.by:
        return ()
    return tuple(BY[one] for one in split_dimensions(call.query.by))


def _by_links(call: Call, name: str) -> list[tuple[str, str, bool]]:
    """What else the table can be added up by: its name, its address, and whether it is so now."""
    if name not in GROUPED:
        return []
    now = call.query.by.replace("_", "-") or ("team" if name == "spend" else "")
    several = [(now.replace(",", " and "), call.query.url(f"/tables/{name}"), True)] if "," in now else []
    links = [(one.replace("-", " "), call.query.url(f"/tables/{name}", by=one), one == now) for one in BY]
    links += several
    return links if name == "spend" else [("all", call.query.url(f"/tables/{name}", by=""), not now), *links]


def _charts_of(call: Call, name: str, table: Table) -> list[Chart]:
    if name == "pace":
        return pace_charts(table, call.chosen(), call.query)
    return cost_charts(call.engine, name, call.chosen(), call.query) if name in ("cost", "spend") else []


def _describe_tree(table: Table) -> str:
    """How large the tree is, what it cost, and whether its root was never listed."""
    rows = [dict(zip((column.name for column in table.columns), row, strict=True)) for row in table.rows]
    sums: dict[str, float] = {}
    for row in rows:
        if row["cost"] is not None:
            sums[row["currency"]] = sums.get(row["currency"], 0) + row["cost"]
    parts = [count_noun(len(rows), "job: it remixes none and none remixes it", "jobs")]
    parts += [show_money(cost, currency) for currency, cost in sums.items()]
    unpriced = sum(row["cost_state"] in ("unpriced", "unknown") for row in rows)
    parts += [f"{unpriced:,} unpriced"] if unpriced else []
    parts += ["its root was never listed"] if rows[0]["depth"] else []
    return " · ".join(parts)


def _file_address(call: Call, view: TableSpec) -> str:
    """The address of its files, without the ending: `{}` stands for it."""
    path = f"/tables/{view.name}.{{}}"
    own = {name: call.parameters.get(name) for name in ("id", "source", "run")}
    if view.name in ("tree", "pages"):
        return f"{path}?{urlencode({name: value for name, value in own.items() if value})}"
    return call.query.url(path, sort=call.query.sort)
