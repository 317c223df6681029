"""The published prices, in US dollars per second of video made, each with the day from which it held.

A model's first price holds from before the model existed: no job of it can be older. `veo-3.1-fast` became
cheaper early in 2026; the day is taken as February 1st.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal

from etl.config import Price

_FIRST, _CHEAPER = date(2025, 1, 1), date(2026, 2, 1)

# Models carry a date or a stage behind their name: sora-2-2025-12-08, veo-3.1-generate-preview.
_SORA = ("sora-2", "sora-2-20%")
_SORA_PRO = ("sora-2-pro", "sora-2-pro-20%")
_VEO = ("veo-3.1", "veo-3.1-generate%")

_PUBLISHED = (
    ("*", _SORA, {"720p": "0.10"}, _FIRST),
    ("azure", _SORA, {"*": "0.10"}, _FIRST),
    ("*", _SORA_PRO, {"720p": "0.30", "1024p": "0.50", "1080p": "0.70"}, _FIRST),
    ("*", _VEO, {"720p": "0.40", "1080p": "0.40", "4k": "0.60"}, _FIRST),
    ("*", ("veo-3.1-fast%",), {"*": "0.15"}, _FIRST),
    ("*", ("veo-3.1-fast%",), {"720p": "0.10", "1080p": "0.12", "4k": "0.30"}, _CHEAPER),
    ("*", ("veo-3.1-lite%",), {"720p": "0.05", "1080p": "0.08"}, _FIRST),
)

DEFAULTS = tuple(
    Price(provider=provider, model=model, resolution=resolution, price=Decimal(price), valid_from=day)
    for provider, models, prices, day in _PUBLISHED
    for model in models
    for resolution, price in prices.items()
)
