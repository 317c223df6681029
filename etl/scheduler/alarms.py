"""Looks at spend, failures and durations now and then, and tells once of what crosses a threshold."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from etl.analytics.alerts import CALM, Signal, SpendOutlook, read_outlook
from etl.analytics.filters import Filter
from etl.load.alerts import ToldAlert, clear_alert, raise_alert, read_told
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
        known = any(_is_about(one, signal) for one in told)
        if not known and raise_alert(engine, _as_row(signal, moment)):
            work.notifier.tell(_news_of(signal), moment)
    for news, one in _ended(outlook, told, {f"budget {b.name}" for b in config.budgets}):
        if clear_alert(engine, one.threshold, one.subject):
            work.notifier.tell(news, moment)


def _ended(
    outlook: SpendOutlook, told: list[ToldAlert], budgets: set[str]
) -> Iterator[tuple[News, ToldAlert]]:
    """What is well again, or cannot be judged any more; another service's budgets are left to it."""
    for one in told:
        begun, ended = _kinds_of(one.threshold)
        if begun == "budget" and one.subject not in budgets:
            continue
        now = next((signal for signal in outlook.signals if _is_about(one, signal)), None)
        if now is None or now.calm:
            text = f"{now.text}." if now else "There are too few jobs to judge by."
            title = f"{one.subject} is back below alerts.{one.threshold}"
            yield News(ended, f"{one.threshold} {one.subject}", title, text), one


def _news_of(signal: Signal) -> News:
    text = (
        f"{signal.text}.\nThreshold: alerts.{signal.threshold} {signal.limit:g}; now {signal.value:.3g}. "
        f"Its end is told below {CALM * signal.limit:.3g}."
    )
    kind, _ = _kinds_of(signal.threshold)
    return News(kind, f"{signal.threshold} {signal.subject}", signal.text, text)


def _kinds_of(threshold: str) -> tuple[NewsKind, NewsKind]:
    return _BUDGET if threshold.startswith("budget_") else _TREND


def _is_about(told: ToldAlert, signal: Signal) -> bool:
    return (told.threshold, told.subject) == (signal.threshold, signal.subject)


def _as_row(signal: Signal, moment: datetime) -> ToldAlert:
    return ToldAlert(signal.threshold, signal.subject, signal.value, signal.limit, moment)
