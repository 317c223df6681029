"""Budgets, spend, failures, durations: told once when over their thresholds, and once when well again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from msgspec import structs

from etl.analytics.alerts import Signal, judge_trends
from etl.analytics.filters import Filter
from etl.config import Alerts, Config, Notify, Secret, SpendBudget
from etl.db.engine import write_transaction
from etl.load.alerts import ToldAlert, claim_end, claim_news, drop_alert, mark_told, read_told
from etl.log import Redactor
from etl.scheduler.alarms import look_at_spend
from etl.scheduler.notify import Memory, Message, Notifier
from etl.schema.tables import alerts, prices, video_jobs
from tests.support.feed_history import Writer, add_source

#: A Wednesday.
NOW = datetime(2026, 4, 15, 12, 0, tzinfo=UTC)
_DAY = timedelta(days=1)
#: No trends: what a test is not about is not judged.
QUIET = Alerts(spend_factor=None, failure_rate_rise=None, latency_factor=None, budget_forecast=None)


def judging(**limits: Any) -> Alerts:
    return structs.replace(QUIET, **limits)


@pytest.fixture
def filled(engine: sa.Engine) -> sa.Engine:
    """Four jobs on each of the 29 days before now: a dollar each, of 100 seconds; of the four one failed."""
    return fill(engine, [(NOW - n * _DAY - timedelta(hours=1), 100, n == 0) for n in range(1, 30)])


def fill(engine: sa.Engine, days: list[tuple[datetime, int, bool]]) -> sa.Engine:
    writer = Writer(engine, add_source(engine, "main"))
    writer.step(new=4 * len(days), changes=0)
    with write_transaction(engine) as conn:
        conn.execute(sa.text("DELETE FROM job_requests"))
        conn.execute(sa.delete(prices))
        book = {"provider": "*", "resolution": "*", "unit": "clip", "currency": "USD", "origin": "config"}
        book |= {"valid_from": datetime(2026, 1, 1, tzinfo=UTC), "model_pattern": "*", "price": Decimal(1)}
        conn.execute(sa.insert(prices).values(**book))
        ids = iter(conn.scalars(sa.select(video_jobs.c.job_id).order_by(video_jobs.c.job_id)).all())
        for made, took, bad in days:
            for n in range(4):
                write_job(conn, next(ids), made, took, failed=bad or n == 3)
    return engine


def write_job(conn: sa.Connection, job_id: str, made: datetime, took: int, *, failed: bool) -> None:
    facts: dict[str, Any] = {"provider": "openai", "model": "sora-2", "settled": True, "seconds": 4.0}
    facts |= {"status": "failed" if failed else "completed", "unlisted_at": None, "created_at": made}
    facts |= {"completed_at": None if failed else made + timedelta(seconds=took)}
    conn.execute(sa.update(video_jobs).where(video_jobs.c.job_id == job_id).values(**facts))


def judge(engine: sa.Engine, **limits: Any) -> list[Signal]:
    settings = dict.fromkeys(("spend_factor", "failure_rate_rise", "latency_factor"))
    return list(judge_trends(engine, Alerts(**(settings | {"least_jobs": 4} | limits)), Filter(NOW)))


def test_a_failure_rate_that_rises_by_its_points(engine: sa.Engine) -> None:
    """Today four of four failed; in the 28 days before, one of four."""
    days = [(NOW - n * _DAY - timedelta(hours=1), 100, n == 0) for n in range(30)]
    (found,) = judge(fill(engine, days), failure_rate_rise=0.1)
    assert (found.threshold, found.subject, found.value) == ("failure_rate_rise", "openai sora-2", 0.75)
    assert found.text == "openai sora-2: 100.0% failed in the last 24 hours, 25.0% in the 28 days before"
    assert judge(engine, failure_rate_rise=0.1, least_jobs=5) == []


def test_jobs_that_take_longer(engine: sa.Engine) -> None:
    """Today 250 seconds, 100 before."""
    days = [(NOW - n * _DAY - timedelta(hours=1), 250 if n == 0 else 100, False) for n in range(30)]
    (found,) = judge(fill(engine, days), latency_factor=1.5, least_jobs=3)
    assert (found.subject, found.value, found.over) == ("main openai sora-2", 2.5, True)
    assert "took up to 4m 10s in the last 24 hours, up to 1m 40s in the 28 days before" in found.text


def test_spend_against_this_weekdays_mean(engine: sa.Engine) -> None:
    """Every day costs 3; today 12: three times four jobs, one of each four failed, and nine dollars."""
    usual = [(NOW - n * _DAY - timedelta(hours=1), 100, False) for n in range(1, 30)]
    today = [(NOW - timedelta(hours=n), 100, False) for n in (1, 2, 3, 4)]
    (found,) = judge(fill(engine, usual + today), spend_factor=2.0)
    assert (found.subject, found.value, found.over) == ("spend in USD", 4.0, True)
    assert found.text == "spend: 12.00 USD so far today, 4.0 times the Wednesdays' mean of 3.00 USD (UTC)"


def test_nothing_is_said_of_an_empty_database(engine: sa.Engine) -> None:
    assert judge(engine, spend_factor=2.0, failure_rate_rise=0.1, latency_factor=1.5) == []


# --- told once, whoever sees it ----------------------------------------------------------------


class Post:
    """A service: its configuration, and what it told."""

    def __init__(
        self,
        engine: sa.Engine,
        amount: str | None = None,
        on: tuple[Any, ...] = ("budget", "trend"),
        *,
        alerts: Alerts = QUIET,
        works: bool = True,
    ) -> None:
        self.messages: list[Message] = []
        self.works = works
        budgets = () if amount is None else (SpendBudget(name="all", amount=Decimal(amount)),)
        config = Config(budgets=budgets, alerts=alerts)
        self.settings = Notify(urls=(Secret("json://localhost"),), on=on)
        self.memory = Memory()
        self.work: Any = SimpleNamespace(app=SimpleNamespace(config=config, engine=engine))

    def _take(self, message: Message) -> bool:
        self.messages.append(message)
        return self.works

    def look(self, *moments: datetime) -> list[tuple[str, str]]:
        """At each moment; what is told leaves before the next."""
        for moment in moments:
            notifier = Notifier(self.settings, Redactor([]), send=self._take, memory=self.memory)
            self.work.notifier = notifier
            look_at_spend(self.work, moment)
            notifier.close()
        return [(message.severity, message.title) for message in self.messages]


def test_a_budget_is_told_once_by_whoever_sees_it_first_and_once_when_the_month_is_new(
    filled: sa.Engine,
) -> None:
    """14 days of April with 3 dollars each are 42 of 50."""
    first, second, third = Post(filled, "50"), Post(filled, "50"), Post(filled, "50")
    told = first.look(NOW, NOW + timedelta(hours=1))
    assert [severity for severity, _ in told] == ["warning"]
    assert told[0][1] == (
        "bifrost-etl warning: budget all: 84.0% of 50.00 USD for the month from 2026-04-01 is spent"
    )
    assert "alerts.budget_used 0.8; now 0.84" in first.messages[0].text
    assert second.look(NOW + timedelta(hours=2)) == []  # another service, or the same after a restart
    may = datetime(2026, 5, 1, tzinfo=UTC)
    assert third.look(may, may + timedelta(hours=1)) == [
        ("recovery", "bifrost-etl recovery: budget all is back below alerts.budget_used")
    ]
    assert read_told(filled) == []


def test_what_hovers_about_its_threshold_is_not_told_again(filled: sa.Engine) -> None:
    """42 dollars are 0.764 of 55: below 0.8, and not below 0.72."""
    assert len(Post(filled, "50").look(NOW)) == 1
    assert Post(filled, "55").look(NOW + timedelta(hours=1)) == []
    assert len(read_told(filled)) == 1


def test_a_service_leaves_the_budgets_of_another_to_it(filled: sa.Engine) -> None:
    Post(filled, "50").look(NOW)
    other = Post(filled, "50")
    other.work.app.config = Config(alerts=QUIET)
    assert other.look(NOW + timedelta(hours=1)) == [] and len(read_told(filled)) == 1


RISE = ToldAlert("failure_rate_rise", "openai sora-2", 0.75, 0.1, NOW)


def told(engine: sa.Engine, one: ToldAlert) -> None:
    """As a service leaves it that has told of it."""
    assert claim_news(engine, one, one.raised_at)
    mark_told(engine, one, one.raised_at)


@pytest.mark.parametrize("threshold", ["spend_factor", "failure_rate_rise", "latency_factor"])
def test_a_service_leaves_thresholds_that_it_does_not_have_to_others(
    engine: sa.Engine, threshold: str
) -> None:
    told(engine, replace(RISE, threshold=threshold))
    assert Post(engine).look(NOW, NOW + 40 * _DAY) == [] and len(read_told(engine)) == 1


def test_of_too_few_jobs_no_end_is_told_before_the_time_compared_with_has_passed(engine: sa.Engine) -> None:
    told(engine, RISE)
    asked = judging(failure_rate_rise=0.1)
    assert Post(engine, alerts=asked).look(NOW + _DAY, NOW + 28 * _DAY) == []
    assert len(read_told(engine)) == 1
    last = Post(engine, alerts=asked)
    title = "bifrost-etl recovery: openai sora-2 is no longer judged by alerts.failure_rate_rise"
    assert last.look(NOW + 29 * _DAY, NOW + 30 * _DAY) == [("recovery", title)]
    assert "too few jobs" in last.messages[0].text and read_told(engine) == []


def test_a_higher_threshold_elsewhere_ends_nothing(engine: sa.Engine) -> None:
    """2.5 times as long: over the 1.5 of one service, calm by the 3.0 of the other, which takes turns."""
    days = [(NOW - n * _DAY - timedelta(hours=1), 250 if n == 0 else 100, False) for n in range(30)]
    fill(engine, days)
    strict, lenient = (judging(latency_factor=limit, least_jobs=3) for limit in (1.5, 3.0))
    assert len(Post(engine, alerts=strict).look(NOW)) == 1
    assert Post(engine, alerts=lenient).look(NOW + timedelta(minutes=5)) == []
    assert Post(engine, alerts=strict).look(NOW + timedelta(minutes=20)) == []
    assert len(read_told(engine)) == 1


def test_who_does_not_tell_of_a_kind_leaves_it_to_who_does(filled: sa.Engine) -> None:
    assert Post(filled, "50", on=("failure", "trend")).look(NOW) == [] and read_told(filled) == []
    assert len(Post(filled, "50").look(NOW)) == 1
    may = datetime(2026, 5, 1, tzinfo=UTC)
    assert Post(filled, "50", on=("trend",)).look(may) == [] and len(read_told(filled)) == 1
    assert len(Post(filled, "50").look(may)) == 1 and read_told(filled) == []


def test_what_could_not_be_sent_is_tried_again_later_by_whoever_looks(filled: sa.Engine) -> None:
    lost = Post(filled, "50", works=False)
    assert len(lost.look(NOW)) == 1  # the mail server refused it
    assert Post(filled, "50").look(NOW + timedelta(minutes=5)) == [], "it may still be on its way"
    assert len(Post(filled, "50").look(NOW + timedelta(minutes=15))) == 1
    assert Post(filled, "50").look(NOW + timedelta(minutes=45)) == []
    may = datetime(2026, 5, 1, tzinfo=UTC)
    assert len(Post(filled, "50", works=False).look(may)) == 1 and len(read_told(filled)) == 1
    assert len(Post(filled, "50").look(may + timedelta(minutes=20))) == 1 and read_told(filled) == []


def test_of_what_nobody_heard_no_end_is_told(filled: sa.Engine) -> None:
    Post(filled, "50", works=False).look(NOW)
    assert Post(filled, "50").look(datetime(2026, 5, 1, tzinfo=UTC)) == [] and read_told(filled) == []


def test_of_two_that_tell_at_once_one_does(engine: sa.Engine) -> None:
    one = ToldAlert("latency_factor", "m" * 5000, 2.0, 1.5, NOW)
    assert claim_news(engine, one, NOW) and not claim_news(engine, one, NOW)
    mark_told(engine, one, one.raised_at)
    assert read_told(engine) == [replace(one, told_at=NOW)]
    assert claim_end(engine, one, NOW) and not claim_end(engine, one, NOW)
    drop_alert(engine, one)
    with engine.connect() as conn:
        assert conn.scalar(sa.select(sa.func.count()).select_from(alerts)) == 0
