"""Gateways that no simulator would dare: each ends in the right rows or a named error, soon, without a loss.

What bodies and items can do is in tests/extract and tests/support/hostile.py; here a whole sync meets it.
"""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import repeat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from etl.errors import EtlError, GatewayError
from etl.simulator import World
from tests.reliability.raw_gateway import JOBS, JSON, Ask, Pieces, RawGateway, answer, job, page
from tests.support.rig import TOKEN, Rig

Reply = Callable[[Ask], bytes | Pieces]
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
GONE = answer(b'{"error":{"message":"no such video"}}', status="404 Not Found")


@contextmanager
def facing(reply: Reply, url: str, **settings: Any) -> Iterator[Rig]:
    """A rig whose gateway is `reply`; single jobs are gone unless it says otherwise."""
    with RawGateway(lambda ask: reply(ask) if ask.path == "/v1/videos" else GONE) as raw:
        world = World(jobs=1, start=1_767_100_000.0)
        sim: Any = SimpleNamespace(world=world, base_url=raw.base_url, requests=raw.asked)
        rig = Rig(sim, url, **{"read_timeout": 5.0, "max_body": 8 << 20, **settings})
        with rig.app:
            yield rig


@pytest.fixture
def file_url(tmp_path: Path, _sqlite_template: Path) -> str:
    """A migrated, empty SQLite database."""
    shutil.copy(_sqlite_template, tmp_path / "etl.db")
    return f"sqlite:///{tmp_path / 'etl.db'}"


def honest(ask: Ask, jobs: list[Any] = JOBS, **members: Any) -> bytes:
    return page(ask.listed(jobs), **members)


def with_member(text: bytes) -> Reply:
    """An honest page with one more member, verbatim."""
    return lambda ask: answer(honest(ask)[:-1] + b"," + text + b"}")


def last_id(choose: Callable[[list[Any], Ask], Any]) -> Reply:
    return lambda ask: answer(honest(ask, last_id=choose(ask.listed(JOBS)[0], ask)))


def ahead(shown: list[Any], ask: Ask) -> str:
    """Thirty jobs behind the last one shown: who believes it skips them."""
    step = 30 if ask.query["order"] == "asc" else -30
    return str(JOBS[min(max(JOBS.index(shown[-1]) + step, 0), len(JOBS) - 1)]["id"])


def same_ids(*ids: str) -> Reply:
    return lambda ask: answer(honest(ask, [job(number, id=each) for number, each in enumerate(ids)]))


def numbered(form: str, **members: Any) -> Reply:
    jobs = [job(number, id=form.format(number), **members) for number in range(250)]
    return lambda ask: answer(honest(ask, jobs))


def chunked(body: bytes, size: bytes | None = None) -> bytes:
    given = b"%x" % len(body) if size is None else size
    return HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + given + b"\r\n" + body + b"\r\n0\r\n\r\n"


def until_close(ask: Ask, *headers: bytes) -> Pieces:
    return [HEAD + b"".join(line + b"\r\n" for line in headers) + b"\r\n" + honest(ask), b"", None]


