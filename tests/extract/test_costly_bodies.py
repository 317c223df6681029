"""Bodies below `max_body` that would cost a hundred times their reading: time and memory are bounded."""

from __future__ import annotations

import gzip
import json
import time
import tracemalloc
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.errors import GarbledAnswer
from etl.extract import bodies
from etl.extract.decode import MAX_ITEMS, Garbled, decode_object, decode_page
from etl.extract.gateway_errors import read_complaint
from etl.json_parts import exceeds_parts
from etl.transform.json_values import MAX_BYTES, MAX_PARTS
from etl.transform.pages import MAX_PAYLOAD
from harness.costly import MAKERS, read_costly
from tests.support.pages import assert_sound, transform

SIZE = 2 << 20
#: What a page within its bounds may take beside its body: as many small values as are allowed.
CONSTANT = 40 << 20


@pytest.mark.parametrize("prompts", ["store", "drop"])
@pytest.mark.parametrize("name", sorted(MAKERS))
@pytest.mark.slow
def test_a_body_costs_little_more_than_its_reading(name: str, prompts: str) -> None:
    body = MAKERS[name](SIZE)
    began = time.process_time()
    read_costly(body, prompts)
    assert time.process_time() - began < 5  # it took up to 100 s for 64 MiB
    tracemalloc.start()
    try:
        read_costly(body, prompts)
        assert tracemalloc.get_traced_memory()[1] < 2 * len(body) + CONSTANT
    finally:
        tracemalloc.stop()


#: One value as large as the body: what is read is copied once or twice, and never for a size that is refused.
ONE_VALUE = ("digits", "digits_of_a_page", "prompt", "id", "quotes_then_nan", "one_bad_text", "raw_response")


@pytest.mark.parametrize("name", ONE_VALUE)
def test_one_huge_value_takes_two_bodies(name: str) -> None:
    body = MAKERS[name](16 << 20)
    tracemalloc.start()
    try:
        read_costly(body)
        assert tracemalloc.get_traced_memory()[1] < 2.1 * len(body)
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (b"", 0),
        (b"1", 0),
        (b"{}", 1),
        (b'{"a":1,"b":[1,2,3]}', 5),
        (b'{"a,[{":"x,[{\\",[{"}', 1),
        (b'["\\\\",1]', 2),
        (b'["never closed, [{', 1),
        (b'["ends in a slash\\', 1),
        (b"[[[[", 4),
        (b'"' + b"," * 1000 + b'"', 0),
    ],
)
def test_parts_are_counted_outside_of_texts(text: bytes, parts: int) -> None:
    assert not exceeds_parts(text, parts)
    assert parts == 0 or exceeds_parts(text, parts - 1)


VALUES = st.recursive(
    st.none() | st.integers() | st.text(st.sampled_from('a,[{"\\'), max_size=5),
    lambda v: st.lists(v, max_size=4) | st.dictionaries(st.text(st.sampled_from('k,"\\')), v, max_size=4),
    max_leaves=12,
)


def count_parts(value: Any) -> int:
    """One for each array and object, and one for each of their commas."""
    if not isinstance(value, dict | list):
        return 0
    inside = value.values() if isinstance(value, dict) else value
    return 1 + max(0, len(value) - 1) + sum(map(count_parts, inside))


@given(VALUES)
@settings(deadline=None, max_examples=200)
def test_parts_are_those_of_the_decoded_value(value: Any) -> None:
    text, parts = json.dumps(value).encode(), count_parts(value)
    assert not exceeds_parts(text, parts)
    assert parts == 0 or exceeds_parts(text, parts - 1)


def test_only_the_item_that_is_too_much_is_rejected() -> None:
    heavy = b'{"id":"heavy",' + b",".join(b'"k%d":1' % n for n in range(MAX_PARTS + 1)) + b"}"
    rows = transform(b'{"id":"before"}', heavy, b'{"id":"after"}')
    assert_sound(rows)
    assert [job.job_id for job in rows.jobs] == ["before", "after"]
    (reject,) = rows.rejects
    assert reject.job_id == "heavy" and reject.position == 1
    assert "more than 20,000 members" in reject.reason


def test_an_item_may_hold_as_much_as_the_bound_says() -> None:
    item = b'{"id":"full","list":[' + b",".join([b"1"] * (MAX_PARTS - 2)) + b"]}"
    (job,) = transform(item).jobs
    assert job.job_id == "full" and job.extra is not None and job.extra.count("1") == MAX_PARTS - 2


