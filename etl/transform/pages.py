"""A page of undecoded items to rows: every item becomes a job, a duplicate or a reject."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from etl.log import EchoMask
from etl.records import JobRow, PageRows, RawPage, Reject
from etl.transform.envelope import page_facts
from etl.transform.fast_path import AT_ONCE, ordinary_rows
from etl.transform.jobs import PageContext, job_id, job_row
from etl.transform.json_values import MAX_ID, Unusable, clean_text, decode_json, without_videos
from etl.transform.privacy import Options, Scrubber, find_prompts, safe_reject, scrub_job

#: Bytes of a reject that are kept: enough to see what came.
MAX_PAYLOAD = 256 << 10
#: Keys, cursors and what decides about a job: they stay as sent, whatever they hold.
_NEVER_MASKED = frozenset(
    {"id", "object", "provider", "model", "status", "remixed_from_video_id", "size", "progress", "seconds"}
    | {"created_at", "completed_at", "expires_at"}
)


def transform_page(page: RawPage, options: Options, *, source_provider: str | None) -> PageRows:
    """The rows of a page. Never raises for anything that the gateway sent.

    jobs + duplicates + rejects = items. A repeated job keeps its first place and its last content.
    The job that the page was asked behind, shown again, is a duplicate of the page before. `source_provider`
    names the provider where neither job nor page does.
    """
    context = PageContext(options, mask=options.mask if _echoes_secrets(page, options.mask) else None)
    if options.prompts != "store":
        context.scrubber = Scrubber(_page_prompts(page), options)
    facts, cache = page_facts(page, context)
    context.provider = facts.provider or source_provider
    rows, rejects = _make_rows(page.items, context)
    jobs = {row.job_id: row for row in rows}
    if page.again and page.request.after is not None:
        jobs.pop(page.request.after, None)
    return PageRows(
        page=page,
        jobs=tuple(jobs.values()),
        rejects=tuple(rejects),
        unknown=context.drift,
        cache=cache,
        facts=facts,
        duplicates=len(page.items) - len(jobs) - len(rejects),
    )


def _make_rows(items: Sequence[bytes], context: PageContext) -> tuple[list[JobRow], list[Reject]]:
    """The rows of all at once, and of each that is out of the ordinary by itself."""
    plain = context.options.prompts == "store" and context.mask is None
    ordinary = ordinary_rows(items, context) if plain else [None] * len(items)
    rows: list[JobRow] = []
    rejects: list[Reject] = []
    for position, (item, row) in enumerate(zip(items, ordinary, strict=True)):
        if row is None:
            _take_alone(item, position, context, rows, rejects)
        else:
            rows.append(row)
    return rows, rejects


def _take_alone(
    item: bytes, position: int, context: PageContext, rows: list[JobRow], rejects: list[Reject]
) -> None:
    """The long way for one item: a row, or a reject."""
    raw = item if context.mask is None else context.mask.payload(item)
    job = None
    try:
        job = _hide_secrets(decode_json(without_videos(item)), context)
        job_id(job)  # of the job as sent: what takes a prompt's place is no key
        rows.append(job_row(scrub_job(job, context.options), context))
    except Unusable as exc:
        rejects.append(_make_reject(exc, raw, position, context.options, exc.value if job is None else job))


def _page_prompts(page: RawPage) -> Iterator[str]:
    """Every prompt on the page, for what the page says about itself."""
    for raw in (*page.items, page.extra_fields or b"null"):
        with suppress(Unusable, RecursionError):
            yield from find_prompts(decode_json(raw))


def _echoes_secrets(page: RawPage, mask: EchoMask) -> bool:
    """Whether the gateway sent a credential of ours back, as some do with headers; nearly never."""
    names = " ".join((*page.unknown, page.account or "")).encode("utf-8", "replace")
    # One look at all is a tenth of what a page takes less; of a large page it would be a copy of megabytes.
    items = (b"\n".join(page.items),) if page.size <= AT_ONCE else page.items
    return any(map(mask.is_echoed, (*items, page.extra_fields or b"", names)))


def _hide_secrets(job: Any, context: PageContext) -> Any:
    """The job without credentials, but for the members that the mirror works with."""
    if context.mask is None or type(job) is not dict:
        return job
    kept = {name: value for name, value in job.items() if name in _NEVER_MASKED}
    return context.mask.value(job) | kept


def _make_reject(exc: Unusable, raw: bytes, position: int, options: Options, value: Any) -> Reject:
    reject = safe_reject(Reject(str(exc), raw, position, _readable_id(value)), value, options)
    if reject.payload is None or len(reject.payload) <= MAX_PAYLOAD:
        return reject
    digest = hashlib.sha256(reject.payload).hexdigest()
    reason = f"{reject.reason} ({len(reject.payload):,} bytes, cut to {MAX_PAYLOAD:,}, sha256 {digest})"
    return replace(reject, reason=reason, payload=reject.payload[:MAX_PAYLOAD])


def _readable_id(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else None
    return clean_text(found) if isinstance(found, str) and 0 < len(found) <= MAX_ID else None
