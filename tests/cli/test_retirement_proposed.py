"""`status` and `check` propose to retire a source, with their evidence; what only looks like it does not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from etl.analytics.retirement import retirement_evidence
from etl.analytics.status import SourceStatus, read_status
from etl.check import check_upstream
from etl.load.source_health import retire_source
from tests.logs.site import Site, site
from tests.support.foreign_gateway import ForeignGateway

START = 1_795_992_000.0
ENDED = {"error": {"message": "The Videos API has been retired.", "type": "invalid_request_error"}}
UNSUPPORTED = {
    "error": {"code": "unsupported_operation", "message": "video_list is not supported by openai provider"}
}
REMOVED = {"error": {"message": "failed to get config for provider: not found"}}
NO_KEY = {"error": {"message": 'no supported key found with name "x" for provider: openai'}}
EMPTY = {"object": "list", "data": [], "has_more": False}
KEY = {"error": {"message": "Unauthorized"}}


@pytest.fixture
def known(migrated_url: str) -> Iterator[Site]:
    """A source whose list was read whole."""
    made = ForeignGateway(listed=True, provider="openai")
    for n in range(5):
        made.make(f"v{n}", START - 500 + n, status="completed")
    with site(made, migrated_url) as s:
        s.ok()
        yield s


def ends(s: Site, answer: tuple[int, Any], times: int = 3, every: float = 1800.0) -> SourceStatus:
    s.gateway.before = lambda path, query: answer if path == "/v1/videos" else None
    for _ in range(times):
        s.gateway.now += every
        s.sync()
    return status(s)


def status(s: Site) -> SourceStatus:
    (found,) = read_status(s.app.engine, s.clock())
    return found


@pytest.mark.parametrize(
    "answer", [(404, ENDED), (410, ENDED), (400, ENDED), (400, UNSUPPORTED), (400, REMOVED), (200, EMPTY)]
)
def test_an_upstream_that_is_gone(known: Site, answer: tuple[int, Any]) -> None:
    found = ends(known, answer)
    evidence = retirement_evidence(found)
    assert evidence is not None
    assert ("5 jobs" if answer[0] == 200 else "the last 3 runs failed") in evidence
    (finding,) = check_upstream(found)
    assert (finding.good, "source retire main" in str(finding.hint)) == (False, True)
    assert not [row for row in known.rows("video_jobs") if row["unlisted_at"] is not None]
    retire_source(known.app.engine, "main", now=known.clock(), reason=evidence)
    asked = len(known.gateway.asked)
    assert known.sync().status == "skipped"
    assert len(known.gateway.asked) == asked
    (finding,) = check_upstream(status(known))
    assert finding.good is None
    assert retirement_evidence(status(known)) is None


@pytest.mark.parametrize(
    "answer",
    [
        (404, b"<!DOCTYPE html><html>nginx</html>"),  # base_url is wrong, or a proxy answers
        (400, NO_KEY),
        (400, {"error": {"message": "limit must be at most 50"}}),
        (401, KEY),
        (403, KEY),
        (429, {"error": {"message": "the rate limit was retired from your plan"}}),
        (500, ENDED),
        (503, ENDED),
        (200, b"<html>dashboard</html>"),
    ],
)
def test_what_only_looks_like_it(known: Site, answer: tuple[int, Any]) -> None:
    assert retirement_evidence(ends(known, answer)) is None


@pytest.mark.parametrize("answer", [(404, ENDED), (200, EMPTY)])
@pytest.mark.slow
def test_once_is_no_evidence(known: Site, answer: tuple[int, Any]) -> None:
    assert retirement_evidence(ends(known, answer, times=1)) is None
    assert retirement_evidence(ends(known, answer, times=2, every=60)) is None or answer[0] == 404
    known.gateway.before = lambda path, query: None
    known.gateway.now += 7200
    known.sync()
    assert retirement_evidence(status(known)) is None


def test_a_source_that_was_never_read(migrated_url: str) -> None:
    with site(ForeignGateway(listed=True, provider="openai"), migrated_url) as s:
        assert retirement_evidence(ends(s, (404, ENDED))) is None


def test_another_accounts_pages_are_none(known: Site) -> None:
    """A list of strangers is not an end, however often it is refused."""
    found = status(known)
    assert found.last_run is not None
    run = replace(
        found.last_run, status="failed", error_class="SuspiciousScan",
        error_message="none of the 5 jobs known as listed was seen: perhaps another account's pages",
    )  # fmt: skip
    assert retirement_evidence(replace(found, last_run=run, failures=9)) is None


@pytest.mark.slow
def test_a_log_that_was_cut_says_nothing_of_the_list(known: Site) -> None:
    found = ends(known, (200, EMPTY))
    (gap,) = found.gaps
    of_log = replace(
        gap, last_known_job_id="the gateway's log, cut", probed_at=gap.detected_at + timedelta(9)
    )
    assert retirement_evidence(replace(found, gaps=(of_log,))) is None