def test_a_job_with_a_large_video_is_a_job() -> None:
    video = b'[{"b64_json":"' + b"QUJD" * (MAX_BYTES // 2) + b'"}]'
    (job,) = transform(b'{"id":"v","model":"sora-2","videos":' + video + b',"status":"completed"}').jobs
    assert (job.job_id, job.model, job.status) == ("v", "sora-2", "completed")


def test_a_job_too_large_for_a_database_is_a_reject_with_the_beginning_of_its_bytes() -> None:
    item = b'{"id":"large","prompt":"' + b"x" * (MAX_BYTES + 1) + b'"}'
    rows = transform(b'{"id":"v"}', item)
    (reject,) = rows.rejects
    assert reject.payload == item[:MAX_PAYLOAD] and reject.job_id == "large"
    assert "larger than 4 MiB" in reject.reason and f"{len(item):,} bytes" in reject.reason
    assert len(rows.jobs) == 1


def test_a_prompt_of_a_rejected_large_job_is_not_stored() -> None:
    rows = transform(b'{"id":"large","prompt":"' + b"canary " * (MAX_BYTES // 7) + b'"}', prompts="drop")
    assert "canary" not in repr(rows.rejects) and rows.rejects[0].job_id == "large"


def test_names_beyond_five_hundred_are_counted_together() -> None:
    items = [b'{"id":"v%d","name_%d":1}' % (n, n) for n in range(700)]
    rows = transform(*items)
    assert len(rows.jobs) == 700 and sum(rows.unknown.values()) == 700
    assert len(rows.unknown) == 501
    assert max(rows.unknown.values()) == 200  # the other names


def test_a_list_of_more_items_than_were_asked_for_a_hundredfold_is_refused() -> None:
    body = b'{"object":"list","data":[' + b",".join([b'{"id":"v"}'] * (MAX_ITEMS + 1)) + b"]}"
    with pytest.raises(Garbled, match="more than 10,000 items"):
        decode_page(body)
    assert len(decode_page(body.replace(b'{"id":"v"},', b"", 1)).items) == MAX_ITEMS


def test_what_only_a_lenient_reader_reads_is_bounded_by_its_size() -> None:
    page = b'{"object":"list","data":[{"id":"v"}],"total":' + b"9" * (8 << 20) + b"}"
    with pytest.raises(Garbled, match="more than 8 MiB beside its `data`"):
        decode_page(page)
    data = b'{"id":"v","note":NaN,"prompt":"' + b"x" * (9 << 20) + b'"}'
    assert len(decode_page(b'{"object":"list","data":[' + data + b"]}").items) == 1


def test_a_single_job_and_an_error_are_bounded_too() -> None:
    members = b'{"id":"v",' + b",".join(b'"k%d":1' % n for n in range(300_000)) + b"}"
    with pytest.raises(Garbled, match="too much to decode"):
        decode_object(members)
    assert len(read_complaint(members).message) <= 4000


class Raw:
    """A response as urllib3 has it, which comes in these pieces."""

    chunked = True

    def __init__(self, pieces: list[bytes], encoding: str = "") -> None:
        self.headers = {"Content-Encoding": encoding}
        self._pieces = iter(pieces)

    def read1(self, amount: int, *, decode_content: bool) -> bytes:
        return next(self._pieces, b"")


def read(raw: Raw, limit: int = 64 << 20) -> bytes:
    return bodies.read_body(raw, limit, "GET /v1/videos", lambda: None)


def test_a_body_in_tiny_pieces_takes_its_own_memory() -> None:
    pieces = [b"%02d" % (n % 100) for n in range(150_000)]
    whole = b"".join(pieces)
    tracemalloc.start()
    try:
        assert read(Raw(pieces)) == whole
        assert tracemalloc.get_traced_memory()[1] < 2.5 * len(whole)  # it was twenty times as much
    finally:
        tracemalloc.stop()


def test_a_body_in_too_many_pieces_is_given_up() -> None:
    with pytest.raises(GarbledAnswer, match="more than 200,000 pieces"):
        read(Raw([b"xy"] * 200_001))


def test_compressed_members_that_hold_nothing_are_counted() -> None:
    empty = gzip.compress(b"")
    with pytest.raises(GarbledAnswer, match="more than 10,000 parts"):
        read(Raw([empty * 1000] * 11, "gzip"))


def test_what_is_sent_counts_as_what_it_unpacks_to() -> None:
    empty = gzip.compress(b"")
    with pytest.raises(GarbledAnswer, match="larger than 1,000 bytes"):
        read(Raw([empty * 100], "gzip"), limit=1000)
