"""Every fault by name: what a client sees of it."""

import gzip
import http.client
import json
import socket
from email.utils import parsedate_to_datetime
from pathlib import Path

import pytest

from etl.simulator import Simulator, World, type_drift
from etl.simulator.error_table import TABLE
from etl.simulator.faults import NAMES
from etl.simulator.items import INTRUDERS, KINDS
from tests.simulator.client import ask, ids, listed, pages, single


@pytest.fixture
def sim():
    with Simulator(World(jobs=60, rate=60)) as running:
        yield running


@pytest.mark.parametrize("name", TABLE)
def test_every_row_of_the_error_table(sim: Simulator, name: str) -> None:
    sim.fault(name, times=1)
    row = TABLE[name]
    answer = listed(sim)
    assert answer.status == row.status
    assert answer.json["error"]["message"] == row.message.format(provider="openai", timeout=30)
    assert answer.json.get("type") == row.top_type
    assert answer.json["error"].get("code") == row.code
    assert listed(sim).status == 200


def test_retry_after_in_seconds_and_as_a_date(sim: Simulator) -> None:
    sim.fault("upstream_429", times=1, retry_after=7)
    answer = listed(sim)
    assert answer.headers["retry-after"] == "7"
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    sim.fault("rate_limited", times=1, retry_at=60)
    answer = listed(sim)
    wait = parsedate_to_datetime(answer.headers["retry-after"]) - parsedate_to_datetime(
        answer.headers["date"]
    )
    assert 58 <= wait.total_seconds() <= 62


def test_a_proxy_speaks_html_or_nothing(sim: Simulator) -> None:
    sim.fault("proxy_502", times=1)
    assert listed(sim).headers["content-type"].startswith("text/html")
    sim.fault("proxy_503", times=1)
    assert (listed(sim).body, listed(sim).status) == (b"", 200)


def test_where_and_how_often(sim: Simulator) -> None:
    sim.fault("queue_full:skip=1,times=2,order=asc")
    assert [listed(sim, order="asc").status for _ in range(4)] == [200, 400, 400, 200]
    first = ids(listed(sim, limit=3).json)
    sim.fault("upstream_500", after=first[-1])
    assert [listed(sim).status, listed(sim, after=first[-1]).status] == [200, 500]
    sim.clear_faults()
    sim.fault("upstream_503", on="job")
    assert [listed(sim).status, single(sim, first[0]).status] == [200, 503]
    sim.clear_faults()
    sim.fault("not_found", id=first[1])
    assert [single(sim, first[0]).status, single(sim, first[1]).status] == [200, 404]


def test_chance_is_seeded() -> None:
    def strikes() -> list[int]:
        with Simulator(World(jobs=3), faults=["queue_full:rate=0.5"]) as sim:
            return [listed(sim).status for _ in range(30)]

    seen = strikes()
    assert seen == strikes()
    assert 5 < seen.count(400) < 25


def test_unknown_faults_are_refused(sim: Simulator) -> None:
    for spec in ("nonsense", "bad_item:kind=odd", "dead_cursor:how=odd", "queue_full:times=x"):
        with pytest.raises(ValueError):
            sim.fault(spec)


def test_health_can_be_down(sim: Simulator) -> None:
    sim.fault("health_down")
    assert [ask(sim, "/health").status, listed(sim).status] == [503, 200]


# what was asked


def test_a_repeated_page(sim: Simulator) -> None:
    first = listed(sim).json
    sim.fault("repeated_page")
    assert listed(sim, after=first["last_id"]).json["data"] == first["data"]


def test_ignored_cursor_order_and_limit(sim: Simulator) -> None:
    first = listed(sim).json
    sim.fault("cursor_ignored")
    assert ids(listed(sim, after=first["last_id"]).json) == ids(first)
    sim.clear_faults()
    sim.fault("order_ignored")
    assert ids(listed(sim, order="asc").json) == ids(first)
    sim.clear_faults()
    sim.fault("limit_ignored", limit=33)
    assert len(listed(sim, limit=5).json["data"]) == 33


@pytest.mark.parametrize("accounts", [1, 2])
def test_another_accounts_pages(accounts: int) -> None:
    with Simulator(World(jobs=60, accounts=accounts)) as sim:
        pin = {"x-bf-api-key": "key-1"}
        ours = set(ids(*pages(sim, pin)))
        sim.fault("other_account")
        assert ours.isdisjoint(ids(listed(sim, pin).json))


def test_a_cached_page_is_old_and_says_so(sim: Simulator) -> None:
    old = ids(listed(sim).json)
    sim.advance(600)
    assert ids(listed(sim).json) != old
    sim.fault("cached:age=600,hit=semantic")
    page = listed(sim).json
    assert ids(page) == old
    debug = page["extra_fields"]["cache_debug"]
    assert debug["cache_hit"] is True
    assert len(debug) == 10
    sim.clear_faults()
    sim.fault("cached:hit=miss")
    page = listed(sim).json
    assert page["extra_fields"]["cache_debug"]["cache_hit"] is False
    assert ids(page) != old


