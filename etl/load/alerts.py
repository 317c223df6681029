"""What people were told of and that is not well again: each once, whichever of several services sees it.

Who wants to tell claims it first; a claim whose message did not leave is free again after a while, so that
neither a mail server that is down nor a process that dies keeps an alarm from everybody.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta

import sqlalchemy as sa

from etl.db.engine import storage_errors, write_transaction
from etl.errors import DuplicateRow
from etl.schema.tables import alerts

#: So long nobody else tells what one service has claimed; a notifier repeats nothing sooner.
RETRY = timedelta(minutes=15)
#: Failed runs in a row before somebody is told; a refused key is told at once.
FAILURES = 3


@dataclass(frozen=True, slots=True)
class ToldAlert:
    """A row of `alerts`; `told_at` is None until its message has left."""

    threshold: str
    subject: str
    value: float
    limit_value: float
    raised_at: datetime
    told_at: datetime | None = None


def read_told(engine: sa.Engine) -> list[ToldAlert]:
    """What was told, or is about to be, and is not well again, the oldest first. Raises StorageError."""
    columns = [alerts.c[name] for name in ToldAlert.__slots__]
    with storage_errors(), engine.connect() as conn:
        rows = conn.execute(sa.select(*columns).order_by(alerts.c.raised_at, alerts.c.digest))
        return [ToldAlert(*row) for row in rows]


def claim_news(engine: sa.Engine, alert: ToldAlert, moment: datetime) -> bool:
    """Whether nobody has told of it or is about to: then the caller is to tell. Raises StorageError."""
    values = {name: getattr(alert, name) for name in ToldAlert.__slots__}
    try:
        with write_transaction(engine) as conn:
            conn.execute(sa.insert(alerts).values(digest=_digest(alert), claimed_at=moment, **values))
    except DuplicateRow:
        return _claim(engine, alert, moment, alerts.c.told_at.is_(None))
    return True


def mark_told(engine: sa.Engine, alert: ToldAlert, moment: datetime) -> None:
    """Its message has left. Raises StorageError."""
    with write_transaction(engine) as conn:
        conn.execute(sa.update(alerts).where(_is(alert)).values(told_at=moment, claimed_at=None))


def claim_end(engine: sa.Engine, alert: ToldAlert, moment: datetime) -> bool:
    """Whether somebody was told of it, and nobody is about to tell its end. Raises StorageError."""
    return _claim(engine, alert, moment, alerts.c.told_at.is_not(None))


def drop_alert(engine: sa.Engine, alert: ToldAlert) -> None:
    """Its end was told, or nobody had heard of it. Raises StorageError."""
    with write_transaction(engine) as conn:
        conn.execute(sa.delete(alerts).where(_is(alert)))


def outage_of(source: str, moment: datetime) -> ToldAlert:
    """That runs of this source fail, as it is noted: one row from the failure's message to the recovery's."""
    return ToldAlert("failed_runs", source, FAILURES, FAILURES, moment)


def outage_told(source: str) -> sa.ColumnElement[bool]:
    """Whether somebody was told that the source fails, and nobody of its recovery."""
    return sa.exists().where(_is(outage_of(source, datetime.min)), alerts.c.told_at.is_not(None))


def _claim(engine: sa.Engine, alert: ToldAlert, moment: datetime, condition: sa.ColumnElement[bool]) -> bool:
    free = sa.or_(alerts.c.claimed_at.is_(None), alerts.c.claimed_at <= moment - RETRY)
    with write_transaction(engine) as conn:
        claimed = conn.execute(sa.update(alerts).where(_is(alert), condition, free).values(claimed_at=moment))
        return claimed.rowcount == 1


def _is(alert: ToldAlert) -> sa.ColumnElement[bool]:
    return alerts.c.digest == _digest(alert)


def _digest(alert: ToldAlert) -> str:
    """Names of models may be longer than a key."""
    text = f"{alert.threshold} {alert.subject}"
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
