"""A page of undecoded items to rows: every item becomes a job, a duplicate or a reject."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

from etl.log import EchoMask
from etl.records import JobRow, PageRows, RawPage, Reject
from etl.transform.envelope import page_facts
from etl.transform.fast_path import ordinary_rows
from etl.transform.jobs import Context, job_id, job_row
from etl.transform.json_values import MAX_ID, Unusable, clean, decode
from etl.transform.options import Options
from etl.transform.privacy import Scrubber, find_prompts, safe_reject, scrub_job

#: Keys, cursors and what decides about a job: they stay as sent, whatever they hold.
_NEVER_MASKED = frozenset(
    {"id", "object", "provider", "model", "status", "remixed_from_video_id", "size", "progress", "seconds"}
    | {"created_at", "completed_at", "expires_at"}
)


def transform_page(page: RawPage, options: Options, *, source_provider: str | None) -> PageRows:
    """The rows of a page. Never raises for anything that the gateway sent.

    jobs + duplicates + rejects = items. A repeated job keeps its first place and its last content.
    `source_provider` names the provider where neither job nor page does.
    """
    context = Context(options, mask=options.mask if _echoes(page, options.mask) else None)
    if options.prompts != "store":
        context.scrubber = Scrubber(_prompts(page), options)
    facts, cache = page_facts(page, context)
    context.provider = facts.provider or source_provider
    rows, rejects = _rows(page.items, context)
    jobs = {row.job_id: row for row in rows}
    return PageRows(
        page=page,
        jobs=tuple(jobs.values()),
        rejects=tuple(rejects),
        unknown=context.drift,
        cache=cache,
        facts=facts,
        duplicates=len(page.items) - len(jobs) - len(rejects),
    )


def _rows(items: Sequence[bytes], context: Context, start: int = 0) -> tuple[list[JobRow], list[Reject]]:
    """The rows of all at once; around an item that is out of the ordinary, of ever smaller parts."""
    plain = context.options.prompts == "store" and context.mask is None
    ordinary = ordinary_rows(items, context) if plain else None
    if ordinary is not None:
        return ordinary, []
    if len(items) <= 1:
        return _alone(items, context, start)
    half = len(items) // 2
    rows, rejects = _rows(items[:half], context, start)
    more_rows, more_rejects = _rows(items[half:], context, start + half)
    return rows + more_rows, rejects + more_rejects


def _alone(items: Sequence[bytes], context: Context, position: int) -> tuple[list[JobRow], list[Reject]]:
    if not items:
        return [], []
    raw = items[0] if context.mask is None else context.mask.payload(items[0])
    try:
        job = _hidden(decode(items[0]), context)
    except Unusable as exc:
        return [], [_reject(exc, raw, position, context.options, exc.value)]
    try:
        job_id(job)  # of the job as sent: what takes a prompt's place is no key
        return [job_row(scrub_job(job, context.options), context)], []
    except Unusable as exc:
        return [], [_reject(exc, raw, position, context.options, job)]


def _prompts(page: RawPage) -> Iterator[str]:
    """Every prompt on the page, for what the page says about itself."""
    for raw in (*page.items, page.extra_fields or b"null"):
        with suppress(Unusable, RecursionError):
            yield from find_prompts(decode(raw))


def _echoes(page: RawPage, mask: EchoMask) -> bool:
    """Whether the gateway sent a credential of ours back, as some do with headers; nearly never."""
    names = " ".join(page.unknown).encode("utf-8", "replace")
    return mask.is_echoed(b" ".join((*page.items, page.extra_fields or b"", names)))


def _hidden(job: Any, context: Context) -> Any:
    """The job without credentials, but for the members that the mirror works with."""
    if context.mask is None or type(job) is not dict:
        return job
    kept = {name: value for name, value in job.items() if name in _NEVER_MASKED}
    return context.mask.value(job) | kept


def _reject(exc: Unusable, raw: bytes, position: int, options: Options, value: Any) -> Reject:
    return safe_reject(Reject(str(exc), raw, position, _readable_id(value)), value, options)


def _readable_id(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else None
    return clean(found) if isinstance(found, str) and 0 < len(found) <= MAX_ID else None
