"""The line under a table: what adds up is added up, each currency by itself; shares are taken anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from etl.schema.views.columns import Column

#: Columns whose values add up. Percentiles, means and prices do not.
_ADDED = {
    *("jobs", "completed", "failed", "stopped", "unfinished", "vanished", "seconds", "cost", "uncosted_jobs"),
    *("settled_jobs", "refused_requests", "unnamed_requests", "unnamed_cost", "wasted_seconds"),
    *("would_be_cost", "other_costs", "lookups", "hits", "direct_hits", "semantic_hits", "input_tokens"),
    *("settled_cost", "avoidable_jobs", "avoidable_cost", "costs"),
}
#: A share, its part, and what makes up the whole.
_SHARES = {"failure_rate": ("failed", ("completed", "failed")), "hit_rate": ("hits", ("lookups",))}
#: In USD, whatever the reporting currency: the gateway's log knows no other.
LOG_MONEY = {"unnamed_cost", "settled_cost", "estimated_cost", "difference", "settled_price"}


def sum_rows(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> tuple[tuple[Any, ...], ...]:
    """One line for each currency where the table has such a column, else one; none for fewer than two rows or
    when nothing adds up. What is no sum is None."""
    names = [column.name for column in columns]
    if len(rows) < 2 or not _ADDED & set(names):
        return ()
    if "currency" not in names:
        return (_sum_group(columns, rows),)
    place = names.index("currency")
    found = sorted({row[place] for row in rows if row[place] is not None})
    if len(found) < 2:
        return (_with_value(_sum_group(columns, rows), place, found[0] if found else None),)
    groups = ([row for row in rows if row[place] == currency] for currency in (*found, None))
    return tuple(_with_value(_sum_group(columns, group), place, group[0][place]) for group in groups if group)


def money_currency(column: Column, columns: Sequence[Column], reporting: str | None) -> str | None:
    """The currency of a column of money that no other column tells."""
    if column.kind != "money" or any(other.name == "currency" for other in columns):
        return None
    return "USD" if column.name in LOG_MONEY else reporting


def _with_value(row: tuple[Any, ...], place: int, value: Any) -> tuple[Any, ...]:
    return (*row[:place], value, *row[place + 1 :])


def _sum_group(columns: Sequence[Column], rows: Sequence[Sequence[Any]]) -> tuple[Any, ...]:
    sums: dict[str, Any] = {}
    for place, column in enumerate(columns):
        if column.name in _ADDED:
            sums[column.name] = _sum_values(column, [row[place] for row in rows if row[place] is not None])
    return tuple(_share_of(column.name, sums) for column in columns)


def _sum_values(column: Column, known: list[Any]) -> Any:
    if not known:
        return None
    return add_amounts(known) if column.kind == "amounts" else sum(known)


def _share_of(name: str, sums: Mapping[str, Any]) -> Any:
    if name not in _SHARES:
        return sums.get(name)
    part, whole = _SHARES[name]
    of = sum(sums.get(each) or 0 for each in whole)
    return (sums.get(part) or 0) / of if of else None


# --- money in several currencies, as text ------------------------------------------------------


def add_amounts(texts: Sequence[str | None]) -> str | None:
    """Sums of money in several currencies, each currency by itself; None when there is nothing."""
    return show_amounts(read_amounts(texts))


def read_amounts(texts: Sequence[str | None]) -> dict[str, Decimal]:
    """By currency the sum of what these texts say."""
    sums: dict[str, Decimal] = {}
    for part in (part for text in texts if text for part in text.split(", ")):
        currency, _, amount = part.partition(" ")
        sums[currency] = sums.get(currency, Decimal(0)) + Decimal(amount)
    return sums


def show_amounts(sums: Mapping[str, Decimal]) -> str | None:
    """As a column of amounts has it."""
    return (
        ", ".join(f"{currency} {amount.normalize():f}" for currency, amount in sorted(sums.items())) or None
    )
