"""Random answers through the decoder and the transformer: nothing crashes, every item is accounted for.

    python -m harness.fuzz --inputs 1000000
    python -m harness.fuzz --seed 4711          one input again
    python -m harness.fuzz --what configuration --seconds 600
    python -m harness.fuzz --what sql           statements past the gate that lets questions through only

Input n is made from seed n alone: a page of jobs drawn from every shape known to be strange, cut, spliced or
with bytes changed. It is decoded and transformed as the product does it, with prompts stored, hashed and
dropped. The verdict knows nothing of the product's rules: no exception but the named one, as many jobs,
duplicates and rejects as items, all texts of a kind that a database takes, the same result each time, and no
prompt where it is not to be stored (in pages as they were made: a changed byte turns a prompt into another
member).
"""

from __future__ import annotations

import argparse
import json
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias

from etl.extract.decode import Envelope, Garbled, decode_object, decode_page
from etl.records import PageRequest, PageRows, RawPage
from etl.transform import Options, transform_page
from harness import fuzz_questions, fuzz_settings, report

CANARY = "the quick brown canary sings"
_AT = datetime(2026, 1, 1, tzinfo=UTC)
_NAMES = (
    "id", "object", "provider", "model", "status", "progress", "prompt", "remixed_from_video_id", "seconds",
    "size", "created_at", "completed_at", "expires_at", "error", "videos", "extra_fields", "quality", "",
    "id\0",
)  # fmt: skip
_TEXTS = (
    "", " ", "video", "sora-2", "openai", "completed", "failed", "Queued", "1280x720", "8s", "1e400", "-0",
    "2024-05-01T10:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59+14:00", "\0", "\ud800",
    "\udfff\ud83d",
    "é🎬", "x" * 600, "9" * 5000, "v1:openai", "v2", "\\", '"', "\u2028", "'; DROP TABLE video_jobs; --",
)  # fmt: skip
_NUMBERS = (
    0, 1, -1, 0.5, 100, 101, 1_700_000_000, 1_700_000_000_123, 10**17, 10**20, 2**31, 2**63, 2**64, 10**99,
    10**101, 1e308, 5e-324, -0.0, float("nan"), float("inf"), float("-inf"), True, False, None,
)  # fmt: skip
_FRAGMENTS = (
    b"{", b"}", b"[", b"]", b",", b":", b'"', b"\\", b"\\u0000", b"\\ud800", b"\xff", b"\xed\xa0\x80", b"\0",
    b"NaN", b"-Infinity", b"1e999", b"null", b'"data":[', b"[" * 70, b'{"a":' * 70, b"9" * 400,
    b"\xef\xbb\xbf",
    b'"id":"v9",', b'"prompt":', b"\n", b"//", b"1.", b"-",
)  # fmt: skip


@dataclass
class Found:
    """What the inputs came to; `failures` are seeds with what was wrong."""

    outcomes: Counter[str] = field(default_factory=Counter)
    inputs: int = 0
    items: int = 0
    failures: list[tuple[int, str]] = field(default_factory=list)


def make_body(chance: random.Random) -> tuple[bytes, bool]:
    """A page, and whether it is as it was made."""
    page: Any = {"object": "list", "data": [_draw_item(chance) for _ in range(chance.randrange(5))]}
    for name in ("first_id", "last_id", "has_more", "extra_fields", "surprise"):
        if chance.random() < 0.4:
            page[name] = _draw_value(chance, 3)
    if chance.random() < 0.3:
        page["extra_fields"] = {"cache_debug": _draw_value(chance, 3), "raw_response": _draw_value(chance, 2)}
    plain = chance.random() < 0.5
    text = json.dumps(page, ensure_ascii=plain).encode("utf-8", "surrogatepass")
    return (text, True) if chance.random() < 0.4 else (_spoil(text, chance), False)


def _draw_item(chance: random.Random) -> Any:
    if chance.random() < 0.05:
        return _draw_value(chance, 3)
    job: dict[str, Any] = {"id": f"v{chance.randrange(4)}", "prompt": CANARY, "created_at": 1_700_000_000}
    for _ in range(chance.randrange(8)):
        job[chance.choice(_NAMES)] = _draw_value(chance, 3)
    if chance.random() < 0.2 and job["prompt"] == CANARY:
        job["error"] = {"code": _draw_value(chance, 1), "message": f"refused: {CANARY}"}
    return job


def _draw_value(chance: random.Random, depth: int) -> Any:
    kind = chance.random()
    if kind < 0.4 or depth == 0:
        return chance.choice(_NUMBERS)
    if kind < 0.7:
        return chance.choice(_TEXTS)
    if kind < 0.85:
        return [_draw_value(chance, depth - 1) for _ in range(chance.randrange(4))]
    return {chance.choice(_TEXTS): _draw_value(chance, depth - 1) for _ in range(chance.randrange(4))}


def _spoil(text: bytes, chance: random.Random) -> bytes:
    """A few bytes cut out, put in twice, replaced by a fragment, or changed."""
    for _ in range(chance.randrange(1, 4)):
        at = chance.randrange(len(text) + 1)
        end = min(len(text), at + chance.randrange(12))
        middle = chance.choice((b"", text[at:end] * 2, chance.choice(_FRAGMENTS), chance.randbytes(2)))
        text = text[:at] + middle + text[end:]
    return text


