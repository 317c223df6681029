"""What a page says about itself."""

from __future__ import annotations

import json
from typing import Any

import pytest

from etl.records import CacheLookup, PageFacts, Unknown
from etl.transform import Options, transform_page
from tests.support.pages import page, transform

SEMANTIC = {
    "cache_hit": True,
    "cache_id": "c1",
    "hit_type": "semantic",
    "requested_provider": "openai",
    "requested_model": "sora-2",
    "provider_used": "openai",
    "model_used": "text-embedding-3-small",
    "input_tokens": 12,
    "threshold": 0.8,
    "similarity": 0.93,
}


def test_facts() -> None:
    sent = {
        "request_type": "video_list",
        "provider": "openai",
        "latency": 41,
        "chunk_index": 0,
        "original_model_requested": "sora",
        "resolved_model_used": "sora-2",
        "provider_response_headers": {"Set-Cookie": "secret"},
        "raw_request": {},
        "raw_response": {"data": []},
        "cache_debug": None,
    }
    rows = transform(extra_fields=sent)
    assert rows.facts == PageFacts("video_list", "openai", "sora", "sora-2", 41.0, 0)
    assert (rows.cache, rows.unknown, rows.stale) == (None, {}, False)


def test_the_older_names_win() -> None:
    facts = transform(
        extra_fields={"model_requested": "a", "original_model_requested": "b", "model_deployment": "c"}
    ).facts
    assert (facts.model_requested, facts.model_deployment, facts.extra) == ("a", "c", None)


def test_raw_payloads_only_when_asked_for_and_never_without_prompts() -> None:
    sent = {"raw_request": {"b": 1, "a": 2}, "raw_response": "as text"}
    stored = transform(extra_fields=sent, raw_payloads="store").facts
    assert (stored.raw_request, stored.raw_response) == ('{"a":2,"b":1}', "as text")
    for options in (
        {},
        {"raw_payloads": "store", "prompts": "hash"},
        {"raw_payloads": "store", "prompts": "drop"},
    ):
        assert transform(extra_fields=sent, **options).facts == PageFacts()


def test_what_does_not_fit_is_kept_and_counted() -> None:
    sent = {"provider": 5, "latency": "fast", "chunk_index": 2**31, "routing": {"engine": "v2"}}
    rows = transform(extra_fields=sent)
    assert rows.facts == PageFacts(extra=json.dumps(sent, sort_keys=True, separators=(",", ":")))
    assert rows.unknown == {
        Unknown("page.extra_fields.provider", "number"): 1,
        Unknown("page.extra_fields.latency", "string"): 1,
        Unknown("page.extra_fields.chunk_index", "number"): 1,
        Unknown("page.extra_fields.routing", "object"): 1,
    }


@pytest.mark.parametrize(("sent", "kind"), [(b"[]", "array"), (b"5", "number"), (b'"\xff"', "string")])
def test_extra_fields_that_are_no_object(sent: bytes, kind: str) -> None:
    rows = transform(b'{"id":"a"}', extra_fields=sent)
    assert (rows.facts, rows.unknown) == (PageFacts(), {Unknown("page.extra_fields", kind): 1})
    assert len(rows.jobs) == 1
    assert transform(extra_fields=b"null").unknown == {}


@pytest.mark.parametrize("prompts", ["store", "hash", "drop"])
@pytest.mark.parametrize("deep", [90, 900])
def test_whatever_an_unknown_member_of_the_envelope_holds(deep: int, prompts: Any) -> None:
    nested: Any = {"\ud800": float("nan")}
    for _ in range(deep):
        nested = [nested]
    raw = page(unknown={"note": nested, "n": 10**999, "prompt": nested, "b": True, "\ud800": None})
    found = transform_page(raw, Options(prompts), source_provider=None).unknown
    assert found[Unknown("page.note", "array")] == found[Unknown("page.n", "number")] == 1
    assert found[Unknown("page.prompt", "array")] == found[Unknown("page.b", "boolean")] == 1
    assert len(found) == 5


def test_unknown_members_of_the_envelope() -> None:
    raw = page(unknown={"next_page": {"cursor": "x"}, "to\0tal": 3})
    assert transform_page(raw, Options(), source_provider=None).unknown == {
        Unknown("page.next_page", "object"): 1,
        Unknown("page.to\ufffdtal", "number"): 1,
    }


def cache(debug: Any) -> CacheLookup | None:
    return transform(extra_fields={"cache_debug": debug}).cache


@pytest.mark.parametrize(
    ("name", "most"), [("input_tokens", 10**12), ("threshold", 1_000_000), ("similarity", 1_000_000)]
)
def test_the_most_that_a_lookup_can_say(name: str, most: int) -> None:
    for sent, kept in ((most, most), (-most, -most), (most + 1, None), (-most - 1, None)):
        found = cache({name: sent})
        assert found is not None and getattr(found, name) == kept


def test_no_page_takes_longer_than_eleven_days() -> None:
    assert transform(extra_fields={"latency": 1_000_000_000}).facts == PageFacts(latency_ms=1e9)
    assert transform(extra_fields={"latency": 1_000_000_001}).facts.latency_ms is None


def test_cache_lookups() -> None:
    assert cache(SEMANTIC) == CacheLookup(**SEMANTIC)  # type: ignore[arg-type]
    miss = {"cache_hit": False, "provider_used": "openai", "input_tokens": 3}
    assert cache(miss) == CacheLookup(False, provider_used="openai", input_tokens=3)
    assert cache({}) == CacheLookup(False)
    assert cache({"hit_type": "direct"}) == CacheLookup(True, hit_type="direct")
    assert transform(extra_fields={"cache_debug": SEMANTIC}).stale


def test_cache_lookups_of_the_wrong_types() -> None:
    odd = {"cache_hit": "yes", "cache_id": 5, "input_tokens": 2**63, "threshold": "0.5", "similarity": []}
    rows = transform(extra_fields={"cache_debug": {**odd, "ttl": 60}})
    assert rows.cache == CacheLookup(False, threshold=0.5)
    assert rows.unknown == {Unknown("page.extra_fields.cache_debug.ttl", "number"): 1}
    rows = transform(extra_fields={"cache_debug": [1]})
    assert (rows.cache, rows.unknown) == (None, {Unknown("page.extra_fields.cache_debug", "array"): 1})
