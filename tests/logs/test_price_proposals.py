"""Prices proposed from what jobs cost by the gateway's log, worked out by hand."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

from etl.analytics.price_proposals import ProposedPrice, propose_prices
from etl.analytics.prices import import_prices, unpriced_jobs
from tests.logs.site import Site, site
from tests.support.foreign_gateway import ForeignGateway

START = 1_795_992_000.0  # 2026-11-29


def made(*jobs: tuple[str, str, str, float | None], **more: Any) -> ForeignGateway:
    """Completed jobs: model, seconds, size and what the log says each has cost."""
    gateway = ForeignGateway(provider="runway")
    for n, (model, seconds, size, cost) in enumerate(jobs):
        gateway.make(
            f"v{n:02}", START + n, status="completed", model=model, seconds=seconds, size=size, **more
        )
        gateway.rows[-1] |= {"cost": cost, "model": model}
    gateway.now = START + 600
    return gateway


def proposals(s: Site) -> list[ProposedPrice]:
    return propose_prices(s.app.engine)


def test_by_the_second_the_median(migrated_url: str) -> None:
    """0.05, 0.05, 0.06 a second: the middle one; portrait and landscape are one band."""
    jobs = (("gen4_turbo", "5", "1280x720", 0.25), ("gen4_turbo", "10", "720x1280", 0.50),
            ("gen4_turbo", "10", "1280x720", 0.60))  # fmt: skip
    with site(made(*jobs), migrated_url, discover="logs") as s:
        s.ok()
        (one,) = proposals(s)
        assert (one.provider, one.model, one.resolution, one.unit) == (
            "runway",
            "gen4_turbo",
            "720p",
            "second",
        )
        assert (one.price, one.low, one.high, one.jobs) == (
            Decimal("0.05"),
            Decimal("0.05"),
            Decimal("0.06"),
            3,
        )
        assert not one.is_sure


def test_by_the_clip_where_length_does_not_matter(migrated_url: str) -> None:
    jobs = [("kling-v3", seconds, "1920x1080", 0.49) for seconds in ("5", "10", "5", "10")]
    with site(made(*jobs), migrated_url, discover="logs") as s:
        s.ok()
        (one,) = proposals(s)
        assert (one.unit, one.price, one.resolution, one.is_sure) == ("clip", Decimal("0.49"), "1080p", True)
        price = one.as_price()
        assert (price.provider, price.valid_from) == ("runway", date(2026, 11, 29))
        assert import_prices(s.app.engine, [price]) == (1, 0)
        assert unpriced_jobs(s.app.engine) == []
        assert proposals(s) == []
        assert {float(row["cost"]) for row in s.view("job_facts")} == {0.49}


def test_what_proposes_nothing(migrated_url: str) -> None:
    """No cost, a cost of nothing, a job that failed, a model that has a price."""
    jobs = (("wan-2.5", None), ("wan-2.5", 0.0), ("veo-3.1", 9.0))
    gateway = made(*[(model, "5", "1280x720", cost) for model, cost in jobs])
    failed = gateway.make("bad", START, status="failed", model="wan-2.5")
    gateway.rows[-1] |= {"cost": 1.0}
    with site(gateway, migrated_url, discover="logs") as s:
        s.ok()
        assert failed in {row["job_id"] for row in s.rows("video_jobs")}
        assert proposals(s) == []


def test_a_length_that_nobody_knows(migrated_url: str) -> None:
    gateway = made(*[("seed", "5", "1280x720", 0.2)] * 2)
    for job in gateway.jobs.values():
        job.pop("seconds")
    for row in gateway.rows:
        row["params"] = {}
        row["video_generation_output"].pop("seconds")
    with site(gateway, migrated_url, discover="logs") as s:
        s.ok()
        (one,) = proposals(s)
        assert (one.unit, one.jobs, one.is_sure) == ("clip", 2, False)