def try_answer(seed: int) -> tuple[str, int]:
    return try_body(*make_body(random.Random(seed)))


#: Tries the input of a seed: how it ended, and what it held. Raises whatever is wrong.
Trial: TypeAlias = Callable[[int], tuple[str, int]]
OPENERS: dict[str, Callable[[Path], Trial]] = {
    "answers": lambda folder: try_answer,
    "configuration": fuzz_settings.open_trial,
    "sql": fuzz_questions.open_trial,
}
_MAKERS: dict[str, Callable[[random.Random], object]] = {
    "answers": make_body,
    "configuration": fuzz_settings.make_text,
    "sql": fuzz_questions.make_statement,
}


def try_body(body: bytes, intact: bool) -> tuple[str, int]:
    """How decoding it ended, and its number of items. Raises whatever is wrong."""
    with suppress(Garbled):
        decode_object(body)
    try:
        page = decode_page(body)
    except Garbled as error:
        return f"refused: {re.split(':| at ', str(error))[0]}", 0
    for prompts in ("store", "hash", "drop"):
        raw, options = _make_page(page, len(body)), Options(prompts)
        rows = transform_page(raw, options, source_provider=None)
        judge_rows(rows, hides_prompts=prompts != "store" and intact)
        assert rows == transform_page(raw, options, source_provider=None), "another result the second time"
    return "read", len(page.items)


def _make_page(page: Envelope, size: int) -> RawPage:
    named = ("object", "first_id", "last_id", "has_more")
    return RawPage(
        request=PageRequest(limit=100),
        items=tuple(page.items),
        first_id=None,
        last_id=None,
        has_more=None,
        extra_fields=page.extra_fields,
        received_at=_AT,
        size=size,
        unknown={name: value for name, value in page.fields.items() if name not in named},
    )


def judge_rows(rows: PageRows, *, hides_prompts: bool) -> None:
    """Raises AssertionError."""
    accounted = len(rows.jobs) + rows.duplicates + len(rows.rejects)
    assert accounted == len(rows.page.items), f"{accounted} of {len(rows.page.items)} items accounted for"
    assert len({job.job_id for job in rows.jobs}) == len(rows.jobs), "a job twice"
    for job in rows.jobs:
        for value in job:
            if isinstance(value, str):
                value.encode()  # raises for half a surrogate pair
                assert "\0" not in value, "a NUL in a text"
            if isinstance(value, datetime):
                assert value.tzinfo is UTC, "an instant without its zone"
        if job.extra is not None:
            json.loads(job.extra, parse_constant=_refuse_constant)
    if hides_prompts:
        assert CANARY not in repr((rows.jobs, rows.facts, rows.cache, rows.unknown)), "a prompt is stored"


def _refuse_constant(name: str) -> Any:
    raise AssertionError(f"{name} in stored JSON")


def try_inputs(seeds: range, trial: Trial = try_answer, seconds: float = float("inf")) -> Found:
    found, deadline = Found(), time.monotonic() + seconds
    for seed in seeds:
        if time.monotonic() > deadline:
            break
        found.inputs += 1
        try:
            outcome, items = trial(seed)
        except Exception as error:  # noqa: BLE001 - whatever it raises is what is looked for
            found.failures.append((seed, f"{type(error).__name__}: {str(error)[:200]}"))
            continue
        found.outcomes[outcome] += 1
        found.items += items
    return found


def main() -> int:
    given = _parser().parse_args()
    with report.folder(None, "fuzz", fast=True) as folder:
        trial = OPENERS[given.what](folder)
        if given.seed is not None:
            print(_MAKERS[given.what](random.Random(given.seed)))
            print(trial(given.seed))
            return 0
        began = time.process_time()
        found = try_inputs(range(given.first, given.first + given.inputs), trial, given.seconds)
    took = time.process_time() - began
    print(f"{found.inputs:,} inputs, {found.items:,} items, {took:.0f} s of processor")
    print(f"{found.inputs / max(took, 0.001):,.0f} inputs for each second of it")
    for outcome, count in found.outcomes.most_common(12):
        print(f"{count:10,}  {outcome}")
    for seed, why in found.failures[:20]:
        print(f"seed {seed}: {why}")
    print(f"{len(found.failures):,} failures")
    return 1 if found.failures else 0


def _parser() -> argparse.ArgumentParser:
    cli = argparse.ArgumentParser(prog="python -m harness.fuzz", description=__doc__)
    cli.formatter_class = argparse.RawDescriptionHelpFormatter
    cli.add_argument("--what", choices=OPENERS, default="answers")
    cli.add_argument("--inputs", type=int, default=100_000)
    cli.add_argument("--seconds", type=float, default=float("inf"), help="stop after so long")
    cli.add_argument("--first", type=int, default=0, help="the first seed")
    cli.add_argument("--seed", type=int, help="one input: prints it, and what it raises")
    return cli


if __name__ == "__main__":
    sys.exit(main())
