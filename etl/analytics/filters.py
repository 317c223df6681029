"""Which jobs somebody asks about, and the same as SQL: for reports, lists, charts and the log of runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from etl.db.types import UtcDateTime

#: The conditions that cut a range of time.
RANGE = ("since", "until")


@dataclass(frozen=True, slots=True)
class Filter:
    """Which jobs: created from `since` up to, but not at, `until` (UTC); of these sources, models, statuses
    and providers.

    `now` is what "open for" and "expires in" count from; `zone` cuts the days; `currency` is that of sums.
    `limit` rows at most; None for all. `by` is what a report is added up by, parted by commas.
    """

    now: datetime
    since: datetime | None = None
    until: datetime | None = None
    sources: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    zone: str = "UTC"
    currency: str = "USD"
    limit: int | None = None
    statuses: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    by: str = ""


@dataclass(frozen=True, slots=True)
class FilteredColumns:
    """Where a statement has what a filter asks about; None where it has no such thing, and shows all."""

    time: str | None = "j.created_at"
    model: str | None = "j.model"
    status: str | None = "j.status"
    provider: str | None = "j.provider"
    source: str = "j.source_id IN (SELECT id FROM sources WHERE name IN :sources)"


JOB_COLUMNS = FilteredColumns()


def filter_conditions(chosen: Filter, columns: FilteredColumns = JOB_COLUMNS) -> dict[str, str]:
    """Conditions in SQL, each by the name of the parameter in `filter_values` that it compares with."""
    possible = {
        "since": (chosen.since, columns.time and f"{columns.time} >= :since"),
        "until": (chosen.until, columns.time and f"{columns.time} < :until"),
        "sources": (chosen.sources, columns.source),
        "providers": (chosen.providers, columns.provider and f"{columns.provider} IN :providers"),
        "models": (chosen.models, columns.model and f"{columns.model} IN :models"),
        "statuses": (chosen.statuses, columns.status and f"{columns.status} IN :statuses"),
    }
    return {name: sql for name, (given, sql) in possible.items() if given and sql}


def filter_values(chosen: Filter) -> dict[str, Any]:
    """Every parameter that a statement about these jobs may name."""
    return {
        "now": chosen.now,
        "since": chosen.since,
        "until": chosen.until,
        "currency": chosen.currency,
        "sources": list(chosen.sources),
        "providers": list(chosen.providers),
        "models": list(chosen.models),
        "statuses": list(chosen.statuses),
    }


def now_parameter(family: str) -> str:
    """The moment of the question; PostgreSQL must be told its type where only a difference is taken."""
    return "CAST(:now AS timestamptz)" if family == "postgresql" else ":now"


def bind_values(text: str, values: dict[str, Any]) -> sa.TextClause:
    """A statement with those of the values that it names; lists and instants are known as such."""
    named = {name: given for name, given in values.items() if re.search(rf":{name}\b", text)}
    return sa.text(text).bindparams(*(_bind_value(name, given) for name, given in named.items()))


def _bind_value(name: str, given: Any) -> sa.BindParameter[Any]:
    if isinstance(given, datetime):
        return sa.bindparam(name, given, type_=UtcDateTime())
    return sa.bindparam(name, given, expanding=isinstance(given, list))
