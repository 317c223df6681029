"""What a job costs by its band and unit, worked out by hand: 480p to 4k, portrait and landscape alike; by the
second, by the clip and by the request."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from etl.analytics.prices import import_prices
from etl.config import Price
from tests.logs.site import site
from tests.support.foreign_gateway import ForeignGateway

START = 1_795_992_000.0
#: Model, size, seconds: band and cost by the published book (USD).
PUBLISHED = [
    ("veo-3.1", "1280x720", "8", "720p", "3.20"),
    ("veo-3.1", "720x1280", "8", "720p", "3.20"),
    ("veo-3.1", "1920x1080", "6", "1080p", "2.40"),
    ("veo-3.1", "3840x2160", "4", "4k", "2.40"),
    ("veo-3.1", "2160x3840", "4", "4k", "2.40"),
    ("veo-3.1", "4K", "4", "4k", "2.40"),
    ("veo-3.1-fast-generate-preview", "1080x1920", "8", "1080p", "0.96"),
    ("veo-3.1-fast-generate-preview", "3840x2160", "8", "4k", "2.40"),
    ("veo-3.1-lite", "720p", "4", "720p", "0.20"),
    ("sora-2-pro", "1792x1024", "12", "1024p", "6.00"),
    ("sora-2-pro", "1024x1792", "4", "1024p", "2.00"),
    ("minimax-h3", "854x480", "10", "480p", "0.72"),
    ("seedance-1.5-pro", "1280x720", "5", "720p", "0.132"),
    ("seedance-1.5-pro", "720x1280", "10", "720p", "0.132"),
]
#: Prices of a user's own.
OWN = [
    ("kling-v3", "480p", "second", "0.05"),
    ("kling-v3", "1080p", "clip", "0.49"),
    ("wan-2.5", "*", "request", "0.20"),
]
CONFIGURED = [
    ("kling-v3", "854x480", "10", "480p", "0.50"),
    ("kling-v3", "480x854", "5", "480p", "0.25"),
    ("kling-v3", "1920x1080", "10", "1080p", "0.49"),
    ("kling-v3", "1080x1920", "5", "1080p", "0.49"),
    ("wan-2.5", "1280x720", "15", "720p", "0.20"),
    ("kling-v3", "1280x720", "5", "720p", None),
]


@pytest.mark.parametrize(("jobs", "own"), [(PUBLISHED, []), (CONFIGURED, OWN)], ids=["published", "own"])
def test_by_hand(migrated_url: str, jobs: list[Any], own: list[Any]) -> None:
    made = ForeignGateway()
    for n, (model, size, seconds, _, _) in enumerate(jobs):
        made.make(f"v{n:02}", START + n, status="completed", model=model, size=size, seconds=seconds)
    made.now = START + 600
    with site(made, migrated_url, discover="logs") as s:
        s.ok()
        prices = [
            Price(model=model, resolution=band, unit=unit, price=Decimal(price), valid_from=date(2026, 1, 1))
            for model, band, unit, price in own
        ]
        if prices:
            import_prices(s.app.engine, prices)
        told = {row["job_id"]: row for row in s.view("job_facts")}
        for n, (model, size, _, band, cost) in enumerate(jobs):
            row = told[f"v{n:02}:gemini"]
            assert row["resolution"] == band, (model, size)
            found = None if row["cost"] is None else Decimal(str(row["cost"])).normalize()
            assert found == (None if cost is None else Decimal(cost).normalize()), (model, size)
