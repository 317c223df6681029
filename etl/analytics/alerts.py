"""What is unusual about spend, failures and durations, by the thresholds that the configuration names.

Every judgement is one number against one limit, both told. Budgets: what is spent, and the forecast. Spend:
today against the mean of this weekday. Failure rate and median duration, by model: the jobs created in the
last 24 hours against those of the 28 days before. Of too few jobs nothing is said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from etl.analytics.budgets import (
    BudgetStanding,
    Spend,
    describe_only,
    judge_standings,
    read_spend,
    sum_by_day,
)
from etl.analytics.filters import Filter
from etl.analytics.forecast import TRAILING, forecast_period
from etl.analytics.queries import run_report
from etl.analytics.rendering import show_value
from etl.config import Alerts, Config

#: A forecast or a mean from fewer whole days is too weak to alarm anybody.
LEAST_DAYS = 7
#: What was over its limit is well again below this share of it, so that nothing flaps about the limit.
CALM = 0.9
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Signal:
    """One judgement. `threshold` is the name of the setting, `subject` what was looked at, `text` says both
    numbers in words."""

    threshold: str
    subject: str
    value: float
    limit: float
    text: str

    @property
    def over(self) -> bool:
        return self.value >= self.limit

    @property
    def calm(self) -> bool:
        return self.value < CALM * self.limit


@dataclass(frozen=True, slots=True)
class SpendOutlook:
    """How the budgets stand, and every judgement, also of what is as usual."""

    budgets: tuple[BudgetStanding, ...]
    signals: tuple[Signal, ...]

    @property
    def raised(self) -> list[Signal]:
        return [signal for signal in self.signals if signal.over]


def read_outlook(engine: sa.Engine, config: Config, chosen: Filter) -> SpendOutlook:
    """At `chosen.now`, in its zone and currency; its filters choose the jobs. Raises StorageError."""
    spent = None
    if config.budgets or config.alerts.spend_factor is not None:
        spent = read_spend(engine, config.budgets, chosen)
    budgets = judge_standings(config.budgets, spent) if spent else []
    signals = [*judge_budgets(budgets, config.alerts), *judge_trends(engine, config.alerts, chosen, spent)]
    return SpendOutlook(tuple(budgets), tuple(signals))


def judge_budgets(budgets: Sequence[BudgetStanding], alerts: Alerts) -> Iterator[Signal]:
    for one in budgets:
        name, amount = f"budget {one.budget.name}", _money(one.budget.amount, one.budget.currency)
        whose = f" ({describe_only(one.budget)})" if one.budget.only else ""
        of = f"of {amount} for the {one.budget.period} from {one.start}{whose}"
        if alerts.budget_used is not None:
            text = f"{name}: {one.used:.1%} {of} is spent"
            yield Signal("budget_used", name, one.used, alerts.budget_used, text)
        if alerts.budget_forecast is None or one.forecast is None or one.forecast_used is None:
            continue
        if one.forecast.days >= LEAST_DAYS:
            total = _money(one.forecast.total, one.budget.currency)
            text = f"{name}: {one.forecast_used:.1%} {of} will be spent at its end: {total}"
            yield Signal("budget_forecast", name, one.forecast_used, alerts.budget_forecast, text)


def judge_trends(
    engine: sa.Engine, alerts: Alerts, chosen: Filter, spent: Spend | None = None
) -> Iterator[Signal]:
    """`spent` is what was read for budgets already."""
    if alerts.spend_factor is not None:
        spent = spent or read_spend(engine, (), chosen)
        yield from _judge_spend(spent, alerts.spend_factor, alerts.least_jobs, chosen.zone)
    if alerts.failure_rate_rise is not None:
        yield from _judge_failures(engine, alerts.failure_rate_rise, alerts.least_jobs, chosen)
    if alerts.latency_factor is not None:
        yield from _judge_latency(engine, alerts.latency_factor, alerts.least_jobs, chosen)


def _judge_spend(spent: Spend, limit: float, least: int, zone: str) -> Iterator[Signal]:
    """Each currency by itself."""
    today = spent.today
    if sum(one.jobs for one in spent.days if one.day == today) < least:
        return
    for currency in sorted({currency for one in spent.days for currency in one.costs}):
        by_day = sum_by_day(spent.days, currency)
        usual = forecast_period(by_day, "day", today, spent.oldest)
        if usual is None or usual.days < LEAST_DAYS or not usual.usual_today:
            continue
        now = by_day.get(today, Decimal(0))
        text = (
            f"spend: {_money(now, currency)} so far today, {float(now / usual.usual_today):.1f} times the "
            f"{today:%A}s' mean of {_money(usual.usual_today, currency)} ({zone})"
        )
        yield Signal("spend_factor", f"spend in {currency}", float(now / usual.usual_today), limit, text)


def _judge_failures(engine: sa.Engine, limit: float, least: int, chosen: Filter) -> Iterator[Signal]:
    def rated(row: dict[str, Any]) -> bool:
        return bool(row["completed"] + row["failed"] >= least)

    for name, now, before in _compare_windows(engine, "models", ("provider", "model"), rated, chosen):
        rise = now["failure_rate"] - before["failure_rate"]
        text = (
            f"{name}: {now['failure_rate']:.1%} failed in the last 24 hours, "
            f"{before['failure_rate']:.1%} in the {TRAILING} days before"
        )
        yield Signal("failure_rate_rise", name, rise, limit, text)


def _judge_latency(engine: sa.Engine, limit: float, least: int, chosen: Filter) -> Iterator[Signal]:
    def rated(row: dict[str, Any]) -> bool:
        return bool(row["jobs"] >= least and row["p50"])

    keys = ("source", "provider", "model")
    for name, now, before in _compare_windows(engine, "latency", keys, rated, chosen):
        factor = now["p50"] / before["p50"]
        text = (
            f"{name}: half of the jobs took up to {show_value(now['p50'], 'seconds')} in the last 24 "
            f"hours, up to {show_value(before['p50'], 'seconds')} in the {TRAILING} days before"
        )
        yield Signal("latency_factor", name, factor, limit, text)


def _compare_windows(
    engine: sa.Engine,
    report: str,
    keys: tuple[str, ...],
    rated: Callable[[dict[str, Any]], bool],
    chosen: Filter,
) -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Name and rows of what has enough jobs in the last 24 hours and in the days before."""
    edge = chosen.now - _DAY
    now = _read_rows(engine, report, keys, replace(chosen, since=edge, until=chosen.now, limit=None))
    if not any(rated(row) for row in now.values()):
        return
    earlier = replace(chosen, since=edge - TRAILING * _DAY, until=edge, limit=None)
    before = _read_rows(engine, report, keys, earlier)
    for key, row in now.items():
        if key in before and rated(row) and rated(before[key]):
            yield " ".join(str(part) for part in key if part), row, before[key]


def _read_rows(
    engine: sa.Engine, report: str, keys: tuple[str, ...], chosen: Filter
) -> dict[tuple[Any, ...], dict[str, Any]]:
    table = run_report(engine, report, chosen)
    names = [column.name for column in table.columns]
    rows = (dict(zip(names, row, strict=True)) for row in table.rows)
    return {tuple(row[key] for key in keys): row for row in rows}


def _money(amount: Decimal, currency: str) -> str:
    return f"{amount:,.2f} {currency}"