# poison


def test_a_poison_record_spoils_every_page_that_holds_it(sim: Simulator) -> None:
    poison = sim.world.id_at(30)
    sim.fault("poison", id=poison)
    before = sim.world.id_at(29)
    answer = listed(sim, order="asc", limit=1, after=before)
    assert answer.status == 500
    assert answer.json["error"]["message"] == "failed to unmarshal response from provider API"
    assert single(sim, poison).status == 500
    assert listed(sim, order="asc", limit=30).status == 200
    assert listed(sim, order="asc", limit=31).status == 500
    sim.clear_faults()
    sim.fault("poison", index=0)
    assert listed(sim, order="asc").status == 500


@pytest.mark.parametrize("kind", type_drift.KINDS)
def test_a_field_of_another_type_is_poison_to_bifrost_alone(kind: str) -> None:
    with Simulator(World(jobs=30, failures=0.5)) as sim:
        sim.fault("poison_type", kind=kind, index=20)
        assert listed(sim, order="asc", limit=20).status == 200
        spoilt = listed(sim, order="asc", limit=21)
        assert spoilt.status == 500
        assert spoilt.json["error"]["message"] == "failed to unmarshal response from provider API"
        assert single(sim, sim.world.id_at(20)).status == 500
    with Simulator(World(jobs=30, failures=0.5, shape="openai")) as sim:
        clean = listed(sim, order="asc", limit=21).json["data"]
        sim.fault("poison_type", kind=kind, index=20)
        shown = listed(sim, order="asc", limit=21).json["data"]
        assert shown[:20] == clean[:20]
        assert shown[20] != clean[20]


def test_from_some_moment_on_every_new_job_is_poison() -> None:
    with Simulator(World(jobs=30, rate=60)) as sim:
        known = ids(*pages(sim, order="asc"))
        sim.fault("poison_type", kind="seconds_number", since=sim.world.now())
        assert listed(sim, order="asc", limit=100).status == 200
        sim.advance(600)
        assert listed(sim, order="asc", limit=100).status == 500
        assert ids(listed(sim, order="asc", limit=30).json) == known


@pytest.mark.parametrize(("how", "by_id"), [("404", 404), ("410", 410), ("400", 400), ("empty", 404)])
def test_the_upstream_ends_for_good_at_a_given_moment(how: str, by_id: int) -> None:
    with Simulator(World(jobs=3)) as sim:
        sim.fault("upstream_gone", how=how, since=sim.world.now() + 60)
        id = sim.world.id_at(0)
        assert [listed(sim).status, single(sim, id).status] == [200, 200]
        sim.advance(60)
        listing = listed(sim)
        assert single(sim, id).status == by_id
        if how == "empty":
            assert (listing.status, listing.json["data"], listing.json["has_more"]) == (200, [], False)
        else:
            assert listing.status == int(how)
            assert "raw_response" in listing.json["extra_fields"]


def test_a_failed_key_moves_to_another_account_from_two_on() -> None:
    for version, expected in (("1.5", {200, 401}), ("2.0", {200})):
        with Simulator(World(jobs=30, accounts=2, version=version)) as sim:
            sim.fault("key_failed", key="key-1")
            assert {listed(sim).status for _ in range(20)} == expected
            pinned = listed(sim, {"x-bf-api-key": "key-1"})
            assert pinned.status == 401
            assert "raw_response" in pinned.json["extra_fields"]
            assert listed(sim, {"x-bf-api-key": "key-2"}).status == 200


def test_an_upstream_that_says_null(sim: Simulator) -> None:
    sim.fault("upstream_null")
    page = listed(sim).json
    assert (page["object"], page["data"]) == ("", None)
    assert "has_more" not in page


# items and envelope


