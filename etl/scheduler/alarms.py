"""Looks at spend, failures and durations now and then, and tells once of what crosses a threshold."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from etl.analytics.alerts import CALM, Signal, SpendOutlook, read_outlook
from etl.analytics.filters import Filter
from etl.analytics.forecast import TRAILING
from etl.config import Config
from etl.load.alerts import ToldAlert, claim_end, claim_news, drop_alert, mark_told, read_told
from etl.scheduler.news import News, NewsKind
from etl.scheduler.work import Work

#: Seconds between two looks: a look reads the jobs of four weeks.
EVERY = 300.0
#: What begins and what ends, of budgets and of all else.
_BUDGET: tuple[NewsKind, NewsKind] = ("budget", "budget_closed")
_TREND: tuple[NewsKind, NewsKind] = ("trend", "trend_closed")


def look_at_spend(work: Work, moment: datetime) -> None:
    """Raises StorageError."""
    config, engine = work.app.config, work.app.engine
    reporting = config.reporting
    chosen = Filter(moment, zone=reporting.timezone, currency=reporting.currency)
    outlook = read_outlook(engine, config, chosen)
    told = read_told(engine)
    for signal in outlook.raised:
        _tell_news(work, signal, told, moment)
    for one in told:
        if _is_ours(one, config):
            _tell_end(work, one, outlook, moment)


def _tell_news(work: Work, signal: Signal, told: list[ToldAlert], moment: datetime) -> None:
    news, engine = _news_of(signal), work.app.engine
    known = any(_is_about(one, signal) and one.told_at for one in told)
    if known or not work.notifier.tells(news.kind):
        return
    row = ToldAlert(signal.threshold, signal.subject, signal.value, signal.limit, moment)
    if claim_news(engine, row, moment):
        work.notifier.tell(news, moment, then=partial(mark_told, engine, row, moment))


def _tell_end(work: Work, one: ToldAlert, outlook: SpendOutlook, moment: datetime) -> None:
    news, engine = _end_of(one, outlook, moment), work.app.engine
    if news is None or not work.notifier.tells(news.kind):
        return
    if one.told_at is None:
        drop_alert(engine, one)
    elif claim_end(engine, one, moment):
        work.notifier.tell(news, moment, then=partial(drop_alert, engine, one))


def _is_ours(one: ToldAlert, config: Config) -> bool:
    """Not another service's: its threshold and its budget are configured here."""
    budgets = {f"budget {budget.name}" for budget in config.budgets}
    is_judged = getattr(config.alerts, one.threshold, None) is not None
    return is_judged and (_kinds_of(one.threshold) == _TREND or one.subject in budgets)


def _end_of(one: ToldAlert, outlook: SpendOutlook, moment: datetime) -> News | None:
    """It is well again by the threshold that was told and by today's. Of too few jobs nothing is said until
    those that it was compared with are out of sight."""
    _, kind = _kinds_of(one.threshold)
    subject = f"{one.threshold} {one.subject}"
    now = next((signal for signal in outlook.signals if _is_about(one, signal)), None)
    if now is None and moment - one.raised_at > timedelta(days=TRAILING):
        title = f"{one.subject} is no longer judged by alerts.{one.threshold}"
        return News(kind, subject, title, f"There have been too few jobs since {one.raised_at:%Y-%m-%d}.")
    if now is None or now.value >= CALM * min(one.limit_value, now.limit):
        return None
    title = f"{one.subject} is back below alerts.{one.threshold}"
    return News(kind, subject, title, f"{now.text}.")


def _news_of(signal: Signal) -> News:
    text = (
        f"{signal.text}.\nThreshold: alerts.{signal.threshold} {signal.limit:g}; now {signal.value:.3g}. "
        f"A message follows when it is back below {CALM * signal.limit:.3g}."
    )
    kind, _ = _kinds_of(signal.threshold)
    return News(kind, f"{signal.threshold} {signal.subject}", signal.text, text)


def _kinds_of(threshold: str) -> tuple[NewsKind, NewsKind]:
    return _BUDGET if threshold.startswith("budget_") else _TREND


def _is_about(told: ToldAlert, signal: Signal) -> bool:
    return (told.threshold, told.subject) == (signal.threshold, signal.subject)
