"""A large history in a database within a minute, by SQL alone: for questions, not for loads.

    python -m benchmarks.million DATABASE_URL [JOBS]

SQLite or PostgreSQL. Ids in random order, one job in thirteen a remix of one of those before it, one prompt
in ten used before, 31 seconds between jobs. Versions are the first ones; totals are counted at the end.
"""

from __future__ import annotations

import sys
import time

import sqlalchemy as sa

from etl.db.engine import make_engine
from etl.load.totals import recount_all
from etl.records import TRACKED
from etl.schema import migrate

_START = 1_767_225_600  # 2026-01-01
_VERSION = {"op": "'insert'", "valid_from": "first_seen_at", "changed_fields": "NULL"}
_VERSION |= {"unlisted_reason": "NULL", "run_id": "first_run_id", "version": "1"}


def job_columns(sqlite: bool) -> dict[str, str]:
    """SQL for each column of job n."""

    def moment(seconds: str) -> str:
        since = f"{_START} + n * 31 + {seconds}"
        text = f"strftime('%Y-%m-%d %H:%M:%S.000000', {since}, 'unixepoch')"
        return text if sqlite else f"to_timestamp({since})"

    def job_id(number: str) -> str:
        drawn = f"({number}) * 2654435761 % 4294967296"
        text = f"printf('%08x', {drawn})" if sqlite else f"lpad(to_hex({drawn}), 8, '0')"
        return f"'video_' || {text} || {text} || ':openai'"

    model = "CASE n % 5 WHEN 0 THEN 'sora-2-pro' WHEN 1 THEN 'veo-3.1' ELSE 'sora-2' END"
    status = "CASE WHEN n % 17 = 3 THEN 'failed' WHEN n % 999983 = 7 THEN 'queued' ELSE 'completed' END"
    same = "CASE WHEN n % 10 = 4 THEN n - n / 60 % 5 * 60 ELSE n END"
    no, yes = ("0", "1") if sqlite else ("false", "true")
    settled = f"CASE WHEN ({status}) = 'queued' THEN {no} ELSE {yes} END"
    words = "'A paper boat crosses a harbour at dawn, filmed from a low angle in soft light, take '"
    return {
        "source_id": "1",
        "job_id": job_id("n"),
        "provider": "'openai'",
        "model": model,
        "status": status,
        "reported_status": status,
        "progress": "100",
        "prompt": f"{words} || ({same})",
        "remixed_from_job_id": f"CASE WHEN n % 13 = 5 THEN {job_id('n - 1 - n / 13 % 4')} END",
        "seconds": "CASE n % 3 WHEN 0 THEN 4 WHEN 1 THEN 8 ELSE 12 END",
        "size": "CASE n % 4 WHEN 0 THEN '1792x1024' ELSE '1280x720' END",
        "width": "CASE n % 4 WHEN 0 THEN 1792 ELSE 1280 END",
        "height": "CASE n % 4 WHEN 0 THEN 1024 ELSE 720 END",
        "created_at": moment("0"),
        "completed_at": f"CASE WHEN ({status}) = 'completed' THEN {moment('20 + n * 7919 % 280')} END",
        "expires_at": f"CASE WHEN ({status}) = 'completed' THEN {moment('86400')} END",
        "error_code": f"CASE WHEN ({status}) = 'failed' THEN 'moderation_blocked' END",
        "error_message": f"CASE WHEN ({status}) = 'failed' THEN 'Your request was blocked.' END",
        "settled": settled,
        "content_hash": "'0123456789abcdef0123456789abcdef'",
        "version": "1",
        "first_seen_at": moment("30"),
        "last_changed_at": moment("30"),
        "list_position": "n * 1048576",
        "first_run_id": "1",
    }


def fill(engine: sa.Engine, jobs: int) -> None:
    sqlite = engine.dialect.name == "sqlite"
    counted = "WITH RECURSIVE c(n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM c WHERE n + 1 < {0})"
    numbers = "c" if sqlite else "(SELECT generate_series(0, {0} - 1)::bigint AS n) c"
    columns = job_columns(sqlite)
    names = ("source_id", "job_id", "version", "op", "valid_from", "changed_fields", *TRACKED)
    names = (*names, "unlisted_reason", "run_id")
    made = ", ".join(_VERSION.get(name, name) for name in names)
    for statement in (
        "INSERT INTO sources (id, name, base_url, provider, created_at)"
        " VALUES (1, 'main', 'http://gateway', 'openai', '2026-01-01 00:00:00.000000')",
        f"{counted.format(jobs) if sqlite else ''} INSERT INTO video_jobs ({', '.join(columns)})"
        f" SELECT {', '.join(columns.values())} FROM {numbers.format(jobs)}",
        f"INSERT INTO video_job_versions ({', '.join(names)}) SELECT {made} FROM video_jobs"
        " ORDER BY list_position",
    ):
        began = time.perf_counter()
        with engine.begin() as conn:
            conn.exec_driver_sql(statement, execution_options={"no_parameters": True})
        print(f"{time.perf_counter() - began:6.1f} s  {statement[:60].strip()}", flush=True)


def main(url: str, jobs: int) -> None:
    engine = make_engine(url)
    migrate.upgrade_schema(engine)
    fill(engine, jobs)
    print(f"{recount_all(engine):,} jobs counted")
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.exec_driver_sql("ANALYZE")
    engine.dispose()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000)
