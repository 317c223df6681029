"""Budgets against spend counted by hand: an owner that moves, several currencies, no price, settled later."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.alerts import read_outlook
from etl.analytics.budgets import BudgetStanding, budget_table, has_log_costs, read_budgets
from etl.analytics.filters import Filter
from etl.analytics.queries import run_report
from etl.config import Alerts, Config, SpendBudget
from etl.db.engine import write_transaction
from etl.schema.tables import job_requests, prices, video_jobs
from tests.support.feed_history import Writer, add_source

#: Midday of Sunday, the day on which Berlin's clocks go forward.
NOW = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)


def at(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}").replace(tzinfo=UTC)


#: Model, creation, team that asked, settled cost. One second of euro costs 2 EUR, of dollar 3 USD.
JOBS: tuple[tuple[str, datetime, str | None, str | None], ...] = (
    ("dollar", at("02-01 12:00"), None, None),  # long ago: history has begun
    ("dollar", at("03-01 12:00"), "growth", None),
    ("dollar", at("03-10 12:00"), "growth", "7.25"),  # settled, later than the job, at another price
    ("dollar", at("03-20 12:00"), "studio", None),  # its key has moved to another team
    ("euro", at("03-21 12:00"), "growth", None),
    ("mystery", at("03-22 12:00"), "growth", None),  # no price
    ("dollar", at("03-28 23:30"), "growth", None),  # 29 March in Berlin
    ("dollar", at("03-29 11:00"), "growth", "0"),  # settled as free
)


@pytest.fixture
def filled(engine: sa.Engine) -> sa.Engine:
    writer = Writer(engine, add_source(engine, "main"))
    writer.step(new=len(JOBS), changes=0)
    with write_transaction(engine) as conn:
        conn.execute(sa.text("DELETE FROM job_requests"))
        conn.execute(sa.delete(prices))
        book = {"provider": "*", "resolution": "*", "unit": "second", "origin": "config"}
        book["valid_from"] = datetime(2026, 1, 1, tzinfo=UTC)
        for model, price, currency in (("dollar", 3, "USD"), ("euro", 2, "EUR")):
            row = {**book, "model_pattern": model, "price": Decimal(price), "currency": currency}
            conn.execute(sa.insert(prices).values(**row))
        ids = list(conn.scalars(sa.select(video_jobs.c.job_id).order_by(video_jobs.c.job_id)))
        for number, (job_id, job) in enumerate(zip(ids, JOBS, strict=True)):
            _write_job(conn, 2 * number + 1, job_id, *job)
    return engine


def _write_job(
    conn: sa.Connection,
    seq: int,
    job_id: str,
    model: str,
    made: datetime,
    team: str | None,
    settled: str | None,
) -> None:
    facts: dict[str, Any] = {"provider": "openai", "model": model, "status": "completed", "settled": True}
    facts |= {"created_at": made, "completed_at": made, "seconds": 1.0, "unlisted_at": None}
    conn.execute(sa.update(video_jobs).where(video_jobs.c.job_id == job_id).values(**facts))
    asked = {"source_id": 1, "job_id": job_id, "request_type": "video_generation", "status": "success"}
    asked |= {"requested_at": made, "first_seen_at": made, "team_name": team, "run_id": 1}
    asked |= {"request_seq": seq}
    if team is not None:
        conn.execute(sa.insert(job_requests).values(**asked, request_id=f"m{job_id}", role="made"))
    if settled is not None:
        later = {**asked, "request_id": f"s{job_id}", "role": "settled", "cost": Decimal(settled)}
        later |= {"requested_at": made + timedelta(days=3), "request_seq": seq + 1}
        conn.execute(sa.insert(job_requests).values(**later))


def judge(engine: sa.Engine, *, now: datetime = NOW, zone: str = "UTC", **given: Any) -> BudgetStanding:
    budget = SpendBudget(name="b", amount=Decimal(20), **given)
    (found,) = read_budgets(engine, [budget], Filter(now, zone=zone))
    return found


def test_a_teams_month(filled: sa.Engine) -> None:
    """3 + 7.25 (settled) + 3 + 0; 2 EUR and one job without a price stand beside it."""
    found = judge(filled, only={"team": "growth"})
    assert (found.start, found.end) == (date(2026, 3, 1), date(2026, 4, 1))
    assert (found.spent, found.jobs, found.uncosted) == (Decimal("13.25"), 6, 1)
    assert found.others == "EUR 2" and found.used == 0.6625 and found.seen


def test_who_moves_in_mid_month_leaves_what_was_spent_where_it_was(filled: sa.Engine) -> None:
    assert judge(filled, only={"team": "studio"}).spent == Decimal(3)


def test_another_currency_counts_by_itself(filled: sa.Engine) -> None:
    found = judge(filled, currency="EUR")
    assert (found.spent, found.others) == (Decimal(2), "USD 16.25")


@pytest.mark.parametrize(("zone", "spent"), [("UTC", Decimal(0)), ("Europe/Berlin", Decimal(3))])
def test_a_day_of_23_hours_is_the_zones(filled: sa.Engine, zone: str, spent: Decimal) -> None:
    assert judge(filled, zone=zone, period="day").spent == spent


def test_several_dimensions_agree(filled: sa.Engine) -> None:
    found = judge(filled, only={"team": "growth", "model": "euro"}, currency="EUR")
    assert (found.spent, found.jobs) == (Decimal(2), 1)


def test_a_team_that_has_no_jobs_has_spent_nothing_and_was_never_seen(filled: sa.Engine) -> None:
    found = judge(filled, only={"team": "Growth "})
    assert (found.spent, found.jobs, found.seen, found.used) == (Decimal(0), 0, False, 0.0)
    assert found.forecast is not None and found.forecast.total == 0


def test_the_forecast_of_a_team(filled: sa.Engine) -> None:
    """28 whole days before Sunday the 29th: Sunday 1 March 3 USD (usual Sunday 0.75), Tuesday 10 March 7.25
    (usual Tuesday 1.8125), Saturday 28 March 3. Spent before today 13.25, today max(0, 0.75); Monday nothing,
    Tuesday the 31st 1.8125."""
    found = judge(filled, only={"team": "growth"})
    assert found.forecast is not None
    assert (found.forecast.total, found.forecast.days) == (Decimal("15.8125"), 28)


def test_a_new_month_begins_at_nothing(filled: sa.Engine) -> None:
    found = judge(filled, now=at("04-01 00:00"), only={"team": "growth"})
    assert (found.spent, found.start) == (Decimal(0), date(2026, 4, 1))


def test_the_price_book_alone_says_the_same_by_either_way(filled: sa.Engine) -> None:
    """Without costs in the log: six dollar jobs of 3 in March but one, which is of February; 2 EUR."""
    with write_transaction(filled) as conn:
        conn.execute(sa.update(job_requests).values(cost=None))
    assert not has_log_costs(filled)
    short, long = judge(filled), judge(filled, only={"source": "main"})
    assert (short.spent, short.others, short.uncosted, short.jobs) == (Decimal(15), "EUR 2", 1, 7)
    assert (long.spent, long.others, long.uncosted, long.jobs) == (Decimal(15), "EUR 2", 1, 7)
    assert short.forecast == long.forecast


def test_an_empty_database_has_no_forecast(engine: sa.Engine) -> None:
    found = judge(engine)
    assert (found.spent, found.forecast, found.seen, found.forecast_used) == (Decimal(0), None, False, None)
    table = budget_table([found])
    named = dict(zip([column.name for column in table.columns], table.rows[0], strict=True))
    assert (named["budget"], named["only"], named["period"]) == ("b", None, "month")
    assert (named["first_day"], named["last_day"]) == (date(2026, 3, 1), date(2026, 3, 31))
    assert (named["amount"], named["spent"], named["used"], named["forecast"]) == (20, 0, 0.0, None)
    assert (named["currency"], named["known_days"], named["jobs"]) == ("USD", 0, 0)


def test_spend_is_added_up_once_for_budgets_and_trends(
    filled: sa.Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def count(engine: sa.Engine, name: str, chosen: Filter) -> Any:
        asked.append(name)
        return run_report(engine, name, chosen)

    monkeypatch.setattr("etl.analytics.budgets.run_report", count)
    team = SpendBudget(name="team", amount=Decimal(100), only={"team": "growth"})
    config = Config(budgets=(team,), alerts=Alerts(least_jobs=1))
    assert read_outlook(filled, config, Filter(NOW)).budgets[0].jobs and asked == ["spend"]
