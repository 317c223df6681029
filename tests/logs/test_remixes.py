"""Jobs that the log of a Bifrost up to 1.5.1 names only as what another was made from."""

from __future__ import annotations

import pytest

from etl.load import CommitBatch, Store
from tests.logs.site import site
from tests.support.foreign_gateway import ForeignGateway

START = 1_795_992_000.0


def gateway() -> ForeignGateway:
    """`seen` was read by its maker, `child` too; `parent` by nobody: only the remix names it."""
    made = ForeignGateway(version="1.5", provider="openai")
    for n, native in enumerate(("seen", "parent")):
        made.make(native, START + n, status="completed", model="sora-2")
    made.remix("child", START + 5, "parent", status="completed", model="sora-2")
    for native in ("seen", "child"):
        made.poll(native, START + 10)
    made.now = START + 60
    return made


def test_the_parent_of_a_remix_is_found(migrated_url: str) -> None:
    with site(gateway(), migrated_url, discover="logs") as s:
        s.ok()
        s.ok()
        jobs = {row["job_id"]: row for row in s.rows("video_jobs")}
        assert jobs.keys() == {"seen:openai", "child:openai", "parent:openai"}
        assert jobs["child:openai"]["remixed_from_job_id"] == "parent:openai"
        (remix,) = (row for row in s.rows("job_requests") if row["request_type"] == "video_remix")
        assert (remix["job_id"], remix["remixed_job_id"], remix["reads_left"]) == (None, "parent:openai", 0)
        assert len(s.asked("/v1/videos/parent")) == 1


def test_a_parent_that_is_gone_is_asked_for_twice(migrated_url: str) -> None:
    made = gateway()
    made.jobs.pop("parent:openai")
    with site(made, migrated_url, discover="logs") as s:
        for _ in range(4):
            s.ok()
        assert {row["job_id"] for row in s.rows("video_jobs")} == {"seen:openai", "child:openai"}
        assert len(s.asked("/v1/videos/parent")) == 2


class Killed(BaseException):
    """As a signal 9."""


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 4))
def test_killed_before_the_parent_was_read(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch, at: int, after: bool
) -> None:
    real, left = Store.commit, [at]

    def commit(store: Store, batch: CommitBatch) -> None:
        left[0] -= 1
        if left[0] == 0 and not after:
            raise Killed
        real(store, batch)
        if left[0] == 0:
            raise Killed

    with site(gateway(), migrated_url, discover="logs") as s:
        monkeypatch.setattr(Store, "commit", commit)
        try:
            s.sync()
        except Killed:
            s.forget_lease()
        s.ok()
        assert len(s.rows("video_jobs")) == 3


@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_from_two_on_both_are_named(migrated_url: str, version: str) -> None:
    made = ForeignGateway(version=version, provider="openai")
    made.make("parent", START, status="completed", model="sora-2")
    made.remix("child", START + 5, "parent", status="completed", model="sora-2")
    made.now = START + 60
    with site(made, migrated_url, discover="logs") as s:
        s.ok()
        assert {row["job_id"] for row in s.rows("video_jobs")} == set(made.jobs)
        told = {row["job_id"]: row["remixed_job_id"] for row in s.rows("job_requests")}
        assert told["parent:openai"] is None
        assert told["child:openai"] == ("parent:openai" if version == "2.0" else None)


def childs_parent_is_older_than_the_log(version: str, *, listed: bool = False) -> ForeignGateway:
    """`grand` → `old` → `child`: the log remembers the last only, and the list too."""
    made = ForeignGateway(version=version, provider="openai", listed=listed)
    made.make("grand", START - 9e6, status="completed", model="sora-2")
    made.remix("old", START - 8e6, "grand", status="completed", model="sora-2")
    made.rows.clear()
    made.forgotten = {"grand:openai", "old:openai"}
    made.remix("child", START, "old", status="completed", model="sora-2")
    made.now = START + 60
    return made


@pytest.mark.parametrize("discover", ["logs", "both"])
@pytest.mark.parametrize("version", ["2.0", "2.1"])
def test_a_parent_older_than_the_log_is_found(migrated_url: str, version: str, discover: str) -> None:
    made = childs_parent_is_older_than_the_log(version, listed=discover == "both")
    with site(made, migrated_url, discover=discover) as s:
        s.ok()
        assert {row["job_id"] for row in s.rows("video_jobs")} == set(made.jobs)
        assert {row["reads_left"] for row in s.rows("job_requests")} == {0}
        asked = len(s.asked("/v1/videos/old"))
        s.ok()
        assert len(s.asked("/v1/videos/old")) == asked == 1


def test_an_old_parent_that_is_gone_is_asked_for_twice(migrated_url: str) -> None:
    made = childs_parent_is_older_than_the_log("2.0")
    made.jobs.pop("old:openai")
    with site(made, migrated_url, discover="logs") as s:
        for _ in range(4):
            s.ok()
        assert {row["job_id"] for row in s.rows("video_jobs")} == {"child:openai"}
        assert len(s.asked("/v1/videos/old")) == 2


def test_an_old_parent_in_an_outage_is_asked_for_again(migrated_url: str) -> None:
    made = childs_parent_is_older_than_the_log("2.1")
    down = [True]
    refused = (503, {"error": {"message": "down"}})
    made.before = lambda path, query: refused if path.startswith("/v1/videos/old") and down[0] else None
    with site(made, migrated_url, discover="logs") as s:
        assert s.sync().error is not None
        assert {row["job_id"] for row in s.rows("video_jobs")} == {"child:openai"}
        down[0] = False
        s.ok()
        assert {row["job_id"] for row in s.rows("video_jobs")} == set(made.jobs)
