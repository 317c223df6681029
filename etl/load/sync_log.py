"""What surrounds the jobs: page log, cache lookups, rejects, schema drift."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from etl.load import bulk
from etl.records import PageRows, Reject, Unknown
from etl.schema.tables import cache_lookups, list_pages, rejected_items, unknown_fields


def log_pages(
    conn: sa.Connection,
    source_id: int,
    run_id: int,
    pages: Sequence[PageRows],
    distrusted: Sequence[PageRows] = (),
) -> None:
    """One row per page, and one per cache lookup."""
    marked = [(page, True) for page in pages] + [(page, False) for page in distrusted]
    plain = [_page_row(source_id, run_id, page, ok) for page, ok in marked if page.cache is None]
    if plain:
        bulk.insert(conn, list_pages, tuple(plain[0]), _as_stored(conn, plain))
    for page, ok in marked:
        if page.cache is not None:
            _log_lookup(conn, source_id, run_id, page, ok)


def _as_stored(conn: sa.Connection, pages: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    """Page by page through SQLAlchemy's types would take a tenth of a re-read's time."""
    time = bulk.instant(conn.dialect.name)
    for page in pages:
        page["received_at"] = time(page["received_at"])
    return [tuple(page.values()) for page in pages]


def _page_row(source_id: int, run_id: int, rows: PageRows, accepted: bool) -> dict[str, Any]:
    page, facts = rows.page, rows.facts
    return {
        "source_id": source_id,
        "run_id": run_id,
        "cursor": bulk.storable(page.request.after),
        "order": page.request.order,
        "limit": page.request.limit,
        "first_id": bulk.storable(page.first_id),
        "last_id": bulk.storable(page.last_id),
        "has_more": page.has_more,
        "items": len(page.items),
        "http_status": page.http_status,
        "attempts": page.attempts,
        "duration_ms": round(page.duration * 1000, 3),
        "bytes": page.size,
        "received_at": page.received_at,
        "accepted": accepted,
        "request_type": facts.request_type,
        "provider": facts.provider,
        "model_requested": facts.model_requested,
        "model_deployment": facts.model_deployment,
        "latency_ms": facts.latency_ms,
        "chunk_index": facts.chunk_index,
        "raw_request": facts.raw_request,
        "raw_response": facts.raw_response,
        "extra": facts.extra,
    }


def _log_lookup(conn: sa.Connection, source_id: int, run_id: int, rows: PageRows, accepted: bool) -> None:
    assert rows.cache is not None
    page_id = bulk.insert_one(conn, list_pages, _page_row(source_id, run_id, rows, accepted))
    lookup = {name: getattr(rows.cache, name) for name in rows.cache.__slots__}
    conn.execute(
        sa.insert(cache_lookups).values(
            source_id=source_id,
            run_id=run_id,
            page_id=page_id,
            looked_up_at=rows.page.received_at,
            **lookup,
        )
    )


def log_rejects(
    conn: sa.Connection, source_id: int, run_id: int, rejects: Iterable[tuple[Reject, str | None, datetime]]
) -> None:
    """(reject, cursor of its page, when). The same bytes again count up instead of piling up."""
    table = rejected_items
    for reject, cursor, at in rejects:
        digest = _digest(reject)
        again = conn.execute(
            sa.update(table)
            .where(table.c.source_id == source_id, table.c.payload_hash == digest)
            .values(times_seen=table.c.times_seen + 1, last_seen_at=at)
        )
        if again.rowcount == 0:
            conn.execute(sa.insert(table), _reject_row(source_id, run_id, reject, digest, cursor, at))


def _reject_row(
    source_id: int, run_id: int, reject: Reject, digest: str, cursor: str | None, at: datetime
) -> dict[str, Any]:
    return {
        "source_id": source_id,
        "run_id": run_id,
        "rejected_at": at,
        "last_seen_at": at,
        "reason": bulk.storable(reject.reason),
        "payload": reject.payload,
        "payload_hash": digest,
        "position": reject.position,
        "cursor": bulk.storable(cursor),
        "job_id": reject.job_id,
        "after_id": bulk.storable(reject.after_id),
        "before_id": bulk.storable(reject.before_id),
    }


def _digest(reject: Reject) -> str:
    body = reject.payload
    if body is None:
        body = f"{reject.reason}\x00{reject.after_id}\x00{reject.before_id}".encode()
    return hashlib.blake2b(body, digest_size=16).hexdigest()


def log_drift(conn: sa.Connection, source_id: int, pages: Sequence[PageRows]) -> None:
    """Add up the fields nobody told us about."""
    total: Counter[Unknown] = Counter()
    for page in pages:
        total.update(page.unknown)
    if not total:
        return
    first = min(page.page.received_at for page in pages)
    last = max(page.page.received_at for page in pages)
    for unknown, count in sorted(total.items()):
        _count_drift(conn, source_id, unknown, count, first, last)


def _count_drift(
    conn: sa.Connection, source_id: int, unknown: Unknown, count: int, first: datetime, last: datetime
) -> None:
    table = unknown_fields
    key = {"source_id": source_id, "path": bulk.storable(unknown.path), "type": unknown.type}
    where = [table.c[name] == value for name, value in key.items()]
    again = conn.execute(
        sa.update(table).where(*where).values(count=table.c.count + count, last_seen_at=last)
    )
    if again.rowcount == 0:
        conn.execute(sa.insert(table).values(**key, count=count, first_seen_at=first, last_seen_at=last))
