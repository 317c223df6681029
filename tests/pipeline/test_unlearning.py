"""What one answer taught is taken back when later ones say otherwise. The servers share no code with ours."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from etl.schema.tables import coverage_gaps, sync_state
from tests.logs.site import Site, site
from tests.support.foreign_gateway import Answer, ForeignGateway

HOUR = 3600.0
EXTRA = {"request_type": "video_list", "provider": "runway", "latency": 12, "chunk_index": 0}
NO_PROVIDER = {"is_bifrost_error": False, "error": {"message": "provider query parameter is required"}}
PROXY = {"error": {"message": "access denied by policy", "type": "policy"}}


@dataclass
class Gate(ForeignGateway):
    """A gateway with a list. `kind`: "bifrost" insists on a provider and signs its answers; "openai" refuses
    a provider and signs nothing."""

    provider: str = "runway"
    listed: bool = True
    kind: str = "bifrost"

    def answer(self, path: str, query: dict[str, str], authorization: str) -> Answer:
        if path != "/v1/videos" or (early := self.before(path, query)) is None:
            return self._by_kind(path, query, authorization)
        self.asked.append((path, query))
        return early

    def _by_kind(self, path: str, query: dict[str, str], authorization: str) -> Answer:
        if self.kind == "openai" and "provider" in query:
            refusal = {"message": "Unknown parameter: 'provider'.", "code": "unknown_parameter"}
            return 400, {"error": refusal | {"param": "provider"}}
        if self.kind == "bifrost" and path.endswith("/v1/videos") and "provider" not in query:
            return 400, NO_PROVIDER
        if path == "/v1/videos" and "after" in query and query["after"] not in self.jobs:
            return 404, {"is_bifrost_error": False, "error": {"message": "no such video"}}
        status, said = super().answer(path, query, authorization)
        if self.kind == "bifrost" and status == 200 and isinstance(said, dict):
            said = said | {"extra_fields": EXTRA}
        return status, said

    def grow(self, number: int) -> None:
        for _ in range(number):
            self.now += 60
            self.make(f"v{len(self.jobs):03}", self.now, status="completed", model="gen4")
        self.now += HOUR


def stored(s: Site) -> set[str]:
    return {row["job_id"] for row in s.rows("video_jobs") if row["unlisted_at"] is None}


def learned(s: Site) -> dict[str, Any]:
    return json.loads(s.rows("sync_state")[0]["learned"] or "{}")


@pytest.mark.parametrize("status", [401, 403, 404])
def test_one_answer_of_a_proxy_leaves_a_bifrost_a_bifrost(migrated_url: str, status: int) -> None:
    """No other kind of server is tried twice, and what the first request met is told."""
    left = [(status, PROXY)]
    made = Gate(before=lambda path, query: left.pop() if left else None)
    made.grow(7)
    with site(made, migrated_url, profile="auto") as s:
        result = s.sync()
        assert result.status == "failed" and "access denied by policy" in str(result.error)
        assert "profile" not in learned(s)
        s.ok()
        assert stored(s) == set(made.jobs)
        assert "profile" not in learned(s)
        assert all(query.get("provider") == "runway" for _, query in made.asked[-2:])


def test_a_profile_that_was_learned_wrongly_goes_back(migrated_url: str) -> None:
    """An older program had taken this Bifrost for an OpenAI."""
    made = Gate(kind="openai")
    made.grow(7)
    with site(made, migrated_url, profile="auto") as s:
        s.ok()
        assert learned(s)["profile"] == "openai"
        made.kind = "bifrost"
        made.grow(3)
        s.ok()
        assert stored(s) == set(made.jobs)
        assert "profile" not in learned(s)


def test_a_bifrost_that_answers_another_kind_s_request_is_none_of_it(migrated_url: str) -> None:
    """With a provider of its own for requests that name none, it answers them all and signs them."""
    made = Gate(kind="openai")
    made.grow(7)
    with site(made, migrated_url, profile="auto") as s:
        s.ok()
        made.kind = ""
        made.before = lambda path, query: (
            200,
            {"object": "list", "data": [], "has_more": False, "extra_fields": EXTRA},
        ) if "provider" not in query else None  # fmt: skip
        made.grow(3)
        s.ok()
        assert stored(s) == set(made.jobs)
        assert "profile" not in learned(s)


def test_a_server_that_became_another_kind_is_found_out_anew(migrated_url: str) -> None:
    """The address is the same, and what stands behind it was changed: a refusal behind a cursor may be the
    cursor's, so that the next first page finds it out."""
    made = Gate(kind="bifrost")
    made.grow(7)
    with site(made, migrated_url, profile="auto") as s:
        s.ok()
        made.kind = "openai"
        made.grow(3)
        assert s.sync().status == "failed"
        s.app.reconcile()
        s.ok()
        assert stored(s) == set(made.jobs)
        assert learned(s)["profile"] == "openai"


