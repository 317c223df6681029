"""Two accounts behind one provider of a gateway that does not say who answered (below 2.0): what a few
answers to one question tell. Verdicts by hand, from each account's own list."""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from etl.analytics.status import read_status
from etl.errors import AnotherAccount, SuspiciousScan
from tests.logs.site import Site, site
from tests.support.foreign_gateway import Answer, ForeignGateway

HOUR = 3600.0


@dataclass
class Shared(ForeignGateway):
    """`whose` names the account that answers each request; `key_name` in the settings would pin the first."""

    provider: str = "openai"
    listed: bool = True
    whose: Iterator[str] = field(default_factory=lambda: itertools.repeat("a"))

    def answer(self, path: str, query: dict[str, str], authorization: str) -> Answer:
        with self.lock:
            owner, everything = next(self.whose), self.jobs
            if (early := self.before(path, query)) is not None:
                return early
            self.jobs = {i: job for i, job in everything.items() if i.startswith(owner)}
            try:
                if query.get("after", "") not in {"", *self.jobs}:
                    return 404, {"is_bifrost_error": False, "error": {"message": "no such video"}}
                return super().answer(path, query, authorization)
            finally:
                self.jobs = everything

    def grow(self, owner: str, number: int) -> None:
        for _ in range(number):
            self.now += 60
            self.make(f"{owner}{len(self.jobs):04}", self.now, status="completed", model="sora-2")
        self.now += HOUR


def shared(a: int = 45, b: int = 45) -> Shared:
    made = Shared()
    made.grow("a", a)
    made.grow("b", b)
    return made


def refused(s: Site) -> None:
    result = s.sync()
    assert isinstance(result.error, AnotherAccount), result
    assert "key_name" in (result.error.hint or "")


def learned(s: Site) -> dict[str, Any]:
    return json.loads(s.rows("sync_state")[0]["learned"] or "{}")


@pytest.mark.parametrize("turns", ["ab", "aab", "aaab", "ba"])
def test_a_first_load_of_two_accounts_is_refused_and_stores_nothing(migrated_url: str, turns: str) -> None:
    made = shared()
    made.whose = itertools.cycle(turns)
    with site(made, migrated_url, probe_accounts=True) as s:
        refused(s)
        assert not s.rows("video_jobs")
        refused(s)
        assert len(made.asked) < 30


@pytest.mark.parametrize("seed", range(8))
def test_chance_hides_a_second_account_from_few_runs(url_by_turns: str, seed: int) -> None:
    """Each key answers half of the requests: of five answers all are of one account once in sixteen times."""
    made = shared()
    chance = random.Random(seed)
    made.whose = iter(lambda: chance.choice("ab"), None)
    with site(made, url_by_turns, probe_accounts=True) as s:
        results = [s.sync() for _ in range(3)]
        assert all(result.status == "failed" for result in results[1:])


def test_an_account_without_jobs_beside_it_is_not_the_whole(migrated_url: str) -> None:
    """Every other answer is an empty list, the first one too."""
    made = shared(b=0)
    made.whose = itertools.cycle("ba")
    with site(made, migrated_url, probe_accounts=True) as s:
        assert isinstance(s.sync().error, SuspiciousScan)
        assert isinstance(s.sync().error, SuspiciousScan)
        made.whose = itertools.repeat("a")
        s.ok()
        assert len(s.rows("video_jobs")) == 45


def test_one_empty_answer_in_passing_is_no_second_account(migrated_url: str) -> None:
    made = shared(b=0)
    made.whose = itertools.chain("ab", itertools.repeat("a"))
    with site(made, migrated_url, probe_accounts=True) as s:
        s.ok()
        assert len(s.rows("video_jobs")) == 45


def test_one_account_costs_a_few_requests_once(migrated_url: str) -> None:
    made = shared(b=0)
    with site(made, migrated_url, probe_accounts=True) as s:
        s.ok()
        assert learned(s) == {"several": 0}
        asked = len(made.asked)
        s.ok()
        assert len(made.asked) - asked == 1
        assert len(s.rows("video_jobs")) == 45


def test_a_second_key_that_was_added_later_is_found_when_it_answers(migrated_url: str) -> None:
    made = shared(b=0)
    with site(made, migrated_url, probe_accounts=True) as s:
        s.ok()
        made.grow("b", 45)
        made.whose = itertools.cycle("ba")
        refused(s)
        assert {row["job_id"][0] for row in s.rows("video_jobs")} == {"a"}
        assert not [row for row in s.rows("video_jobs") if row["unlisted_at"]]


def test_a_second_key_is_found_by_a_reconcile_that_it_does_not_answer(migrated_url: str) -> None:
    made = shared(b=0)
    with site(made, migrated_url, probe_accounts=True) as s:
        s.ok()
        made.grow("b", 45)
        made.whose = itertools.chain("aaab", itertools.repeat("a"))
        result = s.app.reconcile()[0]
        assert isinstance(result.error, AnotherAccount)
        assert not [row for row in s.rows("video_jobs") if row["unlisted_at"]]


