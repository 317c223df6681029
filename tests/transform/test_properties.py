"""Whatever a gateway sends: everything accounted for, nothing unstorable, equal content equal hash."""

from __future__ import annotations

import json
import random
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.transform import Options, transform_page
from etl.transform.fast_path import ordinary_rows
from etl.transform.jobs import PageContext, job_row
from etl.transform.json_values import decode_json
from etl.transform.privacy import _forms_of_prompt
from tests.support.hostile import ACCEPTED, HOSTILE, REJECTED
from tests.support.pages import assert_sound, page, row, transform

NAMES = [
    "id", "object", "provider", "model", "status", "progress", "prompt", "remixed_from_video_id", "seconds",
    "size", "created_at", "completed_at", "expires_at", "error", "videos", "extra_fields", "quality", "usage",
]  # fmt: skip
TEXTS = st.one_of(
    st.text(st.characters(codec=None, categories=None), max_size=12),
    st.sampled_from(["", "0", "8s", "1e9", "completed", "1280x720", "2024-05-01T10:00:00Z", "\0", "\ud800"]),
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(10**9, 2 * 10**9),
    st.integers(-(10**40), 10**40),
    st.floats(),
    TEXTS,
)
VALUES = st.recursive(
    SCALARS, lambda v: st.lists(v, max_size=3) | st.dictionaries(TEXTS, v, max_size=3), max_leaves=8
)
ERRORS = st.dictionaries(st.sampled_from(["code", "message", "type", "prompt"]), VALUES, max_size=4)
JOBS = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "b", "c:openai", "d\0", 7, "", None, "x" * 513])},
    optional={name: VALUES if name != "error" else ERRORS | VALUES for name in NAMES if name != "id"},
)
ITEMS = st.one_of(
    JOBS.map(lambda v: json.dumps(v).encode()),
    VALUES.map(lambda v: json.dumps(v, ensure_ascii=False).encode("utf-8", "surrogatepass")),
    st.binary(max_size=40),
    st.sampled_from(sorted(HOSTILE.values())),
)
OPTIONS = st.builds(Options, st.sampled_from(["store", "hash", "drop"]), st.sampled_from(["drop", "store"]))
EXTRA_FIELDS = st.one_of(
    st.none(),
    st.binary(max_size=20),
    VALUES.map(lambda v: json.dumps(v).encode()),
    st.dictionaries(
        st.sampled_from(
            [
                "request_type",
                "provider",
                "latency",
                "chunk_index",
                "cache_debug",
                "raw_request",
                "raw_response",
            ]
        ),
        VALUES
        | st.dictionaries(st.sampled_from(["cache_hit", "hit_type", "input_tokens", "threshold"]), VALUES),
    ).map(lambda v: json.dumps(v).encode()),
)


@given(st.lists(ITEMS, max_size=6), EXTRA_FIELDS, OPTIONS, st.dictionaries(TEXTS, VALUES, max_size=2))
@settings(deadline=None, max_examples=300)
def test_everything_is_accounted_for_and_storable(
    items: list[bytes], extra_fields: bytes | None, options: Options, unknown: dict[str, Any]
) -> None:
    raw = page(*items, extra_fields=extra_fields, unknown=unknown)
    rows = transform_page(raw, options, source_provider=None)
    assert_sound(rows)
    assert rows == transform_page(raw, options, source_provider=None)


@given(JOBS.filter(lambda v: v["id"] in ("a", "b", "c:openai")), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=150)
def test_the_order_of_members_means_nothing(job: dict[str, Any], chance: random.Random) -> None:
    names = list(job)
    chance.shuffle(names)
    shuffled = {name: job[name] for name in names}
    first, second = (transform(json.dumps(v).encode()).jobs for v in (job, shuffled))
    assert first == second


@given(JOBS, st.sampled_from(["hash", "drop"]))
@settings(deadline=None, max_examples=200)
def test_a_prompt_that_is_not_stored_is_nowhere(job: dict[str, Any], prompts: Any) -> None:
    canary = 'canary "<7f3a9c>"'
    job = {k: v for k, v in job.items() if k not in ("model", "status", "size", "provider")}
    error = {"code": "x", "message": f"refused: {canary}", "hint": [canary]}
    job = {**job, "prompt": canary, "error": error, "revised_prompt": "7f3a9c", "note": {"echo": canary}}
    raw = json.dumps(job).encode()
    extra_fields = {"raw_request": {"prompt": canary}, "raw_response": raw.decode(), "prompt": canary}
    items = (raw, raw[:-1], raw[:-1] + b',"deep":' + b"[" * 99 + b"]" * 99 + b"}", b'["' + b'7f3a9c"]')
    rows = transform(*items, extra_fields=extra_fields, prompts=prompts, raw_payloads="store")
    assert "7f3a9c" not in repr((rows.jobs, rows.rejects, rows.facts, rows.cache, rows.unknown))


