"""The dbt package over what the feed delivers: it builds, its tests pass, and it says what our views say."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit
from zoneinfo import ZoneInfo

import duckdb
import psycopg
import pytest
import sqlalchemy as sa

from etl.config import Destination, SecretUrl
from etl.db.engine import make_engine, write_transaction
from etl.feed import delivery
from etl.load.job_requests import LogBatch, write_requests
from etl.load.totals import recount_all
from etl.log_records import LogRow
from etl.schema.tables import job_details, video_job_versions, video_jobs
from etl.simulator import World
from tests.conftest import require_module, unavailable
from tests.support.databases import Server
from tests.support.rig import Rig, rig

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

require_module("dlt")
ROOT = Path(__file__).parents[2]
#: dbt pins what we pin otherwise, so it lives in an environment of its own: `make dbt`.
DBT = Path(os.environ.get("DBT", ROOT / ".venv/dbt/bin/dbt"))
HOUR = 3600
Ask = Callable[[str], list[dict[str, Any]]]

#: Mart, our view, columns that must be equal, and those that identify a row.
PAIRS = {
    "fct_video_jobs": (
        "job_facts",
        "source job_id provider model status size resolution seconds created_at completed_at created_day "
        "created_hour first_seen_at started_seen_at ended_seen_at queue_seconds render_seconds total_seconds "
        "queue_error_seconds render_error_seconds outcome price_unit "
        "is_terminal is_unlisted versions error_code error_message price currency cost cost_state "
        "virtual_key team customer user_name business_unit key_name owner_source settled_cost "
        "settled_cost_source reported_cost outputs variants filtered_outputs filter_reasons",
    ),
    "fct_video_job_changes": (
        "job_history",
        "source job_id version op valid_from valid_to is_current change_seq run_id status error_code",
    ),
    "daily_video_jobs": (
        "daily_jobs",
        "day source provider model size status outcome jobs seconds cost currency uncosted_jobs",
    ),
    "daily_failures": (
        "failures",
        "day source provider model size class error_code error_message filter_reasons jobs wasted_seconds "
        "would_be_cost currency last_created_at",
    ),
    "daily_cache_lookups": (
        "cache_daily",
        "day source lookups hits direct_hits semantic_hits input_tokens",
    ),
    "latency_percentiles": (
        "latency_percentiles",
        "source provider model jobs fastest p50 p90 p95 p99 slowest",
    ),
    "duplicate_requests": (
        "duplicate_requests",
        "provider model size seconds prompt jobs completed_jobs avoidable_jobs avoidable_cost currency "
        "first_created_at last_created_at",
    ),
    "remix_jobs": (
        "remix_jobs",
        "source root_job_id job_id remixed_from_job_id depth is_cycle status seconds created_at cost "
        "currency",
    ),
    "remix_trees": (
        "remix_trees",
        "source root_job_id is_orphan is_cycle jobs depth seconds cost currency costs uncosted_jobs "
        "first_created_at last_created_at",
    ),
    "sync_freshness": (
        "sync_freshness",
        "source base_url provider newest_job_at last_run_id last_run_kind last_run_status "
        "last_run_started_at last_run_finished_at last_error failures open_jobs rejects gaps",
    ),
    "open_jobs": (
        "open_jobs",
        "source job_id provider model size seconds status created_at first_seen_at expected_seconds "
        "compared_with compared_jobs expected_at",
    ),
    "expiring_assets": (
        "expiring_assets",
        "source job_id provider model size seconds completed_at expires_at cost currency",
    ),
}
RENAMED = {"class": "failure_class"}


ZONE = ZoneInfo("Pacific/Chatham")
IN_ZONE = ("--vars", f"reporting_timezone: {ZONE.key}")
#: Run where dbt is: prints what its own rules for semantic models object to.
VALIDATION = """
import sys
from dbt_semantic_interfaces.implementations.semantic_manifest import PydanticSemanticManifest as Manifest
from dbt_semantic_interfaces.validations.semantic_manifest_validator import SemanticManifestValidator
found = SemanticManifestValidator[Manifest]().validate_semantic_manifest(Manifest.parse_file(sys.argv[1]))
print([issue.message for issue in (*found.errors, *found.future_errors, *found.warnings)])
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rig]:
    """Two days of jobs, watched while they changed; some were deleted, some pages came from the cache."""
    folder = tmp_path_factory.mktemp("dbt")
    start = time.time() - 41 * HOUR
    made = World(seed=11, jobs=400, start=start, rate=20.0, gap=300.0, deletions=0.03, failures=0.2)
    with rig(made, f"sqlite:///{folder}/etl.db") as r:
        r.ok()
        r.sim.fault("cached:times=2")
        for _ in range(10):
            for seconds in (4 * HOUR - 90, 45, 45):
                r.world.advance(seconds)
                r.ok()
        r.reconcile()
        r.world.advance(60)
        r.ok()
        add_requests(r)
        add_details(r)
        end_before_the_beginning(r)
        assert r.rows("cache_lookups") and r.rows("video_job_versions", op="unlist")
        assert r.rows("video_job_versions", version=3)
        yield r


