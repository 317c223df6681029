"""How budgets stand: what is spent of them, and what will be at the end of the month, week or day.

Spend is that of the report `spend`: what the gateway's log says that a job cost, or else the price book, on
the day of the job's creation in the reporting time zone. Only what is spent in a budget's currency counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.forecast import TRAILING, Forecast, find_period, forecast_period
from etl.analytics.queries import Table, oldest_job_at, run_report
from etl.analytics.spend import BY
from etl.analytics.sums import read_amounts, show_amounts
from etl.config import SpendBudget
from etl.db.engine import storage_errors
from etl.schema.tables import job_requests
from etl.schema.views.columns import Column

_DAY = timedelta(days=1)
#: The most important first: a narrow terminal leaves out the last.
_COLUMNS = (
    Column("budget", "text", "Name in the configuration."),
    Column("currency", "text", "Currency of all amounts here; what is spent in others does not count."),
    Column("spent", "money", "What its jobs cost, by day of creation: settled, or else by the price book."),
    Column("amount", "money", "What may be spent in the period."),
    Column("used", "ratio", "spent / amount."),
    Column("forecast", "money", "What will be spent at the end; null while no whole day has passed."),
    Column("forecast_used", "ratio", "forecast / amount."),
    Column("last_day", "day", "Its last day."),
    Column("period", "text", "month, week (from Monday) or day, in the reporting time zone."),
    Column("only", "text", "Which jobs it is for; all of them when this says nothing."),
    Column("first_day", "day", "First day of the period that it is now."),
    Column("known_days", "integer", f"Whole days that the forecast's means come from, {TRAILING} at most."),
    Column("jobs", "integer", "Jobs of it created in the period."),
    Column("uncosted_jobs", "integer", "Of these completed without any cost: not in spent."),
    Column("other_costs", "amounts", "Spent in other currencies: not in spent."),
)


@dataclass(frozen=True, slots=True)
class DaySpend:
    """What jobs of one kind cost on one day: `keys` by dimension, `costs` by currency."""

    day: date
    keys: Mapping[str, str | None]
    costs: Mapping[str, Decimal]
    jobs: int
    uncosted: int


@dataclass(frozen=True, slots=True)
class Spend:
    """What was spent each day, as far back as budgets and forecasts look;
    `oldest` is the day of the oldest job."""

    today: date
    oldest: date | None
    days: tuple[DaySpend, ...]


@dataclass(frozen=True, slots=True)
class BudgetStanding:
    """One budget in the period that it is now; `end` is the first day after that. `seen`: some job of it was
    created in the period or in the days that the forecast is made from."""

    budget: SpendBudget
    start: date
    end: date
    spent: Decimal
    forecast: Forecast | None
    jobs: int
    uncosted: int
    others: str | None
    seen: bool

    @property
    def used(self) -> float:
        return float(self.spent / self.budget.amount)

    @property
    def forecast_used(self) -> float | None:
        return None if self.forecast is None else float(self.forecast.total / self.budget.amount)


def read_budgets(engine: sa.Engine, budgets: Sequence[SpendBudget], chosen: Filter) -> list[BudgetStanding]:
    """How each stands at `chosen.now`, in its zone. Raises StorageError."""
    return judge_standings(budgets, read_spend(engine, budgets, chosen)) if budgets else []


def judge_standings(budgets: Sequence[SpendBudget], spent: Spend) -> list[BudgetStanding]:
    return [_judge_budget(budget, spent.days, spent.today, spent.oldest) for budget in budgets]


def read_spend(engine: sa.Engine, budgets: Sequence[SpendBudget], chosen: Filter) -> Spend:
    """By all that the budgets tell apart, at `chosen.now`, in its zone. Raises StorageError."""
    today = chosen.now.astimezone(ZoneInfo(chosen.zone)).date()
    days = _read_days(engine, chosen, today, {key for budget in budgets for key in budget.only})
    oldest = oldest_job_at(engine)
    first = None if oldest is None else oldest.astimezone(ZoneInfo(chosen.zone)).date()
    return Spend(today, first, tuple(days))


def _read_days(engine: sa.Engine, chosen: Filter, today: date, keys: Iterable[str]) -> list[DaySpend]:
    """Since the month's first day, or as far back as a forecast looks."""
    names = sorted(key.replace("_", "-") for key in keys)
    first = min(today.replace(day=1), today - TRAILING * _DAY) - 7 * _DAY  # a week may begin before its month
    since = datetime.combine(first, time(), ZoneInfo(chosen.zone))
    whole = replace(chosen, since=since, until=None, limit=None)
    if names or has_log_costs(engine):
        table = run_report(engine, "spend", replace(whole, by=",".join(["day", *names])))
    else:  # the same by the price book alone, from sums that are kept
        table = run_report(engine, "daily", whole)
    columns = [column.name for column in table.columns]
    rows = (dict(zip(columns, row, strict=True)) for row in table.rows)
    return [
        DaySpend(
            row["day"],
            {name.replace("-", "_"): row[BY[name]] for name in names},
            read_amounts([row["other_costs"]])
            | ({} if row["cost"] is None else {chosen.currency: row["cost"]}),
            row["jobs"],
            row["uncosted_jobs"],
        )
        for row in rows
    ]


def has_log_costs(engine: sa.Engine) -> bool:
    """Whether the gateway's log has told what some job cost."""
    known = sa.select(job_requests.c.job_id).where(
        job_requests.c.role.is_not(None), job_requests.c.cost.is_not(None)
    )
    with storage_errors(), engine.connect() as conn:
        return conn.execute(known.limit(1)).first() is not None


def _judge_budget(
    budget: SpendBudget, spent: Sequence[DaySpend], today: date, oldest: date | None
) -> BudgetStanding:
    ours = [one for one in spent if all(one.keys[key] == value for key, value in budget.only.items())]
    by_day = sum_by_day(ours, budget.currency)
    start, end = find_period(budget.period, today)
    now = [one for one in ours if start <= one.day < end]
    others: dict[str, Decimal] = {}
    for one in now:
        for currency, cost in one.costs.items():
            if currency != budget.currency:
                others[currency] = others.get(currency, Decimal(0)) + cost
    return BudgetStanding(
        budget,
        start,
        end,
        sum((cost for day, cost in by_day.items() if start <= day < end), Decimal(0)),
        forecast_period(by_day, budget.period, today, oldest),
        sum(one.jobs for one in now),
        sum(one.uncosted for one in now),
        show_amounts(others),
        any(one.jobs for one in ours),
    )


def sum_by_day(spent: Iterable[DaySpend], currency: str) -> dict[date, Decimal]:
    found: dict[date, Decimal] = {}
    for one in spent:
        found[one.day] = found.get(one.day, Decimal(0)) + one.costs.get(currency, Decimal(0))
    return found


def describe_only(budget: SpendBudget) -> str | None:
    return ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in budget.only.items()) or None


def budget_table(found: Sequence[BudgetStanding]) -> Table:
    """The report `budgets`."""
    rows = tuple(_budget_row(one) for one in found)
    return Table("budgets", "Budgets", _COLUMNS, rows, ranged=False)


def _budget_row(one: BudgetStanding) -> tuple[object, ...]:
    budget, forecast = one.budget, one.forecast
    return (
        *(budget.name, budget.currency, one.spent, budget.amount, one.used),
        None if forecast is None else round(forecast.total, 6).normalize() + 0,
        one.forecast_used,
        *(one.end - _DAY, budget.period, describe_only(budget), one.start),
        *(0 if forecast is None else forecast.days, one.jobs, one.uncosted, one.others),
    )
