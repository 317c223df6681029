"""Items to job rows: status, errors, text columns, extra, hash, prompts, rejects."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from etl.records import JobRow, Unknown
from tests.support.pages import extra, row, transform

AT = 1_700_000_000


@pytest.mark.parametrize(
    ("sent", "status", "settled"),
    [
        ("queued", "queued", False),
        (" In_Progress ", "in_progress", False),
        ("in-progress", "in_progress", False),
        ("processing", "in_progress", False),
        ("running", "in_progress", False),
        ("pending", "queued", False),
        ("Completed", "completed", True),
        ("succeeded", "completed", True),
        ("succeed", "completed", True),
        ("SUCCESS", "completed", True),
        ("fail", "failed", True),
        ("submitted", "queued", False),
        ("preprocessing", "in_progress", False),
        ("error", "failed", True),
        ("FAILED", "failed", True),
        ("canceled", "cancelled", True),
        ("expired", "expired", True),
        ("moderation", "moderation", False),
        ("done", "completed", True),
        ("finished", "completed", True),
        ("NOT_START", "queued", False),
        ("baking", "baking", False),
    ],
)
def test_status_as_reported(sent: str, status: str, settled: bool) -> None:
    job = row(status=sent)
    assert (job.reported_status, job.status, job.settled) == (sent, status, settled)


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({}, "queued"),
        ({"progress": 0}, "queued"),
        ({"progress": 40}, "in_progress"),
        ({"progress": 0.4}, "in_progress"),
        ({"progress": 100}, "completed"),
        ({"completed_at": AT}, "completed"),
        ({"completed_at": AT, "error": {"code": None, "message": ""}}, "completed"),
        ({"completed_at": AT, "error": {"code": "x"}}, "failed"),
        ({"error": "boom"}, "failed"),
        ({"error": {}}, "queued"),
        ({"error": {"type": "server_error"}}, "failed"),
        ({"error": {"details": {"inner": None}}}, "queued"),
    ],
)
@pytest.mark.parametrize("sent", [{}, {"status": None}, {"status": ""}])
def test_status_derived_when_none_was_sent(
    sent: dict[str, Any], members: dict[str, Any], status: str
) -> None:
    job = row(**sent, **members)
    assert (job.reported_status, job.status, job.settled) == (None, status, status in ("completed", "failed"))


def test_a_status_of_another_type_is_no_status() -> None:
    job = row(status=3, completed_at=AT)
    assert (job.reported_status, job.status, extra(job)) == (None, "completed", {"status": 3})


def test_an_unknown_status_settles_with_evidence() -> None:
    assert row(status="archived", completed_at=AT).settled
    assert row(status="rejected_by_policy", error={"message": "no"}).settled
    assert not row(status="in_progress", completed_at=AT).settled


@pytest.mark.parametrize(
    ("error", "code", "message", "rest"),
    [
        (None, None, None, {}),
        ("boom", None, "boom", {}),
        ({"code": "c", "message": "m"}, "c", "m", {}),
        ({"code": 429, "message": ""}, "429", None, {}),
        ({"code": "c", "param": "size"}, "c", None, {"error": {"param": "size"}}),
        ([1], None, "[1]", {"error": [1]}),
        (7, None, "7", {"error": 7}),
    ],
)
def test_errors(error: Any, code: str | None, message: str | None, rest: dict[str, Any]) -> None:
    job = row(error=error)
    assert (job.error_code, job.error_message, extra(job)) == (code, message, rest)


def test_text_of_another_type_is_kept_twice() -> None:
    job = row(model=5, remixed_from_video_id={"b": 1, "a": 2})
    assert (job.model, job.remixed_from_job_id) == ("5", '{"a":2,"b":1}')
    assert extra(job) == {"model": 5, "remixed_from_video_id": {"b": 1, "a": 2}}


def test_unknown_members_are_kept_and_counted() -> None:
    item = {
        "id": "a",
        "quality": "hd",
        "usage": {"s": 1.5},
        "error": {"hint": None},
        "flag": False,
        "n": None,
    }
    rows = transform(*(json.dumps({**item, "id": i}).encode() for i in ("a", "b")))
    assert (
        rows.jobs[0].extra == '{"error":{"hint":null},"flag":false,"n":null,"quality":"hd","usage":{"s":1.5}}'
    )
    assert rows.unknown == {
        Unknown("job.quality", "string"): 2,
        Unknown("job.usage", "object"): 2,
        Unknown("job.flag", "boolean"): 2,
        Unknown("job.n", "null"): 2,
        Unknown("job.error.hint", "null"): 2,
    }


def test_what_is_never_stored() -> None:
    rows = transform(
        json.dumps({"id": "a", "object": "video", "videos": ["QUJD"], "extra_fields": {"a": 1}}).encode()
    )
    assert (rows.jobs[0].extra, rows.unknown) == (None, {})
    assert extra(row(object="video.deleted")) == {"object": "video.deleted"}


def test_numbers_too_large_for_json_stay_text() -> None:
    (job,) = transform(b'{"id":"a","cost":1e400,"nan":NaN,"digits":' + b"9" * 5000 + b"}").jobs
    assert extra(job) == {"cost": "1e400", "nan": "NaN", "digits": "9" * 5000}


def test_provider() -> None:
    def of(item: dict[str, Any], **more: Any) -> str | None:
        return transform(json.dumps(item).encode(), **more).jobs[0].provider

    page = {"provider": "page"}
    assert of({"id": "x:suffix", "provider": "own"}, provider="source", extra_fields=page) == "own"
    assert of({"id": "x:suffix"}, provider="source", extra_fields=page) == "page"
    assert of({"id": "x:suffix"}, provider="source") == "source"
    assert of({"id": "a:b:suffix"}) == "suffix"
    assert of({"id": "plain"}) is None
    assert of({"id": "x:"}) is None


def test_ids() -> None:
    rows = transform(b'{"id":7}', b'{"id":"\\u0000x"}')
    assert [job.job_id for job in rows.jobs] == ["7", "\ufffdx"]


def test_a_repeated_job_keeps_its_place_and_its_last_content() -> None:
    rows = transform(b'{"id":"a","model":"old"}', b'{"id":"b"}', b'{"id":"a","model":"new"}')
    assert [(job.job_id, job.model) for job in rows.jobs] == [("a", "new"), ("b", None)]
    assert rows.duplicates == 1


def test_the_hash_covers_every_tracked_field_but_progress() -> None:
    base = row()
    changed: list[dict[str, Any]] = [
        {"provider": "p"}, {"model": "m"}, {"status": "queued"}, {"prompt": "x"}, {"size": "1x1"},
        {"seconds": 4}, {"remixed_from_video_id": "r"}, {"created_at": AT}, {"expires_at": AT},
        {"completed_at": AT},
        {"error": {"code": "x"}}, {"error": "x"}, {"quality": "hd"}, {"model": "p"}, {"seconds": "four"},
    ]  # fmt: skip
    assert len({base.content_hash, *(row(**c).content_hash for c in changed)}) == len(changed) + 1
    assert row(status="in_progress", progress=10).content_hash == row(status="in_progress").content_hash
    assert row(status="in_progress", progress=999).content_hash == row(status="in_progress").content_hash


def test_the_hash_is_the_same_tomorrow() -> None:
    """Stored hashes must outlive a release: another digest would rewrite every history."""
    job = row(model="sora-2", status="completed", created_at=AT, seconds="8", quality={"b": 1, "a": "é"})
    assert job.content_hash == "a17c954bb4cbf162eaff461590b0fecb"


def test_zero_values_in_extra_do_not_count() -> None:
    assert row(a=None, b="", c=0, d=False, e=[], f={}, g={"h": 0}).content_hash == row().content_hash
    assert row(a=1).content_hash != row().content_hash


def test_prompts() -> None:
    digest = "sha256:" + hashlib.sha256("größe".encode()).hexdigest()
    assert row(prompt="größe").prompt == "größe"
    assert row(prompt="größe", options={"prompts": "hash"}).prompt == digest
    assert row(prompt="größe", options={"prompts": "drop"}).prompt is None
    assert row(prompt="", options={"prompts": "hash"}).prompt is None


def test_a_prompt_quoted_elsewhere_goes_too() -> None:
    error = {
        "code": "blocked",
        "message": 'rejected: {"prompt": "say \\"hi\\" now"}',
        "input": 'say "hi" now!',
    }
    job = row(prompt='say "hi" now', error=error, prompt_tokens=5, options={"prompts": "drop"})
    assert job.error_message == 'rejected: {"[withheld]"}'
    assert extra(job) == {"prompt_tokens": 5}


def test_a_short_prompt_does_not_ruin_other_texts() -> None:
    assert row(prompt="a", error="a bad day", options={"prompts": "drop"}).error_message == "a bad day"


def test_rejects_say_why_and_keep_their_bytes() -> None:
    items = (b"null", b'{"id":""}', b"{", b'{"id":"d","x":' + b"[" * 65 + b"]" * 65 + b"}", b'"\xff"')
    rejects = transform(*items).rejects
    assert [reject.payload for reject in rejects] == list(items)
    assert [reject.position for reject in rejects] == [0, 1, 2, 3, 4]
    assert [reject.job_id for reject in rejects] == [None, None, None, "d", None]
    reasons = [reject.reason for reject in rejects]
    assert reasons[:2] == ["not an object but null", "no usable id"]
    assert reasons[2].startswith("not JSON: ")
    assert reasons[3:] == ["nested deeper than 64 levels", "not UTF-8 (byte 1)"]


def test_rejects_without_prompts() -> None:
    raw = json.dumps({"id": "", "prompt": "a secret", "note": "see: a secret"}).encode()
    (dropped,) = transform(raw, prompts="drop").rejects
    (hashed,) = transform(raw, prompts="hash").rejects
    (broken,) = transform(raw[:-1], prompts="drop").rejects
    assert json.loads(dropped.payload or b"") == {"id": "", "[name 3]": "[withheld]", "prompt": None}
    assert json.loads(hashed.payload or b"")["prompt"].startswith("sha256:")
    assert broken.payload is None
    assert f"{len(raw) - 1} bytes withheld" in broken.reason
    assert hashlib.sha256(raw[:-1]).hexdigest() in broken.reason


def test_a_whole_job() -> None:
    job = row(
        provider="openai", model="sora-2", status="completed", progress=100, prompt="mist", size="1280x720",
        seconds="8", created_at=AT, remixed_from_video_id="video_0:openai",
    )  # fmt: skip
    assert isinstance(job, JobRow)
    assert job[:12] == (
        "video_1", "openai", "sora-2", "completed", "completed", 100.0, "mist", "video_0:openai", 8.0,
        "1280x720", 1280, 720,
    )  # fmt: skip