def add_requests(r: Rig) -> None:
    """As the gateway's log would tell: who made, polled and settled some of the jobs."""
    ids, at = sorted(r.jobs())[:90], datetime(2026, 11, 1, tzinfo=UTC)
    rows = []
    for n, job_id in enumerate(ids):
        kind = "video_retrieve" if n % 3 == 0 else "video_generation"
        team = {
            "team_id": f"t{n % 4}",
            "team_name": "film" if n % 4 else None,
            "virtual_key_name": f"key{n % 5}",
        }
        cost = Decimal("0.4") if n % 2 else None
        rows.append(LogRow(f"a{n}", at, kind, "success", "row", job_id, owner=team, cost=cost))
        if n % 6 == 1:
            rows.append(
                LogRow(f"b{n}", at, kind, "success", "row", job_id, settles=True, cost=Decimal("1.25"))
            )
    with write_transaction(r.app.engine) as conn:
        write_requests(conn, 1, 1, LogBatch(rows=rows), at)


def add_details(r: Rig) -> None:
    """As reads by id would tell: what the content filter kept back, and what the provider charges."""
    with write_transaction(r.app.engine) as conn:
        for n, row in enumerate(r.rows("video_jobs", settled=True)[:40], start=1):
            same = {"source_id": 1, "job_id": row["job_id"], "queued_at": row["first_seen_at"], "run_id": 1}
            told = {"outcome": "read", "read_at": row["first_seen_at"], "reads_left": 0, "detail_seq": n}
            told |= {"outputs": n % 3, "filtered_outputs": n % 2 or None, "reported_cost": Decimal(n) / 8}
            told["filter_reasons"] = "a face" if n % 4 == 0 else None
            conn.execute(sa.insert(job_details).values(**same, **told))


def end_before_the_beginning(r: Rig) -> None:
    """A completed job whose gateway's clock was put back: it has no latency."""
    job = r.rows("video_jobs", status="completed")[0]
    earlier = job["created_at"] - timedelta(seconds=5)
    with write_transaction(r.app.engine) as conn:
        for table in (video_jobs, video_job_versions):
            told = sa.update(table).where(table.c.job_id == job["job_id"], table.c.completed_at.is_not(None))
            conn.execute(told.values(completed_at=earlier))
    recount_all(r.app.engine)


def test_on_duckdb(world: Rig, tmp_path: Path):
    path = tmp_path / "warehouse.duckdb"
    deliver(world, "duckdb", f"duckdb:///{path}")
    environment = {"BIFROST_DUCKDB": str(path)}
    assert "ERROR=0" in dbt("build", tmp_path, environment)
    dbt("source", tmp_path, environment, "freshness")
    with closing(duckdb.connect(str(path))) as conn:
        assert_equal_to_views(world, lambda query: conn.sql(query).to_arrow_table().to_pylist())
        (before,) = conn.execute("SELECT count(*) FROM bifrost_marts.fct_video_job_changes").fetchall()[0]
    changed = world.rows("video_jobs", settled=False)
    world.world.advance(HOUR)
    world.ok()
    assert changed, "open jobs end, and new ones come: versions that stood end with the next ones"
    deliver(world, "duckdb", f"duckdb:///{path}")
    assert "ERROR=0" in dbt("build", tmp_path, environment, *IN_ZONE)
    with closing(duckdb.connect(str(path))) as conn:
        assert_equal_to_views(world, lambda query: conn.sql(query).to_arrow_table().to_pylist())
        assert_metrics(world, tmp_path, lambda query: conn.sql(query).to_arrow_table().to_pylist())
        assert_local_days(world, lambda query: conn.sql(query).to_arrow_table().to_pylist())
        assert conn.execute("SELECT count(*) FROM bifrost_marts.fct_video_job_changes").fetchall() > [
            (before,)
        ]
        conn.execute("DELETE FROM bifrost.video_job_versions WHERE version = 2")
        conn.execute("UPDATE bifrost.video_jobs SET status = 'odd' WHERE status = 'completed'")
    names = ("versions_have_no_holes", "current_state_is_last_version")
    said = dbt("test", tmp_path, environment, "--select", *names, code=1)
    for name in names:
        assert f"Failure in test {name}" in said


def test_on_postgresql(world: Rig, postgres: Server, tmp_path: Path):
    url = postgres.create("dbt")
    deliver(world, "postgres", url)
    parts = urlsplit(url)
    environment = {"BIFROST_DBT_TARGET": "postgres", "PGHOST": str(parts.hostname), "PGPORT": str(parts.port)}
    environment |= {"PGUSER": str(parts.username), "PGPASSWORD": unquote(str(parts.password))}
    assert "ERROR=0" in dbt("build", tmp_path, environment | {"PGDATABASE": "dbt"}, *IN_ZONE)
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as conn:
        assert_equal_to_views(world, lambda query: conn.execute(query.encode()).fetchall())
        assert_metrics(world, tmp_path, lambda query: conn.execute(query.encode()).fetchall())
        assert_local_days(world, lambda query: conn.execute(query.encode()).fetchall())
    postgres.drop("dbt")