@dataclass
class Renamed(Gate):
    """Its cursors have other names than its items while `apart`; any other name is a first page again."""

    apart: bool = True

    def answer(self, path: str, query: dict[str, str], authorization: str) -> Answer:
        after = query.get("after")
        if self.apart and after is not None:
            query = {name: value for name, value in query.items() if name != "after"}
            if after.startswith("cursor-"):
                query["after"] = after.removeprefix("cursor-")
        status, said = super().answer(path, query, authorization)
        if path == "/v1/videos" and isinstance(said, dict) and said.get("data"):
            mark = "cursor-" if self.apart else ""
            ends = {name: mark + said["data"][at]["id"] for name, at in (("first_id", 0), ("last_id", -1))}
            said = said | ends
        return status, said


def test_cursors_that_have_their_items_names_again(migrated_url: str) -> None:
    made = Renamed()
    made.grow(25)
    with site(made, migrated_url, page_size=10) as s:
        s.ok()
        assert learned(s)["cursors_apart"] is True
        made.apart = False
        for _ in range(2):
            made.grow(3)
            s.ok()
        assert stored(s) == set(made.jobs)
        assert "cursors_apart" not in learned(s)
        made.apart = True
        made.grow(3)
        s.ok()
        s.ok()
        assert stored(s) == set(made.jobs)
        assert learned(s)["cursors_apart"] is True


def test_a_list_that_moved_by_id_is_asked_anew_at_a_reconcile(migrated_url: str) -> None:
    """It was learned; whether it still holds, the list itself has to say again."""
    made = Gate()
    made.grow(25)
    with site(made, migrated_url) as s:
        s.ok()
        state = s.rows("sync_state")[0]
        with s.app.engine.begin() as conn:
            conn.exec_driver_sql("UPDATE sync_state SET learned = '{\"moves_by_id\": true}'")
        assert state["learned"] is None
        assert s.app.reconcile()[0].status == "ok"
        assert "moves_by_id" not in learned(s)


def test_a_list_that_keeps_the_order_asked_for_again(migrated_url: str) -> None:
    """It had run from the oldest job on, whatever was asked; now one page shows what is new."""
    made = Gate()
    made.grow(45)
    with site(made, migrated_url, page_size=10) as s:
        s.ok()
        with s.app.engine.begin() as conn:
            conn.execute(sa.update(sync_state).values(list_order="asc", cursor="gone"))
        made.grow(3)
        before = len(made.asked)
        s.ok()
        assert stored(s) == set(made.jobs)
        assert s.rows("sync_state")[0]["list_order"] is None
        assert len(made.asked) - before <= 5


def test_what_was_found_out_belongs_to_an_address(migrated_url: str) -> None:
    """The source moved, to a server of another kind."""
    made = Gate(kind="openai")
    made.grow(5)
    with site(made, migrated_url, profile="auto") as s:
        s.ok()
        assert learned(s)["profile"] == "openai"
        more = '{"profile": "azure", "window": true, "accounts": ["key-1"], "log_read": 7}'
        with s.app.engine.begin() as conn:
            conn.exec_driver_sql(f"UPDATE sync_state SET list_order = 'desc', learned = '{more}'")
    with site(made, migrated_url, profile="auto") as s:  # on another port
        s.app.worker._open_store(s.source, "incremental", threading.Event(), None)
        assert learned(s) == {"accounts": ["key-1"]}
        assert s.rows("sync_state")[0]["list_order"] is None


