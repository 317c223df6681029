"""What only the answer by id tells, read once of each job that has ended. Judged by hand-written answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from etl.load import CommitBatch, Store
from etl.log_records import JobDetails
from etl.transform import Options
from etl.transform.job_details import read_details
from tests.logs.site import Site, site
from tests.support.foreign_gateway import ForeignGateway

SIGNED = "https://files.example.com/x.mp4?X-Goog-Signature=canary-signature-99"
START = 1_795_992_000.0


def gateway(**how: Any) -> ForeignGateway:
    """Three jobs that have ended, each in its own way, and one that has not."""
    made = ForeignGateway(listed=True, provider="openai", **how)
    link = {"type": "url", "url": SIGNED, "content_type": "video/mp4"}
    base = {"model": "m", "seconds": "8", "size": "1280x720"}
    kept = {"filtered_count": 1, "reasons": [f"a face of a child, see {SIGNED}", "celebrity"]}
    all_kept = {"filtered_count": 2, "reasons": ["violence"]}
    made.make("v1", START - 400, status="completed", videos=[link, link], usage={"cost": 0.25}, **base)
    made.make("v2", START - 300, status="completed", videos=[link], content_filter=kept, **base)
    made.make(
        "v3", START - 200, status="failed", error={"code": "x", "message": "no output"},
        content_filter=all_kept, **base,
    )  # fmt: skip
    made.make("v4", START - 100, **base)
    return made


def details(s: Site) -> dict[str, dict[str, Any]]:
    return {row["job_id"]: row for row in s.rows("job_details")}


@pytest.mark.parametrize("discover", ["list", "logs", "both"])
def test_each_ended_job_is_asked_once(migrated_url: str, discover: str) -> None:
    with site(gateway(), migrated_url, discover=discover, details=True) as s:
        s.ok()
        s.gateway.now += 60
        s.ok()
        found = details(s)
        assert {job: row["outcome"] for job, row in found.items()} == dict.fromkeys(
            ("v1:openai", "v2:openai", "v3:openai"), "read"
        )
        one, two, three = (found[f"v{n}:openai"] for n in (1, 2, 3))
        assert (one["outputs"], one["reported_cost"], one["filtered_outputs"]) == (2, Decimal("0.25"), None)
        assert (two["outputs"], two["filtered_outputs"]) == (1, 1)
        assert two["filter_reasons"] == "a face of a child, see https://files.example.com/x.mp4; celebrity"
        assert (three["outputs"], three["filtered_outputs"]) == (None, 2)
        versions = s.rows("video_job_versions")
        assert len(versions) == 4, "what is told by id alone makes no version"
        s.gateway.now += 60
        s.gateway.jobs["v4:openai"] |= {"status": "completed", "videos": [{"url": SIGNED}]}
        asked = len(s.gateway.asked)
        s.ok()
        assert details(s)["v4:openai"]["outputs"] == 1
        again = [path for path, _ in s.gateway.asked[asked:] if path.startswith("/v1/videos/")]
        assert not [path for path in again if "v4" not in path]
        asked = len(s.gateway.asked)
        s.ok()
        assert not [path for path, _ in s.gateway.asked[asked:] if path.startswith("/v1/videos/")]
        assert "canary-signature" not in repr([s.rows(t) for t in ("job_details", "video_jobs")])


def test_the_views_tell_it(migrated_url: str) -> None:
    with site(gateway(), migrated_url, details=True) as s:
        s.ok()
        s.ok()
        facts = {row["job_id"]: row for row in s.view("job_facts")}
        assert facts["v1:openai"]["outputs"] == 2
        assert facts["v1:openai"]["reported_cost"] == Decimal("0.25")
        assert facts["v4:openai"]["outputs"] is None
        (failure,) = s.view("failures")
        assert (failure["class"], failure["filter_reasons"], failure["jobs"]) == ("moderation", "violence", 1)


def test_off_by_default(migrated_url: str) -> None:
    with site(gateway(), migrated_url) as s:
        s.ok()
        s.ok()
        assert s.rows("job_details") == []
        assert not s.asked("/v1/videos/")


def test_a_job_that_is_gone_or_unreadable_is_given_up(migrated_url: str) -> None:
    made = gateway()
    with site(made, migrated_url, details=True) as s:
        bad = {"error": {"message": "failed to unmarshal response from provider API"}}
        no = {"error": {"message": "no such video", "code": "not_found"}}

        def before(path: str, query: dict[str, str]) -> Any:
            return {"/v1/videos/v1%3Aopenai": (404, no), "/v1/videos/v2%3Aopenai": (500, bad)}.get(path)

        made.before = before
        for _ in range(6):
            s.ok()
            made.now += 60
        outcomes = {job: (row["outcome"], row["reads_left"]) for job, row in details(s).items()}
        assert outcomes == {
            "v1:openai": ("gone", 0),
            "v2:openai": ("unreadable", 0),
            "v3:openai": ("read", 0),
        }
        asked = [path for path, _ in made.asked if path == "/v1/videos/v1%3Aopenai"]
        assert len(asked) == 3


def test_an_outage_costs_nobody_a_try(migrated_url: str) -> None:
    made = gateway()
    with site(made, migrated_url, details=True) as s:
        made.before = lambda path, query: (503, {}) if path.startswith("/v1/videos/") else None
        for _ in range(5):
            s.ok()
        assert {row["outcome"] for row in details(s).values()} == {None}
        made.before = lambda path, query: None
        s.ok()
        assert {row["outcome"] for row in details(s).values()} == {"read"}


def test_few_at_a_time_the_last_that_ended_first(migrated_url: str) -> None:
    made = ForeignGateway(listed=True, provider="openai")
    for n in range(30):
        made.make(f"v{n:02}", START - 3000 + n, status="completed")
    with site(made, migrated_url, rereads_per_run=4) as s:
        s.ok()
    with site(made, migrated_url, rereads_per_run=4, details=True) as s:
        s.ok()
        assert len([row for row in details(s).values() if row["outcome"] == "read"]) == 4
        made.make("new", START, status="completed")
        s.ok()
        assert details(s)["new:openai"]["outcome"] == "read"
        for _ in range(8):
            s.ok()
        assert {row["outcome"] for row in details(s).values()} == {"read"}
        assert len(s.asked("/v1/videos/")) == 31


@pytest.mark.parametrize("nth", range(1, 6))
@pytest.mark.parametrize("durable", [False, True])
def test_a_kill_at_any_commit_loses_no_job(
    migrated_url: str, nth: int, durable: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, commits = Store.commit, [0]

    class Killed(BaseException):
        pass

    def commit(store: Store, batch: CommitBatch) -> None:
        commits[0] += 1
        if commits[0] == nth and not durable:
            raise Killed
        real(store, batch)
        if commits[0] == nth:
            raise Killed

    made = gateway()
    with site(made, migrated_url, details=True) as s:
        monkeypatch.setattr(Store, "commit", commit)
        try:
            s.sync()
        except Killed:
            s.forget_lease()
        commits[0] = 99
        for _ in range(3):
            made.now += 60
            s.ok()
        assert {job: row["outcome"] for job, row in details(s).items()} == dict.fromkeys(
            ("v1:openai", "v2:openai", "v3:openai"), "read"
        )


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"videos":null,"content_filter":null,"usage":null,"cost":null}', JobDetails()),
        (b'{"videos":[],"content_filter":{}}', JobDetails(outputs=0)),
        (b'{"n_variants":2,"generations":[{"id":"g"}]}', JobDetails(outputs=1, variants=2)),
        (b'{"cost":"0.132","videos":"x"}', JobDetails(cost=Decimal("0.132"))),
        (b'{"cost":-1,"usage":{"cost":1e300}}', JobDetails()),
        (b'{"cost":NaN}', None),
        (
            b'{"raiMediaFilteredCount":1,"raiMediaFilteredReasons":["58061214"]}',
            JobDetails(filtered=1, reasons=("58061214",)),
        ),
        (
            b'{"content_filter":{"filtered_count":"two","reasons":[1,"why"]}}',
            JobDetails(reasons=("why",)),
        ),
    ],
)
def test_odd_answers(body: bytes, expected: JobDetails | None) -> None:
    if expected is not None:
        assert read_details(body, Options()) == expected


def test_a_reason_that_quotes_the_prompt_is_withheld() -> None:
    body = (
        b'{"prompt":"a naked emperor on parade","content_filter":{"reasons":["a naked emperor on parade"]}}'
    )
    (reason,) = read_details(body, Options(prompts="drop")).reasons
    assert "emperor" not in reason
