"""Prices that the gateway's own log suggests, for what the price book does not know."""

from __future__ import annotations

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, Literal

import sqlalchemy as sa

from etl.analytics.queries import convert_value
from etl.config import Price
from etl.db.engine import storage_errors
from etl.schema.views.dialects import make_dialect
from etl.schema.views.job_facts import COUNTED, price_of_job
from etl.schema.views.owners import OWNER_JOINS
from etl.schema.views.pricing import resolution_band

#: So many jobs, at most so far apart as a part of their median, make a price to be written unasked.
ENOUGH_JOBS, STEADY = 3, Decimal("0.1")


@dataclass(frozen=True, slots=True)
class ProposedPrice:
    """The median cost of a unit in USD over `jobs` completed jobs; `low` and `high` are the cheapest and the
    dearest. `first_at` (UTC): creation of the oldest of them."""

    provider: str | None
    model: str | None
    resolution: str | None
    unit: Literal["second", "clip"]
    price: Decimal
    jobs: int
    low: Decimal
    high: Decimal
    first_at: datetime | None

    @property
    def is_sure(self) -> bool:
        """Enough jobs agree, and it can be said what the price is for."""
        named = self.model is not None and "*" not in self.model and self.first_at is not None
        return named and self.jobs >= ENOUGH_JOBS and self.high - self.low <= STEADY * self.price

    def as_price(self) -> Price:
        """As the price book takes it. Only for one that `is_sure`."""
        assert self.model is not None
        assert self.first_at is not None
        return Price(
            provider=self.provider or "*",
            model=self.model,
            resolution=self.resolution or "*",
            unit=self.unit,
            price=self.price,
            valid_from=self.first_at.date(),
        )


def propose_prices(engine: sa.Engine) -> list[ProposedPrice]:
    """For each model and resolution that was completed unpriced and has a cost in the log, the most jobs
    first. A cost of nothing is no price. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        d = make_dialect(conn.dialect.name)
        cost = "COALESCE(st.cost, mk.cost)"
        query = f"""
SELECT j.provider, j.model, {resolution_band(d)} AS resolution, j.seconds, {cost} AS cost, COUNT(*) AS jobs,
  MIN(j.created_at) AS first_at
FROM video_jobs j {OWNER_JOINS} {price_of_job(d)}
WHERE j.status = 'completed' AND {COUNTED} AND p.id IS NULL AND {cost} > 0
GROUP BY j.provider, j.model, {resolution_band(d)}, j.seconds, {cost}"""
        rows = [tuple(row) for row in conn.execute(sa.text(query))]
    rows.sort(key=_kind)
    found = [_propose(list(same)) for _, same in groupby(rows, key=_kind)]
    return sorted(found, key=lambda one: -one.jobs)


def _kind(row: Sequence[Any]) -> tuple[str, ...]:
    return tuple("" if part is None else str(part) for part in row[:3])


def _propose(rows: list[tuple[Any, ...]]) -> ProposedPrice:
    """By the second where all lengths are known, unless the clips agree better than their seconds."""
    clips = [(Decimal(str(cost)), jobs) for _, _, _, _, cost, jobs, _ in rows]
    unit: Literal["second", "clip"] = "clip"
    costs = clips
    if all(row[3] for row in rows):
        seconds = [(Decimal(str(row[4])) / Decimal(str(row[3])), row[5]) for row in rows]
        if _spread(seconds) <= _spread(clips):
            unit, costs = "second", seconds
    provider, model, resolution = rows[0][:3]
    firsts = [convert_value("instant", row[6]) for row in rows]
    return ProposedPrice(
        provider=provider,
        model=model,
        resolution=resolution,
        unit=unit,
        price=round(_median(costs), 6),
        jobs=sum(jobs for _, jobs in costs),
        low=round(min(cost for cost, _ in costs), 6),
        high=round(max(cost for cost, _ in costs), 6),
        first_at=min((at for at in firsts if at is not None), default=None),
    )


def _spread(costs: Sequence[tuple[Decimal, int]]) -> Decimal:
    """From the cheapest to the dearest, as a part of the median."""
    amounts = [cost for cost, _ in costs]
    return (max(amounts) - min(amounts)) / _median(costs)


def _median(costs: Iterable[tuple[Decimal, int]]) -> Decimal:
    """Of costs with how many jobs have each; of an even number the mean of the middle two."""
    ordered = sorted(costs)
    count = sum(jobs for _, jobs in ordered)
    return (_nth(ordered, (count - 1) // 2) + _nth(ordered, count // 2)) / 2


def _nth(ordered: Sequence[tuple[Decimal, int]], place: int) -> Decimal:
    for cost, jobs in ordered:
        if place < jobs:
            return cost
        place -= jobs
    raise AssertionError("no such place")
