"""What the dashboard says: of money, of stuck jobs, and when something is missing, broken or slow."""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa

from etl.app import App
from etl.config import Config, DatabaseConfig, SecretUrl, Source
from etl.errors import DatabaseUnavailable
from etl.schema import migrate
from etl.web.cache import AnswerCache
from tests.dashboard.site import TABLES, TOKEN, Site, empty, known, text, unreachable
from tests.support.rig import Rig
from tests.support.world import NOW, fill


def test_money_has_its_currency_and_what_has_no_price_says_so(site: Site, ids: dict[str, str]):
    page = text(site.get("/?since=all").text)
    assert re.search(r"\d+\.\d\d USD", page) and "without a price" in page
    job = text(site.get(f"/job?id={quote(ids['model'])}").text)
    assert re.search(r"Cost\s+unpriced", job)
    models = text(site.get("/tables/models?since=all").text)
    assert re.search(r"@SUM\(1\)\s+unpriced", models)
    unpriced = text(site.get("/jobs?since=all&only=unpriced").text)
    assert "@SUM(1)" in unpriced and not re.search(r"\d USD", unpriced)


def test_stuck_jobs_are_named_on_the_first_page(site: Site, made: Rig):
    stuck = [job for job in made.jobs().values() if known(made, job)["hours"] > 1 and not job["settled"]]
    page = text(site.get("/").text)
    assert (
        stuck and f"{len(stuck)} stuck for over an hour" in page and "stalled" in page and "overdue" in page
    )


def test_budgets_that_cannot_be_added_up_hide_nothing_else(site: Site, monkeypatch: pytest.MonkeyPatch):
    def fail(*_: Any) -> None:
        raise DatabaseUnavailable("no budgets")

    monkeypatch.setattr("etl.web.dashboard.routes.read_outlook", fail)
    monkeypatch.setattr("etl.web.cache.AnswerCache.get", lambda _self, _key, read: read())
    answer = site.get("/?since=all")
    page = text(answer.text)
    assert answer.status == 200 and "Budgets and alerts could not be read: DatabaseUnavailable" in page
    assert "main" in page and re.search(r"\d+\.\d\d USD", page)


def test_no_result_is_a_page_of_its_own(site: Site):
    assert "No jobs match" in site.get("/jobs?model=nothing").text
    assert "No jobs in this range" in site.get("/?model=nothing").text
    assert "Nothing failed" in site.get("/tables/failures?model=nothing").text


def test_before_the_first_sync(tmp_path: Path):
    with empty(tmp_path) as app, (site := Site(app)).server:
        for path in ("/", "/jobs", "/tables/runs"):
            status, page, _ = site.get(path)
            assert status == 503 and "Nothing has been synced yet" in page and "bifrost-etl sync" in page
        assert not (tmp_path / "empty.db").exists(), "looking creates nothing"
        migrate.ensure_schema(app.engine)
        page = site.get("/")
        assert (
            page.status == 200 and "Nothing has been synced yet" in page.text and "never synced" in page.text
        )


def test_tables_of_another_version(tmp_path: Path):
    with empty(tmp_path) as app, (site := Site(app)).server:
        migrate.ensure_schema(app.engine)
        with app.engine.begin() as conn:
            conn.execute(sa.text(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '0001'"))
        status, page, _ = site.get("/")
        assert status == 503 and "another version" in page and "db upgrade" in page


def test_a_database_that_does_not_answer():
    with unreachable() as app, (site := Site(app)).server:
        status, page, _ = site.get("/")
        assert status == 503 and "does not answer" in page and "data-retry" in page and TOKEN not in page
        part = site.get("/part/open")
        assert part.status == 503 and "<html" not in part.text and TOKEN not in part.text


def test_a_question_that_takes_too_long(made: Rig, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("etl.analytics.read_only._STEPS", 1)
    monkeypatch.setattr("etl.web.dashboard.context.PATIENCE", 0.0)
    with (impatient := Site(made.app, made.now)).server:
        status, page, _ = impatient.get("/jobs?since=all")
        assert status == 503 and "took too long" in page and "shorter range" in page


def test_slow_answers_are_kept_for_a_while_and_quick_ones_are_not(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr("etl.web.cache.time", SimpleNamespace(monotonic=lambda: now[0]))

    def read(takes: float) -> Any:
        def answer() -> float:
            now[0] += takes
            return now[0]

        return answer

    kept = AnswerCache()
    assert kept.get("quick", read(0.1)) != kept.get("quick", read(0.1))
    slow = kept.get("slow", read(2.0))
    now[0] += 19.9
    assert kept.get("slow", read(2.0)) == slow
    now[0] += 0.2
    assert kept.get("slow", read(2.0)) != slow


def test_no_more_answers_are_kept_than_the_last_few_questions(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr("etl.web.cache.time", SimpleNamespace(monotonic=lambda: now[0]))
    asked = list[str]()

    def read(key: str) -> Any:
        def answer() -> str:
            asked.append(key)
            now[0] += 0.5
            return key

        return answer

    kept = AnswerCache(size=2)
    for key in "abacab":
        assert kept.get(key, read(key)) == key
    assert asked == ["a", "b", "c", "b"]  # "a" was asked for again and again, and stayed


def test_a_fault_of_ours_is_a_page_too(site: Site, monkeypatch: pytest.MonkeyPatch, caplog: Any):
    def broken(*_: Any) -> None:
        raise RuntimeError("the roof")

    monkeypatch.setattr("etl.web.dashboard.routes.collect_overview", broken)
    status, page, _ = site.get("/")
    assert status == 500 and "This page failed" in page and "the roof" not in page
    assert "page_failed" in caplog.text


def test_reading_only(made: Rig, tmp_path: Path):
    """Pages are shown from a database that nobody may write."""
    copy = tmp_path / "etl.db"
    with sqlite3.connect(copy) as target, sqlite3.connect(made.url.removeprefix("sqlite:///")) as whole:
        whole.backup(target)
    target.close()
    whole.close()
    before = copy.read_bytes()
    config = Config(sources=(made.source,), database=DatabaseConfig(url=SecretUrl(f"sqlite:///{copy}")))
    with App(config) as app, (site := Site(app, made.now)).server:
        for path in ("/", "/jobs", *(f"/tables/{name}" for name in TABLES)):
            assert site.get(path).status == 200
    assert copy.read_bytes() == before


def test_every_page_and_file_on_every_database(engine: sa.Engine, engine_url: str):
    fill(engine)
    config = Config(
        sources=(Source(name="a", base_url="http://gw"),), database=DatabaseConfig(url=SecretUrl(engine_url))
    )
    with App(config) as app, (site := Site(app, lambda: NOW)).server:
        paths = ["/", "/?since=24h", "/jobs?since=all&only=unpriced", "/job?id=j1", "/job.json?id=j1"]
        paths += ["/jobs.csv?since=all", "/jobs.json?since=all", "/tables/tree?id=j2", "/part/freshness"]
        paths += [f"/tables/{name}{form}?since=all" for name in TABLES for form in ("", ".csv", ".json")]
        answers = {path: site.get(path) for path in paths}
        assert [path for path, answer in answers.items() if answer.status != 200] == []
        assert answers["/jobs.csv?since=all"].text.count("\n") == 13
