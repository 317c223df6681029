"""What people were told of and that is not well again: each once, whichever of several services sees it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

import sqlalchemy as sa

from etl.db.engine import storage_errors, write_transaction
from etl.errors import DuplicateRow
from etl.schema.tables import alerts


@dataclass(frozen=True, slots=True)
class ToldAlert:
    """A row of `alerts`."""

    threshold: str
    subject: str
    value: float
    limit_value: float
    raised_at: datetime


def read_told(engine: sa.Engine) -> list[ToldAlert]:
    """What was told and is not well again, the oldest first. Raises StorageError."""
    columns = [alerts.c[name] for name in ToldAlert.__slots__]
    with storage_errors(), engine.connect() as conn:
        rows = conn.execute(sa.select(*columns).order_by(alerts.c.raised_at, alerts.c.digest))
        return [ToldAlert(*row) for row in rows]


def raise_alert(engine: sa.Engine, alert: ToldAlert) -> bool:
    """Whether nobody had told of it: then it is for the caller to tell. Raises StorageError."""
    values = {name: getattr(alert, name) for name in ToldAlert.__slots__}
    try:
        with write_transaction(engine) as conn:
            conn.execute(sa.insert(alerts).values(digest=_digest(alert.threshold, alert.subject), **values))
    except DuplicateRow:
        return False
    return True


def clear_alert(engine: sa.Engine, threshold: str, subject: str) -> bool:
    """Whether somebody was told of it: then its end is for the caller to tell. Raises StorageError."""
    with write_transaction(engine) as conn:
        gone = conn.execute(sa.delete(alerts).where(alerts.c.digest == _digest(threshold, subject)))
        return gone.rowcount == 1


def _digest(threshold: str, subject: str) -> str:
    """Names of models may be longer than a key."""
    return hashlib.sha256(f"{threshold} {subject}".encode("utf-8", "surrogatepass")).hexdigest()
