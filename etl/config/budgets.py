"""What may be spent, and what counts as unusual."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta, Struct

from etl.config.source import NonEmptyText, Problems
from etl.config.values import Money, Name

Currency = Annotated[str, Meta(pattern="^[A-Z]{3}$")]
Factor = Annotated[float, Meta(gt=0)]
#: What a budget may be for; `etl.analytics.spend` adds up by the same.
DIMENSIONS = (
    *("source", "provider", "model", "status", "size"),
    *("virtual_key", "team", "customer", "user", "business_unit"),
)


class SpendBudget(Struct, frozen=True, kw_only=True):
    """So much for jobs created in each month, week or day of the reporting time zone. `only` chooses jobs:
    dimension and value; all of them must agree."""

    name: Name
    amount: Money
    currency: Currency = "USD"
    period: Literal["month", "week", "day"] = "month"
    only: dict[str, NonEmptyText] = {}

    def problems(self) -> Problems:
        for key in self.only:
            if key not in DIMENSIONS:
                yield "only", f"a budget is for jobs of a {', '.join(DIMENSIONS)}"
        if not self.amount:
            yield "amount", "expects more than 0"


class Alerts(Struct, frozen=True, kw_only=True):
    """What is worth telling. None: never."""

    budget_used: Factor | None = 0.8
    budget_forecast: Factor | None = 1.0
    spend_factor: Factor | None = 2.0
    failure_rate_rise: Factor | None = 0.1
    latency_factor: Factor | None = 1.5
    least_jobs: Annotated[int, Meta(ge=1)] = 20
