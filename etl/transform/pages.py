"""A page of undecoded items to rows: every item becomes a job, a duplicate or a reject."""

from __future__ import annotations

from typing import Any

from etl.records import JobRow, PageRows, RawPage, Reject
from etl.transform.envelope import page_facts
from etl.transform.jobs import MAX_ID, Context, job_row
from etl.transform.options import Options
from etl.transform.ordinary import ordinary_row
from etl.transform.prompts import safe_reject
from etl.transform.text import Unusable, clean, decode


def transform_page(page: RawPage, options: Options, *, source_provider: str | None) -> PageRows:
    """The rows of a page. Never raises for anything that the gateway sent.

    jobs + duplicates + rejects = items. A repeated job keeps its first place and its last content.
    `source_provider` names the provider where neither job nor page does.
    """
    context = Context(options)
    facts, cache = page_facts(page, context)
    context.provider = facts.provider or source_provider
    jobs: dict[str, JobRow] = {}
    rejects: list[Reject] = []
    as_sent = options.prompts == "store"
    for position, raw in enumerate(page.items):
        try:
            row = (ordinary_row(raw, context) if as_sent else None) or job_row(decode(raw), context)
        except Unusable as exc:
            rejects.append(_reject(exc, raw, position, options))
        else:
            jobs[row.job_id] = row
    return PageRows(
        page=page,
        jobs=tuple(jobs.values()),
        rejects=tuple(rejects),
        unknown=context.drift,
        cache=cache,
        facts=facts,
        duplicates=len(page.items) - len(jobs) - len(rejects),
    )


def _reject(exc: Unusable, raw: bytes, position: int, options: Options) -> Reject:
    return safe_reject(Reject(str(exc), raw, position, _readable_id(exc.value)), exc.value, options)


def _readable_id(value: Any) -> str | None:
    found = value.get("id") if isinstance(value, dict) else None
    return clean(found) if isinstance(found, str) and 0 < len(found) <= MAX_ID else None
