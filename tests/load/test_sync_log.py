"""What surrounds the jobs, many at once: lookups stand at their pages, repeats count up, bytes stay bytes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.load import sync_log
from etl.load.state import register_source
from etl.records import CacheLookup, PageFacts, PageRequest, PageRows, RawPage, Reject, Unknown
from etl.schema.tables import cache_lookups, list_pages, rejected_items, unknown_fields

_NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
_BYTES = {
    "nothing": b"",
    "every byte": bytes(range(256)),
    "text": b'{"a": "\\n\\"%s"}',
    "a quote's end": b"'),('\\x41",
}


@pytest.fixture
def source(engine: sa.Engine) -> int:
    with write_transaction(engine) as conn:
        register_source(conn, "other", "http://x", "openai", None, _NOW)
        return register_source(conn, "main", "http://x", "openai", None, _NOW)


def _page(number: int, cache: CacheLookup | None = None, **more: object) -> PageRows:
    raw = RawPage(
        PageRequest(f"cursor {number}"),
        (),
        None,
        None,
        True,
        None,
        _NOW + timedelta(seconds=number),
        size=number,
    )
    facts = PageFacts(extra='{"a": 1}', raw_response="x" * number)
    return PageRows(raw, (), cache=cache, facts=facts, **more)  # type: ignore[arg-type]


def _lookup(number: int) -> CacheLookup:
    return CacheLookup(
        number % 2 == 0, f"cache {number}", input_tokens=10**11 + number, similarity=number / 7
    )


def test_each_lookup_stands_at_its_page(engine: sa.Engine, source: int) -> None:
    believed = [_page(n, _lookup(n) if n % 3 else None) for n in range(150)]
    distrusted = [_page(n, _lookup(n)) for n in range(150, 160)]
    for run in (1, 2):
        with write_transaction(engine) as conn:
            sync_log.log_pages(conn, source - 1, run, [_page(1000, _lookup(1000))])
            sync_log.log_pages(conn, source, run, believed, distrusted)
    wanted = [
        (
            run,
            f"cursor {n}",
            n < 150,
            n % 2 == 0,
            f"cache {n}",
            10**11 + n,
            n / 7,
            _NOW + timedelta(seconds=n),
        )
        for run in (1, 2)
        for n in range(160)
        if n % 3 or n >= 150
    ]
    p, c = list_pages.c, cache_lookups.c
    facts = (p.run_id, p.cursor, p.accepted, c.cache_hit, c.cache_id, c.input_tokens, c.similarity)
    query = sa.select(*facts, c.looked_up_at).join_from(list_pages, cache_lookups, c.page_id == p.id)
    with engine.connect() as conn:
        found = conn.execute(query.where(p.source_id == source).order_by(p.id)).all()
        pages = conn.execute(sa.select(sa.func.count()).where(p.source_id == source)).scalar()
    assert [tuple(row) for row in found] == wanted
    assert pages == 320


def test_bytes_of_rejects_stay_as_they_are(engine: sa.Engine, source: int) -> None:
    rejects = [(Reject(name, payload, 3, "id"), "cursor", _NOW) for name, payload in _BYTES.items()]
    rejects.append((Reject("poison", None, after_id="a", before_id="b"), None, _NOW))
    with write_transaction(engine) as conn:
        sync_log.log_rejects(conn, source, 7, rejects)
    c = rejected_items.c
    with engine.connect() as conn:
        found = conn.execute(sa.select(c.reason, c.payload, c.after_id, c.times_seen).order_by(c.id)).all()
    assert [tuple(row) for row in found] == [
        *((name, payload, None, 1) for name, payload in _BYTES.items()),
        ("poison", None, "a", 1),
    ]


def test_a_repeated_reject_counts_up_within_a_batch_and_later(engine: sa.Engine, source: int) -> None:
    later = _NOW + timedelta(hours=1)
    same = Reject("no id", b"{}", 1)
    with write_transaction(engine) as conn:
        sync_log.log_rejects(conn, source, 7, [(same, "c1", _NOW), (Reject("no id", b"[]", 2), "c2", _NOW)])
        sync_log.log_rejects(conn, source, 8, [(same, "c3", _NOW), (same, "c4", later)])
        sync_log.log_rejects(conn, source - 1, 9, [(same, "c5", later)])
    c = rejected_items.c
    columns = (c.source_id, c.run_id, c.cursor, c.rejected_at, c.last_seen_at, c.times_seen)
    with engine.connect() as conn:
        found = conn.execute(sa.select(*columns).order_by(c.id)).all()
    assert [tuple(row) for row in found] == [
        (source, 7, "c1", _NOW, later, 3),
        (source, 7, "c2", _NOW, _NOW, 1),
        (source - 1, 9, "c5", later, later, 1),
    ]


def test_new_fields_add_up(engine: sa.Engine, source: int) -> None:
    pages = [
        _page(n, unknown={Unknown("job.a", "string"): 2, Unknown(f"job.{n}", "null"): 1}) for n in range(5)
    ]
    with write_transaction(engine) as conn:
        sync_log.log_drift(conn, source, pages[:3])
        sync_log.log_drift(conn, source, pages[3:])
    c = unknown_fields.c
    query = sa.select(c.path, c.type, c["count"], c.first_seen_at, c.last_seen_at).order_by(c.path)
    with engine.connect() as conn:
        found = [tuple(row) for row in conn.execute(query)]
    seen = [_NOW + timedelta(seconds=n) for n in range(5)]
    assert found == [
        ("job.0", "null", 1, seen[0], seen[2]),
        ("job.1", "null", 1, seen[0], seen[2]),
        ("job.2", "null", 1, seen[0], seen[2]),
        ("job.3", "null", 1, seen[3], seen[4]),
        ("job.4", "null", 1, seen[3], seen[4]),
        ("job.a", "string", 10, seen[0], seen[4]),
    ]