@pytest.mark.parametrize("kind", [*INTRUDERS, "duplicate"])
def test_intruders_stand_among_good_items(sim: Simulator, kind: str) -> None:
    good = listed(sim, limit=5).json["data"]
    sim.fault("bad_item", kind=kind, at=2)
    items = listed(sim, limit=5).json["data"]
    assert len(items) == 6
    assert items[:2] + items[3:] == good
    assert items[2] == (good[2] if kind == "duplicate" else json.loads(INTRUDERS[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_spoilt_items_leave_the_others_alone(sim: Simulator, kind: str) -> None:
    good = listed(sim, limit=5).json["data"]
    sim.fault("bad_item", kind=kind, at=2)
    body = listed(sim, limit=5).body
    if kind == "deep":
        assert b"[" * 5000 in body
        return
    items = json.loads(body)["data"]
    assert len(items) == 5
    assert [a == b for a, b in zip(items, good, strict=True)] == [True, True, False, True, True]


def test_drift_reaches_every_level(sim: Simulator) -> None:
    sim.fault("drift")
    page = listed(sim).json
    assert "next_page" in page
    assert "routing" in page["extra_fields"]
    assert all("quality" in job for job in page["data"])


@pytest.mark.parametrize(
    ("spec", "check"),
    [
        ("null_data", lambda page: page["data"] is None and page["has_more"] is False),
        ("shrunk", lambda page: page["data"] == [] and page["has_more"] is False),
        ("no_has_more", lambda page: "has_more" not in page),
        ("no_has_more:as=null", lambda page: page["has_more"] is None),
        ("no_ids", lambda page: not {"first_id", "last_id"} & set(page)),
        ("no_extra_fields", lambda page: "extra_fields" not in page),
        ("has_more:value=false", lambda page: page["has_more"] is False and len(page["data"]) == 20),
        ("wrong_last_id", lambda page: page["last_id"] == page["first_id"]),
    ],
)
def test_envelopes(sim: Simulator, spec: str, check) -> None:
    assert not check(listed(sim).json)
    sim.fault(spec)
    assert check(listed(sim).json)


# the bytes sent


def test_bodies_that_are_no_page(sim: Simulator) -> None:
    seen = {}
    for name in ("empty_body", "invalid_json", "not_object", "non_utf8", "html", "wrong_type", "lying_gzip"):
        sim.fault(name, times=1)
        seen[name] = listed(sim)
        assert seen[name].status == 200
    assert seen["empty_body"].body == b""
    assert seen["not_object"].json == []
    with pytest.raises(json.JSONDecodeError):
        assert seen["invalid_json"].json
    with pytest.raises(UnicodeDecodeError):
        seen["non_utf8"].body.decode()
    assert seen["html"].headers["content-type"].startswith("text/html")
    assert seen["wrong_type"].headers["content-type"].startswith("text/plain")
    with pytest.raises(gzip.BadGzipFile):
        gzip.decompress(seen["lying_gzip"].body)


def test_compressed_bodies(sim: Simulator) -> None:
    plain = listed(sim).json
    sim.fault("gzip", times=1)
    answer = listed(sim)
    assert answer.headers["content-encoding"] == "gzip"
    assert json.loads(gzip.decompress(answer.body)) == plain
    sim.fault("gzip_cut", times=1)
    with pytest.raises(EOFError):
        gzip.decompress(listed(sim).body)


def test_redirects_and_huge_bodies(sim: Simulator) -> None:
    sim.fault("redirect:times=1,to=http://127.0.0.1:9/x")
    answer = listed(sim)
    assert (answer.status, answer.headers["location"]) == (302, "http://127.0.0.1:9/x")
    sim.fault("huge", mb=3)
    assert len(listed(sim).body) > 3_000_000


def test_an_upstreams_204_is_passed_on(sim: Simulator) -> None:
    sim.fault("no_content", times=1)
    answer = listed(sim)
    assert (answer.status, answer.body) == (204, b"")
    assert listed(sim).status == 200


def test_a_truncated_body_ends_before_its_length(sim: Simulator) -> None:
    sim.fault("truncated", times=1)
    with pytest.raises(http.client.IncompleteRead):
        listed(sim)


def test_a_reset_connection(sim: Simulator) -> None:
    sim.fault("reset", times=1)
    with pytest.raises(ConnectionResetError):
        listed(sim)
    assert listed(sim).status == 200


def test_a_stall_holds_only_its_own_connection(sim: Simulator) -> None:
    sim.fault("stall", times=1)
    with socket.create_connection(("127.0.0.1", sim.port)) as stalled:
        stalled.sendall(b"GET /v1/videos?provider=openai HTTP/1.1\r\nHost: x\r\n\r\n")
        while not any(fault.hits for fault in sim.gateway.faults.all):
            assert ask(sim, "/health").status == 200
        assert listed(sim).status == 200
        stalled.setblocking(False)
        with pytest.raises(BlockingIOError):
            stalled.recv(1)


def test_slow_and_dripping_answers_arrive_whole(sim: Simulator) -> None:
    whole = listed(sim).body
    sim.fault("slow", times=1, seconds=0.01)
    assert listed(sim).body == whole
    sim.fault("drip", times=1, seconds=0.001)
    assert listed(sim).body == whole


def test_a_skewed_clock_shows_in_the_date(sim: Simulator) -> None:
    honest = parsedate_to_datetime(listed(sim).headers["date"])
    sim.fault("clock_skew", seconds=-3600)
    skewed = parsedate_to_datetime(listed(sim).headers["date"])
    assert -3602 <= (skewed - honest).total_seconds() <= -3540


def test_no_fault_is_without_a_test() -> None:
    text = Path(__file__).read_text()
    assert [name for name in NAMES if name not in TABLE and f'"{name}' not in text] == []