def deliver(world: Rig, kind: Any, url: str) -> None:
    result = delivery.deliver_to_one(world.app.engine, Destination(name="dwh", type=kind, url=SecretUrl(url)))
    assert result.status == "ok", result.error


def dbt(command: str, folder: Path, environment: dict[str, str], *more: str, code: int = 0) -> str:
    """What it printed. It may not reach anything beyond this machine."""
    if not DBT.exists():
        unavailable(f"dbt is not at {DBT}: make dbt")
    places = ["--project-dir", str(ROOT / "dbt"), "--profiles-dir", str(ROOT / "dbt")]
    places += ["--target-path", str(folder / "target"), "--log-path", str(folder / "logs")]
    nowhere = {"HTTPS_PROXY": "http://127.0.0.1:9", "HTTP_PROXY": "http://127.0.0.1:9", "NO_COLOR": "1"}
    done = subprocess.run(
        [str(DBT), "--no-use-colors", command, *more, *places],
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **nowhere, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=900,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout


def assert_equal_to_views(world: Rig, ask: Ask) -> None:
    engine = make_engine(world.url)
    for mart, (view, names) in PAIRS.items():
        columns = names.split()
        theirs = ", ".join(f"{RENAMED[name]} AS {name}" if name in RENAMED else name for name in columns)
        with engine.connect() as conn:
            ours = conn.execute(sa.text(f"SELECT {', '.join(columns)} FROM {view}")).mappings().all()
        found = ask(f"SELECT {theirs} FROM bifrost_marts.{mart}")
        assert ours and rows(found, columns) == rows(ours, columns), mart
    engine.dispose()


def assert_metrics(world: Rig, folder: Path, ask: Ask) -> None:
    """dbt's own rules for semantic models find nothing wrong, and measures say what counting by hand says."""
    file = folder / "target" / "semantic_manifest.json"
    told = subprocess.run(
        [str(DBT.parent / "python"), "-c", VALIDATION, str(file)], capture_output=True, check=True
    )
    assert told.stdout.decode().strip() == "[]"
    said = json.loads(file.read_text())
    assert {"jobs", "cost", "failure_rate"} <= {metric["name"] for metric in said["metrics"]}
    (model,) = said["semantic_models"]
    aggregates = {"average": "avg", "sum": "sum", "count": "count"}
    measures = ", ".join(f"{aggregates[m['agg']]}({m['expr']}) AS {m['name']}" for m in model["measures"])
    dimensions = ", ".join(dimension["name"] for dimension in model["dimensions"])
    (found,) = ask(f"SELECT {measures} FROM bifrost_marts.fct_video_jobs")
    assert ask(f"SELECT {dimensions} FROM bifrost_marts.fct_video_jobs LIMIT 1")
    by_status = Counter(job["status"] for job in world.jobs().values())
    completed = [job for job in world.jobs().values() if job["status"] == "completed"]
    assert found["jobs"] == by_status.total() and found["failed_jobs"] == by_status["failed"]
    assert found["ended_jobs"] == by_status["failed"] + by_status["completed"]
    assert float(found["video_seconds"]) == sum(job["seconds"] for job in completed)
    spent = [(job["completed_at"] - job["created_at"]).total_seconds() for job in completed]
    forwards = [seconds for seconds in spent if seconds >= 0]
    assert len(forwards) == len(spent) - 1
    assert float(found["mean_total_seconds"]) == pytest.approx(sum(forwards) / len(forwards))


def assert_local_days(world: Rig, ask: Ask) -> None:
    """As Python's own zones cut days; weeks begin on Mondays."""
    found = ask("SELECT job_id, local_day, local_week, local_month FROM bifrost_marts.fct_video_jobs")
    days = {job: row["created_at"].astimezone(ZONE).date() for job, row in world.jobs().items()}
    assert {row["job_id"]: row["local_day"] for row in found} == days
    assert days != {job: row["created_at"].date() for job, row in world.jobs().items()}
    for row in found:
        assert row["local_week"] == row["local_day"] - timedelta(days=row["local_day"].weekday())
        assert row["local_month"] == row["local_day"].replace(day=1)


def rows(found: Any, columns: list[str]) -> list[list[str]]:
    """Sorted, in one form for all databases: SQLite says 1 and text where others say true and instant."""
    return sorted([str(_plain(row[name])) for name in columns] for row in found)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        value = (value.astimezone(UTC) if value.tzinfo else value).strftime("%Y-%m-%d %H:%M:%S.%f")
    if isinstance(value, date):
        return value.isoformat()
    return round(float(value), 6) if isinstance(value, bool | int | float | Decimal) else value