def test_several_are_forgotten_after_runs_that_find_one(migrated_url: str) -> None:
    """The other key was taken out of the gateway."""
    made = shared()
    made.whose = itertools.cycle("ab")
    with site(made, migrated_url, probe_accounts=True) as s:
        refused(s)
        made.whose = itertools.repeat("a")
        for _ in range(3):
            refused(s)
        s.ok()
        s.ok()
        assert {row["job_id"][0] for row in s.rows("video_jobs")} == {"a"}
        assert learned(s) == {"several": 0}


def test_a_pinned_source_is_not_asked(migrated_url: str) -> None:
    made = shared(b=0)
    with site(made, migrated_url, key_name="key-a", probe_accounts=True) as s:
        s.ok()
        assert not [query for query in s.asked("/v1/videos") if query["limit"] == "20"]


def test_an_older_database_is_asked_once(migrated_url: str) -> None:
    made = shared(b=0)
    with site(made, migrated_url, probe_accounts=True) as s:
        s.ok()
        with s.app.engine.begin() as conn:
            conn.exec_driver_sql("UPDATE sync_state SET learned = NULL")
        s.ok()
        asked = len(made.asked)
        s.ok()
        assert len(made.asked) - asked == 1


def test_two_empty_lists_are_no_one_account(migrated_url: str) -> None:
    """Jobs come when nobody looks any more; the first run that sees some looks again."""
    made = shared(a=0, b=0)
    made.whose = itertools.cycle("ab")
    with site(made, migrated_url, probe_accounts=True) as s:
        s.sync()
        made.grow("a", 5)
        made.grow("b", 5)
        assert s.sync().status == "failed"
        assert "several" not in learned(s) or learned(s)["several"]


def test_a_list_that_cannot_be_read_at_times_is_not_one_account(migrated_url: str) -> None:
    """The second account's list holds a record that its gateway cannot decode, at either end."""
    made = shared()
    made.whose = itertools.cycle("ba")
    answer = made.answer

    def answered(path: str, query: dict[str, str], authorization: str) -> Answer:
        status, body = answer(path, query, authorization)
        if "b0" in json.dumps(body):
            return 500, {"error": {"message": "failed to unmarshal response from provider API"}}
        return status, body

    made.answer = answered  # type: ignore[method-assign]
    with site(made, migrated_url, probe_accounts=True) as s:
        assert isinstance(s.sync().error, SuspiciousScan)
        assert not s.rows("video_jobs")


def test_status_knows_whether_anybody_was_asked(migrated_url: str) -> None:
    made = shared(b=0)
    with site(made, migrated_url, probe_accounts=False) as s:
        s.ok()
        assert read_status(s.app.engine, s.clock())[0].accounts_unknown
    with site(made, migrated_url, probe_accounts=True) as s:
        s.ok()
        assert not read_status(s.app.engine, s.clock())[0].accounts_unknown


def test_records_that_cannot_be_read_at_either_end_are_looked_at_once(migrated_url: str) -> None:
    made = shared(b=0)
    ids = sorted(made.jobs)
    unreadable, answer = {ids[1], ids[-1]}, made.answer

    def answered(path: str, query: dict[str, str], authorization: str) -> Answer:
        status, body = answer(path, query, authorization)
        if any(job_id in json.dumps(body) for job_id in unreadable):
            return 500, {"error": {"message": "failed to unmarshal response from provider API"}}
        return status, body

    made.answer = answered  # type: ignore[method-assign]
    with site(made, migrated_url, probe_accounts=True) as s:
        s.sync()
        assert learned(s) == {"several": 0}


@pytest.mark.parametrize("second", [0, 7])
def test_a_burst_longer_than_a_page_is_no_second_account(migrated_url: str, second: int) -> None:
    """Jobs of one second come in another order at each request, where a gateway orders by time alone: answers
    without a job in common passed for two accounts, and each run failed. Those of two seconds are of two."""
    made, turn = shared(a=0, b=0), itertools.count()
    made.grow("a", 60)
    jobs = [{**job, "created_at": 1_795_000_000} for job in made.jobs.values()]

    def mixed(path: str, query: dict[str, str]) -> Answer | None:
        if path != "/v1/videos" or query.get("after"):
            return None
        number = next(turn) % 3
        shown = [
            {**job, "created_at": job["created_at"] + second * number} for job in jobs[20 * number :][:20]
        ]
        return 200, {"object": "list", "data": shown, "has_more": True}

    made.before = mixed
    with site(made, migrated_url, probe_accounts=True) as s:
        taken_for_two = isinstance(s.sync().error, AnotherAccount)
        assert taken_for_two == (second > 0) == (learned(s).get("several", 0) > 0)