@pytest.mark.parametrize("name", sorted(HOSTILE))
@pytest.mark.parametrize("prompts", ["store", "drop"])
def test_hostile_item(name: str, prompts: Any) -> None:
    neighbour = b'{"id":"neighbour"}'
    rows = transform(neighbour, HOSTILE[name], neighbour.replace(b"neigh", b"other-neigh"), prompts=prompts)
    assert_sound(rows)
    assert len(rows.rejects) == (name in REJECTED)
    assert (name in ACCEPTED) == any(job.job_id.startswith(f"hostile-{name}") for job in rows.jobs)
    if name in REJECTED and prompts == "store":
        assert rows.rejects[0].payload == HOSTILE[name] and rows.rejects[0].position == 1


@given(st.dictionaries(st.sampled_from(["quality", "usage", "n"]), VALUES, max_size=3))
@settings(deadline=None, max_examples=50)
def test_zero_values_may_be_left_out(extra: dict[str, Any]) -> None:
    """An answer by id omits them; the job has not changed."""
    kept = {name: value for name, value in extra.items() if value}
    zeros = {"prompt": "", "seconds": 0, "size": "", "completed_at": 0, "progress": 0, "error": None}
    assert row(**kept).content_hash == row(**extra, **zeros).content_hash


LIKELY = st.fixed_dictionaries(
    {"id": st.sampled_from(["a", "c:openai", " ", "d:"])},
    optional={
        "object": st.sampled_from(["video", "", None, "image"]),
        "provider": st.sampled_from(["", "azure", None]),
        "model": st.sampled_from(["sora-2", "", None]),
        "status": st.sampled_from(["queued", "completed", "failed", "in_progress", "Completed", "", None]),
        "progress": st.sampled_from([0, 1, 1.0, 0.5, 50, 100, 101, -1, None]),
        "prompt": TEXTS,
        "remixed_from_video_id": st.sampled_from(["", "a", None]),
        "seconds": st.sampled_from(["4", "8s", "", 4, 4.5, 0, -1, "x", None]),
        "size": st.sampled_from(["1280x720", "", "big", None]),
        "created_at": st.sampled_from([0, 1, 1_700_000_000, 1.5, -1, 10**11, 10**12, None]),
        "completed_at": st.sampled_from([0, 1_700_000_100, None]),
        "expires_at": st.sampled_from([0, 1_700_000_200, None]),
        "error": st.sampled_from(
            [
                *(None, {}, "", "gone", {"code": "", "message": ""}, {"code": None, "message": None}),
                *({"code": "x"}, {"message": "y"}, {"code": 1}, {"hint": "y"}),
            ]
        ),
        "quality": VALUES,
        "usage": st.sampled_from([0, "", {"tokens": 0}, {"tokens": [1, {"n": 2}]}]),
        "videos": st.sampled_from([None, [{"url": "x"}]]),
    },
)


@given(st.lists(st.one_of(LIKELY, JOBS), min_size=1, max_size=3), st.sampled_from([None, "azure"]))
@settings(deadline=None, max_examples=500)
def test_the_short_way_and_the_long_way_agree(items: list[dict[str, Any]], provider: str | None) -> None:
    raw = [json.dumps(item).encode() for item in items]
    context = PageContext(Options(), provider)
    short, patient = ordinary_rows(raw, context), PageContext(Options(), provider)
    assert len(short) == len(raw)
    for item, made in zip(raw, short, strict=True):
        assert made is None or made == job_row(decode_json(item), patient)
    assert context.drift == patient.drift


@given(st.lists(LIKELY.map(lambda v: json.dumps(v).encode()) | ITEMS, max_size=9), OPTIONS)
@settings(deadline=None, max_examples=300)
def test_an_item_s_row_is_the_same_whatever_stands_beside_it(items: list[bytes], options: Options) -> None:
    together = transform_page(page(*items), options, source_provider=None)
    alone = [transform_page(page(item), options, source_provider=None) for item in items]
    rejects = [(n, one.reason, one.payload) for n, each in enumerate(alone) for one in each.rejects]
    assert [(one.position, one.reason, one.payload) for one in together.rejects] == rejects
    rows = {job.job_id: job for each in alone for job in each.jobs}
    assert list(together.jobs) == list(rows.values())


@pytest.mark.parametrize(
    "job",
    [
        b'{"id":"a:openai","object":"video","status":"queued","created_at":1}',
        b'{"id":"a:openai","object":"video","created_at":1,"error":{"code":null,"message":null}}',
        b'{"id":"a:openai","object":"video","status":"","created_at":1}',
        b'{"id":"a:openai","object":"video","status":"queued","quality":"high","usage":{"tokens":[1,2]}}',
    ],
    ids=["in full", "as the reference page shows it", "its provider sent no status", "with new members"],
)
def test_an_ordinary_job_takes_the_short_way(job: bytes) -> None:
    (row,) = ordinary_rows([job], PageContext(Options()))
    assert row is not None


@given(st.text(max_size=30))
@settings(deadline=None, max_examples=200)
def test_a_prompt_is_known_in_a_url_as_the_standard_library_writes_it(text: str) -> None:
    raw = text.encode("utf-8", "replace")
    assert {quote(raw), quote(raw, safe=""), quote_plus(raw)} <= _forms_of_prompt(text)
