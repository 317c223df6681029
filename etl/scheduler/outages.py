"""Of several services one tells that a source fails, and one that it works again: who claims it first."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from functools import partial

from etl.app import App
from etl.errors import StorageError
from etl.load.alerts import claim_end, claim_news, drop_alert, mark_told, outage_of
from etl.scheduler.news import News

Claim = Callable[[News, datetime], Callable[[], None] | None]


def claim_outage(app: App, news: News, moment: datetime) -> Callable[[], None] | None:
    """What to do once somebody took the message; None: another one tells it, or has told it.

    A database that does not answer now is asked again after the next run."""
    engine, row = app.engine, outage_of(news.subject, moment)
    try:
        if news.kind == "failure":
            return partial(mark_told, engine, row, moment) if claim_news(engine, row, moment) else None
        return partial(drop_alert, engine, row) if claim_end(engine, row, moment) else None
    except StorageError:
        return None