#: All 250 jobs arrive, whatever was sent around them.
WHOLE: dict[str, Reply] = {
    "no length, closed": until_close,
    "length and chunks": lambda ask: HEAD + b"Content-Length: 3\r\n" + chunked(honest(ask))[len(HEAD) :],
    "continue first": lambda ask: b"HTTP/1.1 100 Continue\r\n\r\n" * 5 + answer(honest(ask)),
    "an answer too many": lambda ask: answer(honest(ask)) + answer(page(([], False))),
    "odd headers": lambda ask: answer(honest(ask), *JSON, "no colon", "X: \xe9", "Set-Cookie: a=b"),
    "end of all dates": lambda ask: answer(honest(ask), *JSON, "Date: Fri, 31 Dec 9999 23:59:59 -1200"),
    "gzip and rubbish": lambda ask: answer(
        gzip.compress(honest(ask)) + b"rubbish", *JSON, "Content-Encoding: gzip"
    ),
    "more, for ever": lambda ask: answer(honest(ask, has_more=True)),
    "more: NaN": lambda ask: answer(honest(ask, has_more=float("nan"))),
    "more: a text": lambda ask: answer(honest(ask, has_more="false")),
    "last id a number": last_id(lambda shown, ask: 7),
    "last id nowhere": last_id(lambda shown, ask: "video_nowhere:openai"),
    "last id the first": last_id(lambda shown, ask: shown[0]["id"]),
    "last id in the middle": last_id(lambda shown, ask: shown[len(shown) // 2]["id"]),
    "last id ahead": last_id(ahead),
    "last id of a megabyte": last_id(lambda shown, ask: "x" * 1_000_000),
    "last id half a letter": last_id(lambda shown, ask: "\ud800"),
    "one job a page": lambda ask: answer(page((ask.listed(JOBS)[0][:1], bool(ask.listed(JOBS)[0])))),
    "the whole list at once": lambda ask: answer(
        page((JOBS if ask.query["order"] == "asc" else JOBS[::-1], False))
    ),
    "numbers for ids": lambda ask: answer(honest(ask, [job(n, id=n) for n in range(250)], last_id=None)),
    "ids of half letters": numbered("\ud800{}"),
    "ids with a NUL": numbered("v\0{}"),
    "ids to escape": numbered("a b/%2e?#&=+\u00e9\U0001f3ac'\"\\{}:openai", status="in_progress"),
    "infinite facts": with_member(b'"n":1e999,"extra_fields":{"latency":1e999,"chunk_index":-1e999}'),
    "huge facts": with_member(
        b'"extra_fields":{"provider":"%s","chunk_index":%s}' % (b"p" * 9999, b"9" * 30)
    ),
    "a huge number": with_member(b'"n":' + b"9" * 10_000),
    "half letters": with_member(rb'"\ud800":"\udfff","extra_fields":{"\udfff":1,"request_type":"\ud800"}'),
    "NULs": with_member(rb'"\u0000":"\u0000","extra_fields":{"\u0000":"\u0000","provider":"a\u0000b"}'),
    "facts in a list": lambda ask: answer(honest(ask, extra_fields=[1, [2]])),
}

#: The run fails by this name; what was stored before stays, and the list is not taken for empty.
NAMED: dict[str, tuple[str, Reply]] = {
    "nothing at all": ("Unreachable", lambda ask: [None]),
    "another language": ("Unreachable", lambda ask: [b"220 mail ready\r\n\r\n", None]),
    "a status below zero": ("Unreachable", lambda ask: [b"HTTP/1.1 -1 No\r\n\r\n", None]),
    "five hundred headers": ("Unreachable", lambda ask: answer(b"", *(f"X-{n}: y" for n in range(500)))),
    "a huge header": ("Unreachable", lambda ask: answer(b"", "X: " + "y" * 100_000)),
    "two lengths": ("Unreachable", lambda ask: answer(honest(ask), *JSON, "Content-Length: 7")),
    "reset after the headers": ("GarbledAnswer", lambda ask: [answer(b"", length=1000), None]),
    "a length beyond belief": ("GarbledAnswer", lambda ask: [answer(honest(ask), length=10**40), None]),
    "a chunk of no size": ("GarbledAnswer", lambda ask: [chunked(honest(ask), b"zz"), None]),
    "a chunk below zero": ("GarbledAnswer", lambda ask: [chunked(honest(ask), b"-5"), None]),
    "no content": ("GarbledAnswer", lambda ask: b"HTTP/1.1 204 No Content\r\n\r\n"),
    "not modified": ("BadRequest", lambda ask: b"HTTP/1.1 304 Not Modified\r\n\r\n"),
    "a part": ("GarbledAnswer", lambda ask: answer(honest(ask), status="206 Partial Content")),
    "a status beyond all": ("ServerFault", lambda ask: answer(honest(ask), status="999 Odd")),
    "a list of jobs": ("GarbledAnswer", lambda ask: answer(json.dumps(ask.listed(JOBS)[0]).encode())),
    "utf-16": ("GarbledAnswer", lambda ask: answer(honest(ask).decode().encode("utf-16"))),
    "gzip in gzip": (
        "GarbledAnswer",
        lambda ask: answer(gzip.compress(gzip.compress(honest(ask))), *JSON, "Content-Encoding: gzip, gzip"),
    ),
    "wait until the end": (
        "RateLimited",
        lambda ask: answer(b"", "Retry-After: Fri, 31 Dec 9999 23:59:59 -1200", status="429 No"),
    ),
    "the same page": ("OrderIgnored", lambda ask: answer(page((JOBS[:100], True)))),
    "items without ids": ("PagingError", lambda ask: answer(page(([{"object": "video"}] * 100, True)))),
    "empty ids": ("PagingError", lambda ask: answer(page(([job(n, id="") for n in range(100)], True)))),
    "one id, twice a job": (
        "RepeatedPage",
        lambda ask: answer(honest(ask).replace(b'"object": "video",', b'"object":"video","id":"same",')),
    ),
    "an error of NULs": (
        "ServerFault",
        lambda ask: answer(rb'{"error":{"message":"\u0000\ud800","type":"\u0000"}}', status="500 No"),
    ),
}


@pytest.mark.parametrize("case", WHOLE)
def test_every_job_arrives(case: str, file_url: str) -> None:
    with facing(WHOLE[case], file_url) as rig:
        rig.ok()
        assert len(rig.jobs()) == 250
        asked = len(rig.sim.requests)
        rig.ok()
        assert len(rig.jobs()) == 250 and len(rig.sim.requests) - asked < 30
        assert not rig.rows("rejected_items") and not rig.rows("coverage_gaps")
        rig.assert_accounts()


@pytest.mark.parametrize("case", NAMED)
def test_the_run_fails_by_name(case: str, file_url: str) -> None:
    name, hostile = NAMED[case]
    behave = True
    with facing(lambda ask: answer(honest(ask)) if behave else hostile(ask), file_url) as rig:
        rig.ok()
        before, behave = len(rig.sim.requests), False
        result = rig.sync()
        assert result.status == "failed" and type(result.error).__name__ == name, result
        assert isinstance(result.error, EtlError) and result.error.hint and len(str(result.error)) < 700
        assert len(rig.sim.requests) - before < 100
        _recorded(rig, name)
        behave = True
        rig.ok()
        assert {each["id"] for each in JOBS} <= rig.listed().keys()


def _recorded(rig: Rig, name: str) -> None:
    rig.assert_accounts()
    run = rig.rows("sync_runs")[-1]
    assert (run["status"], run["error_class"]) == ("failed", name)
    assert "\0" not in run["error_message"]


@pytest.mark.parametrize("database", ["postgresql", "mariadb"], indirect=True)
@pytest.mark.slow
def test_what_is_odd_fits_into_servers_too(engine_url: str) -> None:
    odd = ("ids with a NUL", "ids to escape", "ids of half letters", "infinite facts", "huge facts")
    for case in (*odd, "half letters", "NULs", "facts in a list", "last id of a megabyte"):
        with facing(WHOLE[case], engine_url, name=case.replace(" ", "-")) as rig:
            rig.ok()
            rig.ok()
    for case in ("an error of NULs", "empty ids"):
        with facing(NAMED[case][1], engine_url, name=case.replace(" ", "-")) as rig:
            assert type(rig.sync().error).__name__ == NAMED[case][0]
            _recorded_last(rig, NAMED[case][0])
    twins = ("abc", "ABC", "abc ", "Abc", "\u00e9", "e\u0301", "abc\u200b", "\u00df", "ss")
    with facing(same_ids(*twins), engine_url, name="twins") as rig:
        rig.ok()
        assert rig.jobs().keys() >= set(twins)


def _recorded_last(rig: Rig, name: str) -> None:
    assert rig.rows("sync_runs")[-1]["error_class"] == name


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"])
def test_a_key_follows_no_redirect(status: str, file_url: str) -> None:
    with RawGateway(lambda ask: answer(honest(ask))) as elsewhere:
        moved = answer(b"", f"Location: {elsewhere.base_url}/v1/videos?limit=100", status=status)
        with facing(lambda ask: moved, file_url) as rig:
            result = rig.sync()
            assert type(result.error).__name__ == "BadRequest" and TOKEN not in str(result.error)
            assert all(TOKEN.encode() in ask.head for ask in rig.sim.requests), "it was sent where it should"
        assert elsewhere.asked == []


@pytest.mark.parametrize("case", ["headers that drip", "continue for ever", "a body that drips"])
def test_an_answer_that_never_ends_is_given_up(case: str, file_url: str) -> None:
    """Each piece comes well within read_timeout."""
    pieces: dict[str, Pieces] = {
        "headers that drip": repeat(b"X: y\r\n" * 5),
        "continue for ever": repeat(b"HTTP/1.1 100 Continue\r\n\r\n"),
        "a body that drips": repeat(b" "),
    }
    first = {"headers that drip": HEAD[:-3], "a body that drips": answer(b"", length=10**9)}.get(case, b"")

    def drip(ask: Ask) -> Iterator[bytes]:
        yield first
        if case == "headers that drip":
            yield b"\r\nX: "
            yield from repeat(b"y")
        yield from pieces[case]

    with facing(drip, file_url, read_timeout=0.2, max_attempts=1) as rig:
        result = rig.sync()
        assert isinstance(result.error, GatewayError), result
        assert type(result.error).__name__ in ("TimedOut", "Unreachable", "GarbledAnswer"), result


def test_a_list_without_end_can_be_stopped(file_url: str) -> None:
    """Always a hundred jobs more: nobody can tell that from a long history, but what came is stored."""

    def endless(ask: Ask) -> bytes:
        if ask.number == 60:
            stop.set()
        return answer(page(([job(ask.number * 100 + n) for n in range(100)], True)))

    stop = threading.Event()
    with facing(endless, file_url, order="asc") as rig:
        [result] = rig.app.sync(stop=stop)
        assert result.status == "interrupted" and len(rig.jobs()) > 4000
        rig.assert_accounts()
