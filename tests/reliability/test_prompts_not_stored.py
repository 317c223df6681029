"""With prompts that are not stored, a prompt is in no column of no table, wherever the gateway put it."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.schema.tables import metadata
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job, page
from tests.support.pages import transform
from tests.support.rig import Rig

#: Two prompts that no other text holds: a sentence, and a single word (which passes for a name or a code).
SENTENCE, WORD = 'A Zebraquux "paints" <the> Größe of 77 moons', "zebraquux77moons"
CORE = "zebraquux"


def spellings(prompt: str) -> list[str]:
    raw = prompt.encode()
    return [
        prompt,
        prompt.upper(),
        json.dumps(prompt)[1:-1],
        json.dumps({"prompt": prompt}),
        quote(prompt),
        f"https://cdn.example/v?p={quote(prompt, safe='')}",
        base64.b64encode(raw).decode(),
        base64.urlsafe_b64encode(raw).decode().rstrip("="),
        f"your prompt '{prompt}' was refused",
        f'refused: "{prompt}"',
        f"refused: {prompt[:20]}…",
    ]


def places(text: str) -> Iterator[dict[str, Any]]:
    """Members of a job that hold the text, each in another place."""
    for name in ("model", "size", "provider", "status", "object", "seconds", "progress", "created_at"):
        yield {name: text}
    for name in ("expires_at", "remixed_from_video_id", "revised_prompt", "note", "input", "videos"):
        yield {name: text}
    yield {text: 1}
    yield {"usage": {"deep": [{text: [text]}]}}
    yield {"error": text}
    yield {"error": {"code": text, "message": text, "type": text, text: text}}
    yield {"error": {"message": {"prompt": text}}}
    yield {"error": [text]}
    yield {"prompt": {"text": text}}


def envelopes(text: str) -> Iterator[dict[str, Any]]:
    debug = dict.fromkeys(
        ("cache_id", "hit_type", "requested_model", "provider_used", "model_used", text), text
    )
    facts = dict.fromkeys(("request_type", "provider", "model_requested", "raw_request", "echo", text), text)
    yield {"extra_fields": {**facts, "cache_debug": {"cache_hit": False, **debug}}, text: text, "first_id": 1}
    yield {"extra_fields": {"cache_debug": text, "raw_response": {"data": [{"prompt": text}]}}}
    yield {"extra_fields": [text], "object": text}
    yield {"extra_fields": text}


def leaks(shown: str, prompt: str) -> list[str]:
    found = shown.casefold()
    raw = base64.b64encode(prompt.encode()).decode().rstrip("=").casefold()
    return [core for core in (CORE, raw) if core in found]


def stored(rig: Rig) -> str:
    with rig.app.engine.connect() as conn:
        rows = [row for table in metadata.tables.values() for row in conn.execute(sa.select(table))]
    return "\n".join(
        value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for r in rows
        for value in r
    )


class _Address:
    def __init__(self, base_url: str) -> None:
        self.base_url, self.requests = base_url, []
        self.world = type("World", (), {"provider": "openai", "now": staticmethod(lambda: 1_767_100_000.0)})


def listed(prompt: str) -> list[Any]:
    members = [{"prompt": prompt}]
    members += [{"prompt": prompt, **place} for text in spellings(prompt) for place in places(text)]
    if prompt == SENTENCE:  # a sentence is known without being told that it is a prompt
        members += [{"prompt": None, **place} for place in places(prompt) if "error" not in place]
    return [*(job(n, **more) for n, more in enumerate(members)), job(9999)]


def unusable(prompt: str) -> list[Any]:
    return [{"prompt": prompt}, {"id": {prompt: prompt}}, {"id": "x" * 600, "note": prompt}, prompt, [prompt]]


@pytest.mark.parametrize("prompts", ["drop", "hash"])
@pytest.mark.parametrize("prompt", [SENTENCE, WORD])
def test_a_prompt_is_in_no_table(database_url: str, prompts: str, prompt: str) -> None:
    jobs, more = listed(prompt), list(envelopes(prompt))

    def reply(ask: Ask) -> bytes:
        items, goes_on = ask.listed(jobs)
        sent = {"data": [*unusable(prompt), *items], **more[ask.number % len(more)]}
        return answer(page((items, goes_on), **sent))

    with RawGateway(reply) as gateway:
        rig = Rig(_Address(gateway.base_url), database_url, prompts=prompts, raw_payloads="store")  # type: ignore[arg-type]
        with rig.app:
            rig.ok()
            everything = stored(rig)
            assert not [line[:300] for line in everything.split("\n") if leaks(line, prompt)]
            last = rig.jobs()["video_09999:openai"]
            assert (last["model"], last["status"], last["size"]) == ("sora-2", "completed", "1280x720")
            shown = {row["prompt"] for row in rig.jobs().values()} - {None}
            assert all(text.startswith("sha256:") for text in shown)
            assert (last["prompt"] is None) == (not shown) == (prompts == "drop")


def test_an_error_of_the_gateway_quotes_no_prompt(tmp_path: Any) -> None:
    said = [*spellings(SENTENCE)[8:10], json.dumps({"data": [{"prompt": SENTENCE}]})[:-4]]
    now: list[str] = []

    def reply(ask: Ask) -> bytes:
        text = now[-1]  # however often it is asked, and by whatever address
        body = text.encode() if text.startswith("{") else json.dumps({"error": {"message": text}}).encode()
        return answer(body, "Content-Type: application/json", status="403 Forbidden")

    with RawGateway(reply) as gateway:
        url = f"sqlite:///{tmp_path / 'e.db'}"
        rig = Rig(_Address(gateway.base_url), url, prompts="drop")  # type: ignore[arg-type]
        with rig.app:
            for text in said:
                now.append(text)
                result = rig.sync()
                assert result.status == "failed" and "HTTP 403" in str(result.error)
                assert not leaks(str(result.error) + stored(rig), SENTENCE)


SPOTS = st.sampled_from([*places("@"), {"a": {"b": ["@"]}}, {"c": {"@": {"prompt": "@"}}}])


@given(
    st.lists(SPOTS, min_size=1, max_size=4),
    st.sampled_from([SENTENCE, WORD]),
    st.sampled_from(["hash", "drop"]),
)
@settings(deadline=None, max_examples=200)
def test_a_prompt_is_in_no_row(spots: list[dict[str, Any]], prompt: str, prompts: Any) -> None:
    for text in spellings(prompt):
        members = json.dumps({k: v for spot in spots for k, v in spot.items()})
        members = members.replace('"@"', json.dumps(text))
        raw = json.dumps({"prompt": prompt, "id": "video_1", **json.loads(members)}).encode()
        if b'"prompt": {"text"' in raw:
            continue  # that one is the prompt then
        rows = transform(raw, prompts=prompts)
        assert not leaks(repr((rows.jobs, rows.rejects, rows.facts, rows.cache, rows.unknown)), prompt)


def test_what_is_no_prompt_stays() -> None:
    members = {
        "quality": "high",
        "fps": "24",
        "usage": {"total_tokens": 8},
        "fetched": "2026-05-01T10:00:00Z",
    }
    error = {"code": "moderation_blocked", "message": "The request was blocked by our safety system."}
    raw = json.dumps(
        {"id": "video_1", "prompt": SENTENCE, "model": "sora-2", **members, "error": error}
    ).encode()
    (row,) = transform(raw, prompts="drop").jobs
    assert json.loads(row.extra or "") == members
    assert (row.error_code, row.error_message) == (error["code"], error["message"])
