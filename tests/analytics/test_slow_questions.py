"""Questions that must look at each job: which do not any more, and what the command says of the others."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.queries import run_report
from etl.cli import waiting

NOW = datetime(2026, 3, 20, tzinfo=UTC)


@pytest.fixture
def world(shared_world: sa.Engine) -> sa.Engine:
    return shared_world


@pytest.mark.parametrize("by", ["hour", "hour,model", "source,hour,status", "hour,size,provider"])
@pytest.mark.parametrize("name", ["totals", "cost"])
def test_hours_come_from_totals(world: sa.Engine, name: str, by: str) -> None:
    """Of the jobs at most their number is asked for: whether the totals are complete."""
    asked: list[str] = []
    sa.event.listen(world, "before_cursor_execute", lambda _c, _x, text, *_: asked.append(text))
    chosen = Filter(NOW, by=by)
    found = run_report(world, name, chosen)
    assert found.rows
    assert "FROM daily_totals" in asked[-1]


@pytest.mark.parametrize("name", ["totals", "cost"])
def test_hours_add_up_to_days(world: sa.Engine, name: str) -> None:
    hours, days = (run_report(world, name, Filter(NOW, by=f"{span},model")) for span in ("hour", "day"))
    for column in ("jobs", "cost", "seconds", "uncosted_jobs"):
        place = [each.name for each in hours.columns].index(column)
        assert sum(row[place] or 0 for row in hours.rows) == sum(row[place] or 0 for row in days.rows), column


def test_whoever_waits_is_told_why(monkeypatch: pytest.MonkeyPatch) -> None:
    told, hints = threading.Event(), []
    monkeypatch.setattr(waiting, "PATIENCE", 0.0)
    monkeypatch.setattr(waiting, "print_line", lambda text, *_, **__: (hints.append(text), told.set()))
    with waiting.hint_when_slow("give it a range"):
        assert told.wait(60)
    assert hints == ["give it a range"]


def test_whoever_does_not_wait_is_told_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(waiting, "PATIENCE", 3600.0)
    before = threading.active_count()
    with waiting.hint_when_slow("give it a range"):
        assert threading.active_count() == before + 1
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join(60)
    assert capsys.readouterr().err == "" and threading.active_count() == before
