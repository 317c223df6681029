"""The price book as it is stored, and the published prices.

Those are in US dollars per second of video made, or per clip, each with the day from which it held.

A model's first price holds from before the model existed: no job of it can be older. `veo-3.1-fast` became
cheaper early in 2026; the day is taken as February 1st. Seedance is priced by the clip, as its users report.
All figures are those of the project's page on gateways, "Published prices", as of November 2026.

Kling, Wan and Runway are left out on purpose. Their makers publish prices in credits or prepaid units, by
plan, and what resellers ask differs: no figure of the makers in dollars was found (looked for on 2026-11-30).
`prices check` names such models, and `prices propose` says what they cost by the gateway's log.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from etl.config import Price
from etl.errors import ConfigError
from etl.schema.tables import prices

#: Provider, model, resolution, and the start of the day from which the price holds (UTC).
PriceKey = tuple[str, str, str, datetime]
_LIMITS = (("provider", 64), ("model", 191), ("resolution", 16))
_FIRST, _CHEAPER = date(2025, 1, 1), date(2026, 2, 1)

# Models carry a date or a stage behind their name: sora-2-2025-12-08, veo-3.1-generate-preview.
_SORA = ("sora-2", "sora-2-20*")
_SORA_PRO = ("sora-2-pro", "sora-2-pro-20*")
_VEO = ("veo-3.1", "veo-3.1-generate*")
_MINIMAX = ("minimax-h3*", "MiniMax-H3*", "minimax/h3*")

_PUBLISHED = (
    ("*", _SORA, {"720p": "0.10"}, _FIRST),
    ("azure", _SORA, {"*": "0.10"}, _FIRST),
    ("*", _SORA_PRO, {"720p": "0.30", "1024p": "0.50", "1080p": "0.70"}, _FIRST),
    ("*", _VEO, {"720p": "0.40", "1080p": "0.40", "4k": "0.60"}, _FIRST),
    ("*", ("veo-3.1-fast*",), {"*": "0.15"}, _FIRST),
    ("*", ("veo-3.1-fast*",), {"720p": "0.10", "1080p": "0.12", "4k": "0.30"}, _CHEAPER),
    ("*", ("veo-3.1-lite*",), {"720p": "0.05", "1080p": "0.08"}, _FIRST),
    ("*", _MINIMAX, {"*": "0.072"}, _FIRST),
)

_PER_CLIP = (("*", ("seedance*", "*/seedance*"), {"*": "0.132"}, _FIRST),)

DEFAULTS = tuple(
    Price(
        provider=provider,
        model=model,
        resolution=resolution,
        price=Decimal(price),
        valid_from=day,
        unit="second" if published is _PUBLISHED else "clip",
    )
    for published in (_PUBLISHED, _PER_CLIP)
    for provider, models, by_resolution, day in published
    for model in models
    for resolution, price in by_resolution.items()
)


def seed_prices(conn: sa.Connection) -> None:
    """The published prices, in the caller's transaction: for a schema that has just been made."""
    replace_book(conn, "default", as_book(DEFAULTS))


def book_columns() -> list[sa.ColumnElement[Any]]:
    c = prices.c
    price = sa.cast(
        c.price, sa.String(32)
    )  # SQLite keeps numbers as doubles; text is exact enough for 6 places
    return [c.provider, c.model_pattern, c.resolution, c.unit, price, c.currency, c.valid_from, c.origin]


def exact_money(text: Any) -> Decimal:
    return round(Decimal(str(text)), 6).normalize() + 0


def as_book(given: Iterable[Price]) -> dict[PriceKey, tuple[str, Decimal, str]]:
    """Prices by key; of two for one key the last stands. Raises ConfigError for what the book cannot hold."""
    book: dict[PriceKey, tuple[str, Decimal, str]] = {}
    for price in given:
        _check_limits(price)
        key = (price.provider, price.model, price.resolution.lower(), midnight_utc(price.valid_from))
        book[key] = (price.unit, exact_money(price.price), price.currency)
    return book


def _check_limits(price: Price) -> None:
    for key, problem in price.problems():
        if key == "model":  # a warning to who writes %: the book holds it, and it stands for itself
            continue
        raise ConfigError(f"the {key} of {price.model}: {problem}")
    for name, limit in _LIMITS:
        if len(getattr(price, name)) > limit:
            raise ConfigError(
                f"a price's {name} has more than {limit} characters: {getattr(price, name)[:40]}…"
            )
    if price.price >= 10**8:
        raise ConfigError(f"the price {price.price} of {price.model} is too large")


def midnight_utc(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def stored_book(conn: sa.Connection, origin: str) -> dict[PriceKey, tuple[str, Decimal, str]]:
    rows = conn.execute(sa.select(*book_columns()).where(prices.c.origin == origin))
    return {(r[0], r[1], r[2], r[6]): (r[3], exact_money(r[4]), r[5]) for r in rows}


def matches_key(key: PriceKey) -> list[sa.ColumnElement[bool]]:
    c = prices.c
    return [
        column == value
        for column, value in zip((c.provider, c.model_pattern, c.resolution, c.valid_from), key, strict=True)
    ]


def replace_book(conn: sa.Connection, origin: str, book: dict[PriceKey, tuple[str, Decimal, str]]) -> None:
    if stored_book(conn, origin) != book:
        conn.execute(sa.delete(prices).where(prices.c.origin == origin))
        insert_prices(conn, origin, book)


def insert_prices(conn: sa.Connection, origin: str, book: dict[PriceKey, tuple[str, Decimal, str]]) -> None:
    names = ("provider", "model_pattern", "resolution", "valid_from", "unit", "price", "currency")
    rows = [dict(zip(names, (*key, *value), strict=True)) | {"origin": origin} for key, value in book.items()]
    if rows:
        conn.execute(sa.insert(prices), rows)
