"""Budgets and alerts, as `status` shows them."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from etl.cli.output import BAD, DIM, WARN, print_line
from etl.words import count_noun

if TYPE_CHECKING:
    from etl.analytics.alerts import SpendOutlook
    from etl.analytics.filters import Filter
    from etl.config import Config


def filter_of_now(config: Config, now: Any) -> Filter:
    """All jobs, in the reporting time zone and currency."""
    from etl.analytics.filters import Filter

    return Filter(now, zone=config.reporting.timezone, currency=config.reporting.currency)


def outlook_document(outlook: SpendOutlook | None) -> dict[str, Any]:
    """For --json; null where nothing was asked."""
    from etl.analytics.budgets import budget_table
    from etl.analytics.rendering import plain_json

    if outlook is None:
        return {"budgets": None, "alerts": None}
    table = budget_table(outlook.budgets)
    names = [column.name for column in table.columns]
    return {
        "budgets": [
            {
                name: value if value is None or isinstance(value, int | float | str) else plain_json(value)
                for name, value in zip(names, row, strict=True)
            }
            for row in table.rows
        ],
        "alerts": [asdict(signal) for signal in outlook.raised],
    }


def show_outlook(outlook: SpendOutlook, zone: str) -> None:
    """Each budget in a table, and what is over its threshold, a line each."""
    from etl.analytics.budgets import budget_table
    from etl.analytics.forecast import METHOD
    from etl.cli.tables import show_table

    if outlook.budgets:
        print_line()
        show_table(budget_table(outlook.budgets), zone)
        print_line(f"days are {zone}; {METHOD}", DIM)
    for one in outlook.budgets:
        if not one.seen:
            print_line(
                f"budget {one.budget.name}: no job that it covers was created in this period or before", WARN
            )
        if one.uncosted:
            jobs = count_noun(one.uncosted, "completed job has", "completed jobs have")
            print_line(f"budget {one.budget.name}: {jobs} no price: not in what is spent", WARN)
    for signal in outlook.raised:
        over = signal.threshold == "budget_used" and signal.value >= 1
        print_line(f"{signal.text} (alerts.{signal.threshold}: {signal.limit:g})", BAD if over else WARN)
