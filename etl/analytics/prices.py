"""The price book: published prices, the configuration's, and imported ones, in the table `prices`.

A price holds from the start of a UTC day. Imported prices go before configured ones, those before the
published; among equals the more exact pattern wins, then the newest. The views do the pricing; this module
fills the book and tells what it lacks.
"""

from __future__ import annotations

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from etl.analytics.queries import convert_value
from etl.config import Price
from etl.db.engine import storage_errors, write_transaction
from etl.schema.price_book import (
    DEFAULTS,
    as_book,
    book_columns,
    exact_money,
    insert_prices,
    matches_key,
    replace_book,
    stored_book,
)
from etl.schema.tables import prices
from etl.schema.views.columns import ValueKind
from etl.schema.views.dialects import make_dialect
from etl.schema.views.job_facts import COUNTED, price_of_job
from etl.schema.views.pricing import resolution_band

_UNPRICED: tuple[ValueKind, ...] = ("text", "text", "text", "integer", "seconds", "instant", "instant")


@dataclass(frozen=True, slots=True)
class BookPrice:
    """One line of the book, as stored. `valid_from` is the day's start (UTC)."""

    provider: str
    model: str
    resolution: str
    unit: str
    price: Decimal
    currency: str
    valid_from: datetime
    origin: str


def ensure_prices(engine: sa.Engine, configured: Sequence[Price] = ()) -> bool:
    """Makes the published and the configured prices those of this program and configuration.

    Reads one small table and writes only when something differs; True when it did. Raises StorageError.
    """
    wanted = {"default": as_book(DEFAULTS), "config": as_book(configured)}
    with storage_errors(), engine.connect() as conn:
        if all(stored_book(conn, origin) == book for origin, book in wanted.items()):
            return False
    with write_transaction(engine) as conn:
        conn.execute(sa.select(prices.c.id).with_for_update())  # two services may start at once
        for origin, book in wanted.items():
            replace_book(conn, origin, book)
    return True


def foreign_prices(engine: sa.Engine, configured: Sequence[Price] = ()) -> int:
    """How many prices the book and this program with this configuration do not share; 0 when they agree.

    For those that only read: they answer by the book, and say so. Raises StorageError.
    """
    wanted = {"default": as_book(DEFAULTS), "config": as_book(configured)}
    with storage_errors(), engine.connect() as conn:
        return sum(len(stored_book(conn, origin).items() ^ book.items()) for origin, book in wanted.items())


def import_prices(engine: sa.Engine, given: Iterable[Price]) -> tuple[int, int]:
    """Adds prices to the book; one for the same provider, model, resolution and day replaces the old one.

    Returns how many were new or changed, and how many were there already.
    """
    book = as_book(given)
    with write_transaction(engine) as conn:
        before = stored_book(conn, "import")
        changed = {key: value for key, value in book.items() if before.get(key) != value}
        for key in changed.keys() & before.keys():
            conn.execute(sa.delete(prices).where(prices.c.origin == "import", *matches_key(key)))
        insert_prices(conn, "import", changed)
    return len(changed), len(book) - len(changed)


def read_prices(engine: sa.Engine) -> list[BookPrice]:
    """The whole book: imported, configured, published; each by provider, model, resolution and day."""
    rank = {"import": 0, "config": 1, "default": 2}
    with storage_errors(), engine.connect() as conn:
        rows = [
            BookPrice(r[0], r[1], r[2], r[3], exact_money(r[4]), r[5], r[6], r[7])
            for r in conn.execute(sa.select(*book_columns()))
        ]
    return sorted(
        rows, key=lambda p: (rank.get(p.origin, 3), p.provider, p.model, p.resolution, p.valid_from)
    )


def unpriced_jobs(engine: sa.Engine) -> list[list[tuple[Any, ValueKind]]]:
    """Provider, model, resolution, jobs, seconds, first and last creation of what was completed unpriced."""
    with storage_errors(), engine.connect() as conn:
        d = make_dialect(conn.dialect.name)
        query = f"""
SELECT j.provider, j.model, {resolution_band(d)} AS resolution, COUNT(*), SUM(j.seconds), MIN(j.created_at),
  MAX(j.created_at)
FROM video_jobs j {price_of_job(d)}
WHERE j.status = 'completed' AND {COUNTED} AND p.id IS NULL
GROUP BY j.provider, j.model, {resolution_band(d)} ORDER BY 4 DESC, 1, 2, 3"""
        return [
            [(convert_value(kind, item), kind) for kind, item in zip(_UNPRICED, row, strict=True)]
            for row in conn.execute(sa.text(query))
        ]
