"""What a world's tables hold, and what was sent, in the same words.

A job's state is a tuple, `FIELDS`, made here by hand from the item as sent, and from the row as SQLite
gives it.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from datetime import UTC, datetime
from functools import cached_property, lru_cache
from typing import Any

FIELDS = "status, prompt, size, seconds, created_at, completed_at, expires_at, error_code, error_message"
_FIELDS = len(FIELDS.split(", "))
State = tuple[Any, ...]
Row = sqlite3.Row


def state_of(item: dict[str, Any]) -> State:
    """A job as sent, in the words of the table."""
    error = item.get("error") or {}
    status = item.get("status")
    if status is None:
        status = "completed" if item.get("completed_at") or item.get("progress") == 100 else None
        status = (
            "failed" if error.get("code") else status or ("in_progress" if item.get("progress") else "queued")
        )
    times = tuple(moment(item.get(name)) for name in ("created_at", "completed_at", "expires_at"))
    words = (error.get("code") or None, error.get("message") or None)
    return (status, item.get("prompt"), item.get("size"), float(item.get("seconds", 0)), *times, *words)


@lru_cache(maxsize=4096)
def moment(seconds: Any) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if seconds else None


class Stored:
    """One look at the tables."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn
        rows = conn.execute(
            f"SELECT {FIELDS}, job_id, version, unlisted_at, unlisted_reason FROM video_jobs"
            " ORDER BY list_position"
        )
        self.jobs: dict[str, Row] = {row["job_id"]: row for row in rows}

    @cached_property
    def rejects(self) -> list[Row]:
        return self.conn.execute("SELECT payload, after_id, before_id FROM rejected_items").fetchall()

    @cached_property
    def gaps(self) -> list[Row]:
        return self.conn.execute("SELECT gap_from, gap_until FROM coverage_gaps").fetchall()

    @cached_property
    def payloads(self) -> set[bytes]:
        return {bytes(row["payload"]) for row in self.rejects if row["payload"] is not None}

    def state(self, row: Row) -> State:
        return tuple(row)[:_FIELDS]

    def versions(self) -> dict[str, list[Row]]:
        found = defaultdict(list)
        for row in self.conn.execute(
            f"SELECT {FIELDS}, job_id, version, op, change_seq, valid_from FROM video_job_versions"
            " ORDER BY job_id, version"
        ):
            found[row["job_id"]].append(row)
        return found

    def one(self, query: str) -> Any:
        return self.conn.execute(query).fetchone()[0]
