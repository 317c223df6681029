"""What a careful engineer writes in an afternoon: one multi-row upsert per page, no history.

python -m benchmarks.handwritten BASE_URL TOKEN DATABASE_URL       (sqlite:///FILE or postgresql://…)
"""

from __future__ import annotations

import json
import sqlite3
import sys
from datetime import UTC, datetime
from typing import Any

from benchmarks.yardstick import pages

COLUMNS = {
    "id": "text PRIMARY KEY",
    "model": "text",
    "status": "text",
    "progress": "real",
    "prompt": "text",
    "seconds": "real",
    "size": "text",
    "remixed_from": "text",
    "created_at": "timestamp",
    "completed_at": "timestamp",
    "expires_at": "timestamp",
    "error_code": "text",
    "error_message": "text",
    "raw": "text",
}
TABLE = f"CREATE TABLE IF NOT EXISTS jobs ({', '.join(f'{n} {kind}' for n, kind in COLUMNS.items())})"


def row(job: dict[str, Any]) -> tuple[Any, ...]:
    error = job.get("error") or {}
    return (
        job["id"],
        job.get("model"),
        job.get("status"),
        job.get("progress"),
        job.get("prompt"),
        float(job["seconds"]) if job.get("seconds") else None,
        job.get("size"),
        job.get("remixed_from_video_id"),
        moment(job.get("created_at")),
        moment(job.get("completed_at")),
        moment(job.get("expires_at")),
        error.get("code"),
        error.get("message"),
        json.dumps(job),
    )


def moment(seconds: int | None) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).isoformat() if seconds else None


def upsert(rows: int, mark: str) -> str:
    names = list(COLUMNS)
    values = ", ".join([f"({', '.join([mark] * len(names))})"] * rows)
    sets = ", ".join(f"{name} = excluded.{name}" for name in names[1:])
    return f"INSERT INTO jobs ({', '.join(names)}) VALUES {values} ON CONFLICT (id) DO UPDATE SET {sets}"


def connect(url: str) -> tuple[Any, str]:
    if url.startswith("sqlite:///"):
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("PRAGMA synchronous = normal")
        return connection, "?"
    import psycopg

    return psycopg.connect(url), "%s"


def main(base_url: str, token: str, url: str) -> int:
    connection, mark = connect(url)
    connection.execute(TABLE)
    count = 0
    for page in pages(base_url, token):
        jobs = page["data"]
        connection.execute(upsert(len(jobs), mark), [value for job in jobs for value in row(job)])
        connection.commit()
        count += len(jobs)
    connection.close()
    return count


if __name__ == "__main__":
    print(main(*sys.argv[1:4]))
