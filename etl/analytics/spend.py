"""Reports on who spent what, from the gateway's log: jobs by owner, and the price book against settled costs.

A job counts once, with what the gateway's log says that it cost, or else by the price book. Requests that
made no job, or one that the log does not name, are counted beside jobs and never added to them.
"""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from etl.analytics.job_counts import FAILURE_RATE, failure_rate
from etl.errors import ConfigError
from etl.log_records import MAKING
from etl.schema.views.aggregates import totals_or_jobs
from etl.schema.views.columns import Column, Scope
from etl.schema.views.dialects import Dialect
from etl.schema.views.job_facts import COUNTED, JOB_FACTS, outcome_sql
from etl.schema.views.owners import (
    DIMENSIONS,
    FELL_BACK,
    OWNER_JOINS,
    READ_TWICE,
    owner_name,
    settled_cost,
)
from etl.schema.views.pricing import job_cost, join_prices

#: What `report spend --by` takes, and the column of job_facts.
BY = {
    "team": "team",
    "customer": "customer",
    "virtual-key": "virtual_key",
    "user": "user_name",
    "business-unit": "business_unit",
    "model": "model",
    "provider": "provider",
    "source": "source",
    "status": "status",
    "size": "size",
    "hour": "hour",
    "day": "day",
    "week": "week",
    "month": "month",
}
#: Of these the spans of time, whose rows come in their order.
SPANS = ("hour", "day", "week", "month")

#: Who jobs belong to: the gateway's log tells.
OWNERS = {name for name, column in BY.items() if column in DIMENSIONS}

#: Said where jobs are added up by owners, no owner is known, and no log is read.
NO_LOG_READ = (
    "Who asked for a job stands in the gateway's log: `read_logs: true` of a source reads it "
    "(docs/who-spent-what.md)"
)

#: A price of the book that is off by more than this share of the gateway's is named.
OFF = 0.02

SPEND_COLUMNS = (
    Column("jobs", "integer", "Jobs created."),
    Column("completed", "integer", "Of these completed."),
    Column("failed", "integer", "Of these failed."),
    FAILURE_RATE,
    Column("seconds", "seconds", "Length of the completed clips."),
    Column("cost", "money", "What they cost, in the reporting currency: settled, or else by the price book."),
    Column("other_costs", "amounts", "The same in each other currency; null when nothing."),
    Column("settled_jobs", "integer", "Jobs whose cost the gateway's log says."),
    Column("uncosted_jobs", "integer", "Completed jobs without any cost."),
    Column("average_seconds", "seconds", "Mean time of completed jobs, from creation to completion."),
    Column(
        "refused_requests", "integer", "Requests that the gateway or provider refused: no job came of them."
    ),
    Column(
        "unnamed_requests", "integer", "Requests whose job the log does not name: their cost is not in cost."
    ),
    Column("unnamed_cost", "money", "What those cost by the log, in USD."),
)

RECONCILE_COLUMNS = (
    Column("provider", "text", "Provider that made the videos."),
    Column("model", "text", "Model as the gateway names it."),
    Column("resolution", "text", "Resolution band."),
    Column("jobs", "integer", "Completed jobs whose cost the gateway's log says."),
    Column("seconds", "seconds", "Length of their clips."),
    Column("settled_cost", "money", "What they cost by the gateway's log, in USD."),
    Column("estimated_cost", "money", "What they cost by the price book, in USD; null without a price."),
    Column("difference", "money", "settled_cost - estimated_cost."),
    Column("settled_price", "money", "settled_cost for each second."),
    Column("verdict", "text", "agrees, price too low, price too high, or no price: see `prices check`."),
)