@pytest.mark.slow
def test_passing_refusals_of_cursors_do_not_add_up(migrated_url: str) -> None:
    """A gateway that now and then does not know a cursor, and knows it when it is asked for again."""
    made = Gate()
    made.grow(400)
    with site(made, migrated_url, page_size=10, concurrency=1) as s:
        s.ok()
        asked, refused = [0], set[str]()

        def refuse_some(path: str, query: dict[str, str]) -> Answer | None:
            asked[0] += 1
            if asked[0] % 3 or query.get("after", "") in refused | {""}:
                return None
            refused.add(query["after"])
            return 404, {"is_bifrost_error": False, "error": {"message": "no such video"}}

        made.before = refuse_some
        result = s.app.reconcile()[0]
        assert result.status == "ok", result.error
        assert len(refused) > 10
        assert asked[0] < 200, "and the list was not read over and over"
        assert stored(s) == set(made.jobs)


@pytest.mark.slow
def test_a_cursor_that_is_never_understood_ends_the_scan(migrated_url: str) -> None:
    """Pages of one job lead to it again and again."""
    made = Gate()
    made.grow(30)
    with site(made, migrated_url, page_size=10, concurrency=1) as s:
        s.ok()
        made.before = lambda path, query: (
            (404, {"is_bifrost_error": False, "error": {"message": "no such video"}})
            if query.get("after") == "v020:runway"
            else None
        )
        asked = len(made.asked)
    with site(made, migrated_url, page_size=1, concurrency=1) as s:
        result = s.app.reconcile()[0]
        assert result.status == "failed"
        assert len(made.asked) - asked < 80
        assert stored(s) == set(made.jobs)


def test_the_list_says_when_a_job_was_created(migrated_url: str) -> None:
    """An answer by id is not asked for that, as some providers say that it was just now; but where the list
    itself says another time later on, that is what counts, and a version tells it."""
    made = Gate()
    made.grow(5)
    job_id = made.make("open", made.now, status="in_progress", model="gen4")
    made.grow(5)
    with site(made, migrated_url, open_job_patience=60.0) as s:
        s.ok()
        made.jobs[job_id] |= {"status": "completed", "created_at": made.jobs[job_id]["created_at"] - 30}
        for _ in range(3):
            made.grow(1)
            s.ok()
        row = next(row for row in s.rows("video_jobs") if row["job_id"] == job_id)
        assert row["status"] == "completed"
        assert s.app.reconcile()[0].status == "ok"
        row = next(row for row in s.rows("video_jobs") if row["job_id"] == job_id)
        assert row["created_at"].timestamp() == made.jobs[job_id]["created_at"]


@dataclass
class Capped(Gate):
    """Each answer is capped at another number of jobs, and none says whether more follows."""

    caps: Iterator[int] = field(default_factory=lambda: itertools.cycle([20, 7, 2, 13]))

    def answer(self, path: str, query: dict[str, str], authorization: str) -> Answer:
        if path == "/v1/videos":
            query = query | {"limit": str(min(int(query["limit"]), next(self.caps)))}
        status, said = super().answer(path, query, authorization)
        return status, {name: value for name, value in said.items() if name != "has_more"}


def test_a_cap_that_moves_within_a_run_hides_nothing_from_a_tick(migrated_url: str) -> None:
    """A page of two may be as full as one of twenty."""
    made = Capped()
    made.grow(20)
    with site(made, migrated_url, page_size=50) as s:
        s.ok()
        for _ in range(4):
            made.grow(60)
            s.ok()
            assert stored(s) == set(made.jobs)


@pytest.mark.parametrize(
    "listed", [True, False], ids=["both ends are listed", "the list forgot its beginning"]
)
def test_a_gap_between_two_listed_jobs_closes_when_everything_was_read(
    migrated_url: str, listed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was opened while the list showed its newest page only, and accepted; then a reconcile read all, in
    several pieces."""
    monkeypatch.setattr("etl.pipeline.reconcile.MIN_SEGMENT", 5)
    made = Gate()
    made.grow(40)
    ids = list(made.jobs)
    with site(made, migrated_url, page_size=10, concurrency=2) as s:
        s.ok()
        with s.app.engine.begin() as conn:
            gap = {"source_id": 1, "run_id": 1, "kind": "window", "reason": "moved on"}
            ends = {"last_known_job_id": ids[5], "oldest_listed_job_id": ids[33]}
            now = datetime.fromtimestamp(made.now, UTC)
            conn.execute(
                sa.insert(coverage_gaps).values(
                    **gap, **ends, detected_at=now, probed_at=now, accepted_at=now
                )
            )
        for job_id in [] if listed else ids[:15]:
            del made.jobs[job_id]
        result = s.app.reconcile()[0]
        assert result.status == "ok", result.error
        assert len(s.rows("coverage_gaps")) == (0 if listed else 1)
