"""What surrounds the jobs: page log, cache lookups, rejects, schema drift."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from operator import attrgetter
from typing import Any

import sqlalchemy as sa

from etl.load import bulk
from etl.load.drift import bound_fields
from etl.load.erasures import find_erased_jobs, has_erasures, pages_with_erased_jobs
from etl.load.sql_values import as_binary, instant_writer, storable_text
from etl.records import CacheLookup, PageRows, Reject, Unknown
from etl.schema.tables import cache_lookups, list_pages, rejected_items, unknown_fields

_PAGE = (
    "source_id", "run_id", "cursor", "order", "limit", "first_id", "last_id", "has_more", "items",
    "http_status", "attempts", "duration_ms", "bytes", "received_at", "accepted", "request_type", "provider",
    "model_requested", "model_deployment", "latency_ms", "chunk_index", "raw_request", "raw_response",
    "extra", "account",
)  # fmt: skip
_LOOKUP = ("source_id", "run_id", "page_id", "looked_up_at", *CacheLookup.__slots__)
_NEWEST = (
    sa.select(list_pages.c.id)
    .where(list_pages.c.source_id == sa.bindparam("source"))
    .order_by(list_pages.c.id.desc())
    .limit(sa.bindparam("most"))
)
_lookup: Any = attrgetter(*CacheLookup.__slots__)
_REJECTS = bulk.Merge(
    (
        "source_id", "run_id", "rejected_at", "reason", "payload", "payload_hash", "position", "cursor",
        "job_id", "after_id", "before_id", "last_seen_at", "times_seen",
    ),
    key=("source_id", "payload_hash"),
    add=("times_seen",),
    replace=("last_seen_at",),
)  # fmt: skip
_DRIFT = bulk.Merge(
    ("source_id", "path", "type", "first_seen_at", "last_seen_at", "count"),
    key=("source_id", "path", "type"),
    add=("count",),
    replace=("last_seen_at",),
)


def log_pages(
    conn: sa.Connection,
    source_id: int,
    run_id: int,
    pages: Sequence[PageRows],
    distrusted: Sequence[PageRows] = (),
) -> None:
    """One row per page, and one per cache lookup."""
    marked = [(page, True) for page in pages] + [(page, False) for page in distrusted]
    time = instant_writer(conn.dialect.name)
    for place in pages_with_erased_jobs(conn, [page for page, _ in marked]):
        page, ok = marked[place]
        marked[place] = (replace(page, facts=replace(page.facts, raw_request=None, raw_response=None)), ok)
    if len(marked) == 1:  # a tick's: no journey for its number
        row = _page_row(source_id, run_id, *marked[0], marked[0][0].page.received_at)
        ids = [bulk.insert_one(conn, list_pages, dict(zip(_PAGE, row, strict=True)))]
    else:
        rows = [_page_row(source_id, run_id, page, ok, time(page.page.received_at)) for page, ok in marked]
        bulk.insert_rows(conn, list_pages, _PAGE, rows)
        ids = []
    if any(page.cache is not None for page, _ in marked):
        ids = ids or _newest_pages(conn, source_id, len(marked))
        looked_up = [(page, page_id) for (page, _), page_id in zip(marked, ids, strict=True) if page.cache]
        lookups = [
            (source_id, run_id, page_id, time(page.page.received_at), *_lookup(page.cache))
            for page, page_id in looked_up
        ]
        bulk.insert_rows(conn, cache_lookups, _LOOKUP, lookups)


def _newest_pages(conn: sa.Connection, source_id: int, count: int) -> list[int]:
    """Ids of the rows just inserted, in their order: nobody else writes this source's pages meanwhile, and
    every database numbers the rows of a statement one after the other."""
    return list(conn.scalars(_NEWEST, {"source": source_id, "most": count}))[::-1]


def _page_row(source_id: int, run_id: int, rows: PageRows, accepted: bool, at: Any) -> tuple[Any, ...]:
    """A page's row in the order of _PAGE; `at` is `received_at` as this database's rows hold it."""
    page, facts, request = rows.page, rows.facts, rows.page.request
    return (
        source_id, run_id, storable_text(request.after), request.order, request.limit,
        storable_text(page.first_id), storable_text(page.last_id), page.has_more, len(page.items),
        page.http_status, page.attempts, round(page.duration * 1000, 3), page.size, at, accepted,
        facts.request_type, facts.provider, facts.model_requested, facts.model_deployment, facts.latency_ms,
        facts.chunk_index, facts.raw_request, facts.raw_response, facts.extra,
        storable_text(facts.account),
    )  # fmt: skip


def log_rejects(
    conn: sa.Connection, source_id: int, run_id: int, rejects: Iterable[tuple[Reject, str | None, datetime]]
) -> None:
    """(reject, cursor of its page, when). The same bytes again count up instead of piling up."""
    sights: dict[str, list[tuple[Reject, str | None, datetime]]] = {}
    for sight in rejects:
        sights.setdefault(_digest_reject(sight[0]), []).append(sight)
    dialect = conn.dialect.name
    _obey_erasures(conn, sights)
    rows = [_reject_row(dialect, source_id, run_id, digest, found) for digest, found in sights.items()]
    bulk.merge_rows(conn, rejected_items, _REJECTS, rows)


def _obey_erasures(conn: sa.Connection, sights: dict[str, list[tuple[Reject, str | None, datetime]]]) -> None:
    """Items of erased jobs keep their digest and lose their bytes."""
    ids = {found[0][0].job_id for found in sights.values()} - {None}
    if not ids or not has_erasures(conn):
        return
    erased = find_erased_jobs(conn, [job_id for job_id in ids if job_id is not None])
    for digest, found in sights.items():
        if found[0][0].job_id in erased:
            sights[digest] = [(replace(reject, payload=None), cursor, at) for reject, cursor, at in found]


def _reject_row(
    dialect: str, source_id: int, run_id: int, digest: str, sights: list[tuple[Reject, str | None, datetime]]
) -> tuple[Any, ...]:
    """The values of a reject's row in the order of _REJECTS."""
    reject, cursor, first = sights[0]
    time = instant_writer(dialect)
    return (
        source_id, run_id, time(first),
        storable_text(reject.reason), as_binary(dialect, reject.payload), digest, reject.position,
        storable_text(cursor), reject.job_id, storable_text(reject.after_id),
        storable_text(reject.before_id), time(sights[-1][2]), len(sights),
    )  # fmt: skip


def _digest_reject(reject: Reject) -> str:
    body = reject.payload
    if (
        body is None
    ):  # a record that nobody can read is known by its neighbours; its error is worded anew each time
        body = f"{reject.after_id}\x00{reject.before_id}".encode()
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def log_drift(conn: sa.Connection, source_id: int, pages: Sequence[PageRows]) -> None:
    """Add up the fields nobody told us about."""
    total: Counter[Unknown] = Counter()
    for page in pages:
        total.update(page.unknown)
    if not total:
        return
    time = instant_writer(conn.dialect.name)
    moments = [page.page.received_at for page in pages]
    first, last = time(min(moments)), time(max(moments))
    found = Counter[tuple[str | None, str]]()
    for unknown, count in total.items():
        found[storable_text(unknown.path), unknown.type] += count
    named = sorted(bound_fields(conn, source_id, found).items(), key=str)
    rows = [(source_id, path, kind, first, last, count) for (path, kind), count in named]
    bulk.merge_rows(conn, unknown_fields, _DRIFT, rows)
