"""Feed N made-up changes to Parquet, DuckDB, Delta and Iceberg: rows a second, processor
seconds, and the process's peak memory.

    python -m benchmarks.feed 1000000 [KIND …]

Each delivery runs in a process of its own, so that its peak memory is its own. `dlt` is the same table read
by dlt itself (sql_table with pyarrow) into DuckDB.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.db.engine import make_engine, write_transaction
from etl.records import TRACKED
from etl.schema import migrate
from etl.schema.tables import leases, sources, sync_runs, video_job_versions, video_jobs

KINDS = ("filesystem", "duckdb", "delta", "iceberg", "dlt")
_START = datetime(2026, 1, 1, tzinfo=UTC)
_STEP = 20_000
_PROMPT = "A slow pan over a harbour at dawn, gulls, soft light, 35mm, number "


def fill(url: str, changes: int) -> None:
    """Two versions per job: half as many jobs as changes."""
    engine = make_engine(url)
    migrate.upgrade_schema(engine)
    with write_transaction(engine) as conn:
        row = {"id": 1, "name": "main", "base_url": "http://x", "provider": "openai", "created_at": _START}
        conn.execute(sa.insert(sources), row)
        conn.execute(sa.insert(leases).values(source_id=1, token=0))
        run = {
            "source_id": 1,
            "kind": "first",
            "status": "ok",
            "jobs_inserted": changes,
            "started_at": _START,
        }
        conn.execute(sa.insert(sync_runs), {**run, "finished_at": _START})
    for start in range(0, changes // 2, _STEP):
        numbers = range(start, min(start + _STEP, changes // 2))
        with write_transaction(engine) as conn:
            conn.execute(sa.insert(video_jobs), [_job(n) for n in numbers])
            for version in (1, 2):
                conn.execute(sa.insert(video_job_versions), [_version(n, version) for n in numbers])
    engine.dispose()


def _tracked(n: int, status: str) -> dict[str, Any]:
    at = _START + timedelta(seconds=n)
    facts = dict.fromkeys(TRACKED)
    return facts | {
        "provider": "openai",
        "model": "sora-2",
        "status": status,
        "reported_status": status,
        "progress": 100.0,
        "prompt": f"{_PROMPT}{n}",
        "seconds": 8.0,
        "size": "1280x720",
        "width": 1280,
        "height": 720,
        "created_at": at,
        "completed_at": at + timedelta(seconds=90),
        "expires_at": at + timedelta(days=1),
    }


def _id(n: int) -> str:
    return f"video_{n:032x}"


def _job(n: int) -> dict[str, Any]:
    at = _START + timedelta(seconds=n + 100)
    own = {"source_id": 1, "job_id": _id(n), "settled": True, "content_hash": f"{n:032x}", "version": 2}
    times = {"first_seen_at": at, "last_changed_at": at, "list_position": n, "first_run_id": 1}
    return {**own, **times, **_tracked(n, "completed")}


def _version(n: int, version: int) -> dict[str, Any]:
    status, op = (("queued", "insert"), ("completed", "update"))[version - 1]
    fields = None if version == 1 else '["status","progress","completed_at"]'
    own = {"source_id": 1, "job_id": _id(n), "version": version, "op": op, "changed_fields": fields}
    return {**own, "valid_from": _START + timedelta(seconds=n + version), "run_id": 1, **_tracked(n, status)}


def deliver(url: str, kind: str, folder: str) -> dict[str, Any]:
    began, worked = time.perf_counter(), time.process_time()
    rows = _dlt_alone(url, folder) if kind == "dlt" else _feed(url, kind, folder)
    took, work = time.perf_counter() - began, time.process_time() - worked
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    size = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file()) / 2**20
    return {
        "kind": kind,
        "rows": rows,
        "seconds": round(took, 1),
        "rows_a_second": round(rows / took),
        "processor_seconds": round(work, 1),
        "peak_mib": round(peak),
        "mib": round(size),
    }


def _feed(url: str, kind: str, folder: str) -> int:
    from etl.config import Destination, SecretUrl
    from etl.feed import delivery

    place = f"duckdb:///{folder}/warehouse.duckdb" if kind == "duckdb" else f"file://{folder}/lake"
    destination = Destination(name="bench", type=kind, url=SecretUrl(place))  # type: ignore[arg-type]
    result = delivery.deliver_to_one(make_engine(url), destination)
    if result.error is not None:
        raise result.error
    return sum(result.rows.values())


def _dlt_alone(url: str, folder: str) -> int:
    import dlt
    from dlt.sources.sql_database import sql_table

    table = sql_table(url, table="video_job_versions", backend="pyarrow", chunk_size=50_000)
    pipeline = dlt.pipeline(
        "alone",
        destination=dlt.destinations.duckdb(f"{folder}/alone.duckdb"),
        dataset_name="bifrost",
        pipelines_dir=f"{folder}/.dlt",
    )
    pipeline.run(table, write_disposition="append")
    trace: Any = pipeline.last_trace
    rows: int = trace.last_normalize_info.row_counts["video_job_versions"]
    return rows


def main(changes: int, kinds: tuple[str, ...]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/etl.db"
        fill(url, changes)
        size = Path(folder, "etl.db").stat().st_size / 2**20
        print(f"{changes:,} changes of {changes // 2:,} jobs, {size:,.0f} MiB of SQLite", flush=True)
        for kind in kinds:
            with tempfile.TemporaryDirectory() as place:
                command = [sys.executable, "-m", "benchmarks.feed", "one", url, kind, place]
                print(
                    subprocess.run(command, check=True, capture_output=True, text=True).stdout,
                    end="",
                    flush=True,
                )


if __name__ == "__main__":
    if sys.argv[1] == "one":
        print(json.dumps(deliver(*sys.argv[2:5])))
    else:
        main(int(sys.argv[1]), tuple(sys.argv[2:]) or KINDS)
