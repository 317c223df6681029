"""Made-up history, written as the loader writes it: each commit of a source under its lease row's lock."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from etl.db.engine import make_engine, write_transaction
from etl.feed.tables import delivered_columns
from etl.records import TRACKED
from etl.schema.tables import (
    cache_lookups,
    job_details,
    job_requests,
    leases,
    list_pages,
    metadata,
    sources,
    sync_runs,
    video_job_versions,
    video_jobs,
)

START = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)
PROMPTS = (
    "a cat",
    None,
    "",
    'quotes " and \\ and , and \t',
    "two\nlines\r\n",
    "=1+1",
    "日本語 🎬",
    "\\N",
    "NULL",
)

_SYLLABLES = [first + vowel for first in "bdfghklmnprstvwz" for vowel in ("a", "ei", "i", "o", "ou", "u")]


def add_source(engine: sa.Engine, name: str) -> int:
    with write_transaction(engine) as conn:
        row = {"name": name, "base_url": "http://gateway", "provider": "openai", "created_at": START}
        key = conn.execute(sa.insert(sources), row).inserted_primary_key
        assert key is not None
        conn.execute(sa.insert(leases).values(source_id=key[0], token=0))
        return int(key[0])


def lock(conn: sa.Connection, source: int) -> None:
    """What `Lease.write` begins every commit with."""
    conn.execute(sa.select(leases).where(leases.c.source_id == source).with_for_update()).one()


class Writer:
    """Writes one source. `step` is one run: new jobs, changes of old ones, pages, lookups."""

    def __init__(self, engine: sa.Engine, source: int, seed: int = 1) -> None:
        self.engine, self.source, self.rng = engine, source, random.Random(seed)
        self.versions: dict[str, int] = {}
        self.at, self.requests, self.details = START, 0, 0

    def step(self, new: int = 5, changes: int = 3, *, finish: bool = True) -> int:
        self.at += timedelta(minutes=7)
        with write_transaction(self.engine) as conn:
            lock(conn, self.source)
            run = self._begin(conn)
            rows = [self._insert(run) for _ in range(new)]
            ids = self.rng.sample(sorted(self.versions), min(changes, len(self.versions)))
            rows += [self._change(i, run) for i in ids]
            self._write(conn, rows)
            self._page(conn, run)
            self._requests(conn, run)
            self._details(conn, run, ids)
            counts = {"pages": 1, "jobs_inserted": new, "jobs_updated": len(ids)}
            end = {"status": "ok", "finished_at": self.at} if finish else {}
            conn.execute(sa.update(sync_runs).where(sync_runs.c.id == run).values(**counts, **end))
        return run

    def _begin(self, conn: sa.Connection) -> int:
        open_ones = (sync_runs.c.source_id == self.source) & (sync_runs.c.status == "running")
        conn.execute(sa.update(sync_runs).where(open_ones).values(status="interrupted", finished_at=self.at))
        row = {"source_id": self.source, "kind": "incremental", "status": "running", "started_at": self.at}
        key = conn.execute(sa.insert(sync_runs), {**row, "worker": "test"}).inserted_primary_key
        assert key is not None
        return int(key[0])

    def _insert(self, run: int) -> dict[str, Any]:
        job_id = f"video_{self.source}_{len(self.versions):07d}"
        return self._version(job_id, "insert", run)

    def _change(self, job_id: str, run: int) -> dict[str, Any]:
        return self._version(job_id, self.rng.choice(["update", "update", "unlist", "relist"]), run)

    def _version(self, job_id: str, op: str, run: int) -> dict[str, Any]:
        version = self.versions[job_id] = self.versions.get(job_id, 0) + 1
        facts = dict.fromkeys(TRACKED)
        facts |= {
            "status": self.rng.choice(["queued", "completed", "failed"]),
            "model": "sora-2",
            "prompt": self.rng.choice(PROMPTS),
            "seconds": self.rng.choice([4.0, 8.5, None]),
            "width": self.rng.choice([1280, None]),
            "created_at": START + timedelta(seconds=len(self.versions)),
            "completed_at": self.rng.choice([None, self.at]),
            "extra": self.rng.choice([None, '{"a": [1, "\\"x\\""]}']),
        }
        reason = "missing" if op == "unlist" else None
        own = {"source_id": self.source, "job_id": job_id, "version": version, "op": op, "run_id": run}
        return {**own, **facts, "valid_from": self.at, "changed_fields": None, "unlisted_reason": reason}

    def _write(self, conn: sa.Connection, rows: list[dict[str, Any]]) -> None:
        last = {row["job_id"]: row for row in rows}
        fresh = {row["job_id"] for row in rows if row["op"] == "insert"}
        new = [job_id for job_id in last if job_id in fresh]
        if rows:
            conn.execute(sa.insert(video_job_versions), rows)
        if new:
            conn.execute(
                sa.insert(video_jobs), [{**self._state(last[i]), "first_seen_at": self.at} for i in new]
            )
        for job_id, row in last.items():
            if job_id not in fresh:
                where = (video_jobs.c.source_id == self.source, video_jobs.c.job_id == job_id)
                conn.execute(sa.update(video_jobs).where(*where).values(**self._state(row)))

    def _state(self, row: dict[str, Any]) -> dict[str, Any]:
        unlisted = row["valid_from"] if row["op"] == "unlist" else None
        return {
            **{name: row[name] for name in ("source_id", "job_id", "version", *TRACKED)},
            "settled": row["status"] in ("completed", "failed"),
            "content_hash": "x",
            "last_changed_at": row["valid_from"],
            "unlisted_at": unlisted,
            "unlisted_reason": row["unlisted_reason"],
            "list_position": int(row["job_id"].rpartition("_")[2]),
            "first_run_id": row["run_id"],
        }

    def _requests(self, conn: sa.Connection, run: int) -> None:
        """One that is under way, and the one before it told anew: it stands behind all others."""
        c = job_requests.c
        open_ones = (c.source_id == self.source, c.status == "processing")
        before = conn.execute(sa.select(c.request_id, c.first_seen_at).where(*open_ones)).all()
        conn.execute(sa.delete(job_requests).where(*open_ones))
        same = {"source_id": self.source, "request_type": "video_generation", "run_id": run}
        rows = [
            {
                "request_id": i,
                "first_seen_at": at,
                "status": "success",
                "cost": Decimal("0.8"),
                "team_name": "film",
            }
            for i, at in before
        ]
        fresh = {
            "request_id": f"req_{self.source}_{run:06d}",
            "first_seen_at": self.at,
            "status": "processing",
        }
        for row in (*rows, {**fresh, "cost": None, "team_name": None}):
            self.requests += 1
            own = {"requested_at": row["first_seen_at"], "request_seq": self.requests}
            conn.execute(sa.insert(job_requests), {**same, **row, **own})

    def _details(self, conn: sa.Connection, run: int, ids: Sequence[str]) -> None:
        """Jobs that have ended wait for their answer, which comes to those of the run before."""
        c = job_details.c
        mine = (c.source_id == self.source, c.outcome.is_(None))
        for job_id in conn.scalars(sa.select(c.job_id).where(*mine).order_by(c.job_id)).all():
            self.details += 1
            told = {"outcome": "read", "reads_left": 0, "read_at": self.at, "reported_cost": Decimal("0.25")}
            told |= {"outputs": 1, "filter_reasons": self.rng.choice([None, "a face; “x”"])}
            one = sa.update(job_details).where(*mine, c.job_id == job_id)
            conn.execute(one.values(**told, detail_seq=self.details, run_id=run))
        known = set(conn.scalars(sa.select(c.job_id).where(c.source_id == self.source)))
        waiting = {"source_id": self.source, "queued_at": self.at, "reads_left": 3, "run_id": run}
        for job_id in ids:
            if job_id not in known:
                conn.execute(sa.insert(job_details), {**waiting, "job_id": job_id})

    def _page(self, conn: sa.Connection, run: int) -> None:
        page = {"source_id": self.source, "run_id": run, "order": "asc", "limit": 100, "items": 5}
        page |= {"http_status": 200, "attempts": 1, "duration_ms": 1.5, "bytes": 10, "accepted": True}
        key = conn.execute(sa.insert(list_pages), {**page, "received_at": self.at}).inserted_primary_key
        assert key is not None
        lookup = {"source_id": self.source, "run_id": run, "page_id": key[0], "looked_up_at": self.at}
        conn.execute(sa.insert(cache_lookups), {**lookup, "cache_hit": False, "threshold": 0.8})


class Lifelike(Writer):
    """Its jobs have ids and prompts as long and as different as they are outside: files of them are large."""

    def _insert(self, run: int) -> dict[str, Any]:
        number = len(self.versions)
        said = hashlib.sha256(f"{self.source} {number}".encode()).hexdigest()[:48]
        return self._version(f"video_{said}_{number:07d}", "insert", run)

    def _version(self, job_id: str, op: str, run: int) -> dict[str, Any]:
        said = random.Random(job_id)
        words = (f"{said.choice(_SYLLABLES)}{said.choice(_SYLLABLES)}" for _ in range(said.randint(5, 40)))
        return super()._version(job_id, op, run) | {"prompt": " ".join(words)}


def stored(engine: sa.Engine, table: str, columns: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """A table's rows as dictionaries, in the order of their keys."""
    found = metadata.tables[table]
    chosen = [found.c[name] for name in columns] if columns else delivered_columns(found)
    query = sa.select(*chosen).order_by(*found.primary_key.columns)
    if table == "sync_runs":
        query = query.where(found.c.status != "running")
    if table == "job_details":  # a job that waits for its answer is nobody's business
        query = query.where(found.c.outcome.is_not(None))
    with engine.connect() as conn:
        return [dict(row) for row in conn.execute(query).mappings()]


def open_engine(url: str) -> sa.Engine:
    return make_engine(url)