def split_dimensions(by: str) -> tuple[str, ...]:
    """The dimensions of `--by`, which commas part; `virtual_key` is virtual-key. Raises ConfigError for one
    that is not in `BY`."""
    names = tuple(name.strip().replace("_", "-") for name in by.split(","))
    for name in names:
        if name not in BY:
            raise ConfigError(f"--by {name}: nothing can be grouped by that", hint=f"one of: {', '.join(BY)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"--by {by} names the same thing twice", hint="name it once")
    return names


def names_nobody(name: str, by: str, columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> bool:
    """Whether the report is added up by owners, and has rows of which none has one."""
    dimensions = split_dimensions(by) if by else ("team",) if name == "spend" else ()
    owners = {BY[one] for one in dimensions if one in OWNERS}
    places = [place for place, column in enumerate(columns) if column.name in owners]
    return bool(rows and places) and not any(row[place] for row in rows for place in places)


def spend_report(names: tuple[str, ...]) -> Callable[[Dialect, Scope], str]:
    """Jobs by some of `BY`."""
    keys = ", ".join(BY[name] for name in names)

    def sql(d: Dialect, scope: Scope) -> str:
        return f"""
SELECT {keys}, {d.whole("SUM(jobs)")} AS jobs, {d.whole("SUM(completed)")} AS completed,
  {d.whole("SUM(failed)")} AS failed,
  {failure_rate(d)} AS failure_rate,
  SUM(seconds) AS seconds,
  {d.sum_of_money("CASE WHEN spent_in = :currency THEN cost END")} AS cost,
  {d.amounts("spent_in", "CASE WHEN spent_in <> :currency THEN cost END")} AS other_costs,
  {d.whole("SUM(settled_jobs)")} AS settled_jobs, {d.whole("SUM(uncosted_jobs)")} AS uncosted_jobs,
  {d.rounded("SUM(took) / NULLIF(SUM(timed), 0)", 3)} AS average_seconds,
  {d.whole("SUM(refused)")} AS refused_requests, {d.whole("SUM(unnamed)")} AS unnamed_requests,
  {d.sum_of_money("unnamed_cost")} AS unnamed_cost
FROM (
  SELECT {keys}, spent_in, SUM(jobs) AS jobs, SUM(completed) AS completed, SUM(failed) AS failed,
    SUM(seconds) AS seconds, {d.sum_of_money("cost")} AS cost, SUM(settled_jobs) AS settled_jobs,
    SUM(uncosted_jobs) AS uncosted_jobs, SUM(took) AS took, SUM(timed) AS timed, SUM(refused) AS refused,
    SUM(unnamed) AS unnamed, {d.sum_of_money("unnamed_cost")} AS unnamed_cost
  FROM (
  {_spend_of_jobs(d, scope, names)}
  UNION ALL
  {_spend_of_requests(d, scope, names)}
  ) u GROUP BY {keys}, spent_in
) v GROUP BY {keys}"""

    return sql


def _spend_of_jobs(d: Dialect, scope: Scope, names: tuple[str, ...]) -> str:
    """Jobs of one kind and day have one price: they are counted first, and priced by the group."""
    keys = ", ".join(BY[name] for name in names)
    told = ", ".join(f"g.{place} AS {BY[name]}" for place, name in _places(names))
    cost = f"CASE WHEN g.outcome = 'completed' THEN {d.times(job_cost(d, 'g'), 'g.jobs')} END"
    return f"""SELECT {keys}, spent_in, SUM(jobs) AS jobs,
    SUM(CASE WHEN outcome = 'completed' THEN jobs ELSE 0 END) AS completed,
    SUM(CASE WHEN outcome = 'failed' THEN jobs ELSE 0 END) AS failed,
    SUM(CASE WHEN outcome = 'completed' THEN seconds * jobs END) AS seconds,
    {d.sum_of_money("spent")} AS cost, SUM(is_settled * jobs) AS settled_jobs,
    SUM(CASE WHEN outcome = 'completed' AND spent IS NULL THEN jobs ELSE 0 END) AS uncosted_jobs,
    SUM(took) AS took, SUM(timed) AS timed, 0 AS refused, 0 AS unnamed, {d.money("NULL")} AS unnamed_cost
  FROM (
    SELECT {told}, g.outcome, g.jobs, g.seconds, g.is_settled, g.took, g.timed,
      CASE WHEN g.is_settled = 1 THEN 'USD' ELSE p.currency END AS spent_in,
      CASE WHEN g.is_settled = 1 THEN g.settled ELSE {cost} END AS spent
    FROM ({_count_kinds(d, scope, names)}) g {join_prices(d, "g", d.midnight("g.utc_day"))}
  ) q GROUP BY {keys}, spent_in"""


def known_to_totals(scope: Scope, names: tuple[str, ...]) -> bool:
    """Whether the totals by day tell these dimensions apart: all but hours, and owners, if there are any."""
    return scope.kept is not None and "hour" not in names and (scope.unowned or not OWNERS & set(names))


def known_to_hours(scope: Scope, names: tuple[str, ...]) -> bool:
    """Whether the totals know the hours of these dimensions; days beside hours are read job by job."""
    spans = set(SPANS) & set(names)
    return spans == {"hour"} and (scope.unowned or not OWNERS & set(names))


def keys_of_days(d: Dialect, names: tuple[str, ...]) -> str:
    """The dimensions as columns of rows f by day; nobody owns such jobs."""
    return ", ".join(f"{_key_of_day(d, name)} AS {BY[name]}" for name in names)


def _key_of_day(d: Dialect, name: str) -> str:
    if name in OWNERS:
        return "NULL"
    return {"week": d.week("f.day"), "month": d.month("f.day")}.get(name, f"f.{BY[name]}")


def _count_kinds(d: Dialect, scope: Scope, names: tuple[str, ...]) -> str:
    """Jobs by the dimensions, and by what their price depends on. Totals do not know which of a day's times
    belong to which hour: where the time zone cuts days otherwise, jobs are counted for those."""
    cut = scope.moved is not None and bool(set(SPANS) & set(names))
    if cut or not (scope.unowned and known_to_totals(scope, names)):
        return _kinds_counted(d, scope, names)
    return totals_or_jobs(scope, partial(_kinds_kept, d, names), partial(_kinds_counted, d, names=names))


def _kinds_kept(d: Dialect, names: tuple[str, ...], where: str) -> str:
    made = ", ".join(f"{_key_of_day(d, name)} AS {place}" for place, name in _places(names))
    return f"""
      SELECT {made}, f.day AS utc_day, f.provider, f.model, f.seconds, f.size, f.width, f.height, f.outcome,
        0 AS is_settled, f.jobs, {d.money("NULL")} AS settled, f.milliseconds / 1000.0 AS took,
        f.timed_jobs AS timed
      FROM (
        SELECT j.*, s.name AS source FROM daily_totals j JOIN sources s ON s.id = j.source_id
        WHERE j.jobs <> 0 AND {where}
      ) f"""


def _kinds_counted(d: Dialect, scope: Scope, names: tuple[str, ...]) -> str:
    made = ", ".join(
        f"{_key_of(d, scope, name, 'mk', 'st', 'pl')} AS {place}" for place, name in _places(names)
    )
    kind = ", ".join((*(place for place, _ in _places(names)), _KIND, "is_settled"))
    took, settled = d.seconds("j.created_at", "j.completed_at"), settled_cost(d)
    return f"""
      SELECT {kind}, COUNT(*) AS jobs, {d.sum_of_money("settled")} AS settled, SUM(took) AS took,
        COUNT(took) AS timed
      FROM (
        SELECT {made}, {d.day("j.created_at")} AS utc_day, j.provider, j.model, j.seconds, j.size, j.width,
          j.height, {outcome_sql()} AS outcome, {settled} AS settled,
          CASE WHEN {settled} IS NULL THEN 0 ELSE 1 END AS is_settled,
          CASE WHEN j.status = 'completed' AND j.completed_at >= j.created_at THEN {took} END AS took
        FROM video_jobs j {OWNER_JOINS} WHERE {COUNTED} AND {scope.where}
      ) one GROUP BY {kind}"""


_KIND = "utc_day, provider, model, seconds, size, width, height, outcome"


def _places(names: tuple[str, ...]) -> list[tuple[str, str]]:
    """Names that no column of a kind has."""
    return [(f"key{number}", name) for number, name in enumerate(names)]


_MAKING = ", ".join(f"'{kind}'" for kind in MAKING)


def _spend_of_requests(d: Dialect, scope: Scope, names: tuple[str, ...]) -> str:
    """Requests for new jobs that no job stands for; `scope` reads their time as a job's creation."""
    keys = ", ".join(BY[name] for name in names)
    made = ", ".join(f"{_key_of(d, scope, name, 'j')} AS {BY[name]}" for name in names)
    return f"""SELECT {keys}, 'USD' AS spent_in, 0 AS jobs, 0 AS completed, 0 AS failed,
    {d.rounded("NULL", 3)} AS seconds, {d.money("NULL")} AS cost, 0 AS settled_jobs, 0 AS uncosted_jobs,
    {d.rounded("NULL", 3)} AS took,
    0 AS timed, SUM(CASE WHEN how = 'error' THEN 1 ELSE 0 END) AS refused,
    SUM(CASE WHEN how = 'success' THEN 1 ELSE 0 END) AS unnamed,
    {d.sum_of_money("CASE WHEN how = 'success' THEN spent END")} AS unnamed_cost
  FROM (
    SELECT {made}, j.status AS how, j.cost AS spent FROM (
      SELECT r.*, r.requested_at AS created_at FROM job_requests r
      WHERE r.job_id IS NULL AND r.request_type IN ({_MAKING}) AND NOT {READ_TWICE} AND NOT {FELL_BACK}
    ) j WHERE {scope.where}
  ) q GROUP BY {keys}"""


def keys_of_jobs(d: Dialect, scope: Scope, names: tuple[str, ...]) -> str:
    """The dimensions as columns of job_facts f."""
    return ", ".join(f"{_key_of_job(d, scope, name)} AS {BY[name]}" for name in names)


def keys_of_video_jobs(d: Dialect, scope: Scope, names: tuple[str, ...]) -> str:
    """The dimensions as columns of rows j of video_jobs; nobody owns such jobs."""
    made = ((name, "NULL" if name in OWNERS else _key_of(d, scope, name)) for name in names)
    return ", ".join(f"{sql} AS {BY[name]}" for name, sql in made)


def key_columns(names: tuple[str, ...]) -> tuple[Column, ...]:
    known = {column.name: column for column in JOB_FACTS.columns}
    known |= {name: Column(name, "day", f"First day of the {name}, in the time zone.") for name in SPANS}
    known["day"] = Column("day", "day", "Day of creation, in the time zone.")
    known["hour"] = Column("hour", "instant", "Start of the hour of creation.")
    return tuple(known[BY[name]] for name in names)


def _key_of_job(d: Dialect, scope: Scope, name: str) -> str:
    spans = {"day": "created_day", "week": d.week("created_day"), "month": d.month("created_day")}
    if name == "hour":
        return scope.hour("f.created_at")
    return spans.get(name, BY[name])


def _key_of(d: Dialect, scope: Scope, name: str, *owners: str) -> str:
    """A dimension of j, a job or a request; who it belongs to is in the first of `owners` that says."""
    if name == "source":
        return "(SELECT s.name FROM sources s WHERE s.id = j.source_id)"
    if name == "hour":
        return scope.hour("j.created_at")
    day = scope.day("j.created_at")
    spans = {"day": day, "week": d.week(day), "month": d.month(day)}
    column = BY[name]
    of = owner_name(DIMENSIONS[column], *owners) if column in DIMENSIONS else f"j.{column}"
    return spans.get(name, of)


def reconcile_cost(d: Dialect, scope: Scope) -> str:
    """Estimate against settled by model; only of jobs that have a cost in the log."""
    return f"""
SELECT provider, model, resolution, jobs, seconds, settled_cost, estimated_cost,
  {d.money("settled_cost - estimated_cost")} AS difference,
  {d.money("settled_cost / NULLIF(seconds, 0)")} AS settled_price,
  CASE WHEN estimated_cost IS NULL THEN 'no price'
    WHEN ABS(settled_cost - estimated_cost) <= {OFF} * settled_cost THEN 'agrees'
    WHEN settled_cost > estimated_cost THEN 'price too low' ELSE 'price too high' END AS verdict
FROM (
  SELECT provider, model, resolution, COUNT(*) AS jobs, SUM(seconds) AS seconds,
    {d.sum_of_money("settled_cost")} AS settled_cost,
    CASE WHEN COUNT(CASE WHEN currency = 'USD' THEN cost END) = COUNT(*) THEN {d.sum_of_money("cost")} END
      AS estimated_cost
  FROM ({JOB_FACTS.sql(d, scope)}) f
  WHERE outcome = 'completed' AND settled_cost IS NOT NULL GROUP BY provider, model, resolution
) q"""
