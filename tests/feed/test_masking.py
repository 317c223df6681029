"""`mask`: prompts stay here, whatever column or table they hide in."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.config import Destination, Mask, Secret, load_config
from etl.db.engine import write_transaction
from etl.errors import ConfigError
from etl.feed import delivery
from etl.feed.lag import destination_statuses
from etl.schema.tables import list_pages, rejected_items, video_job_versions, video_jobs
from tests.support.feed_history import START, Writer, add_source
from tests.support.reading_back import destination, held

KEY = "an-hmac-key-of-tests"
SECRET = "a heron in the reeds at dawn"
TABLES = ("video_job_versions", "video_jobs", "list_pages", "rejected_items", "sync_runs", "coverage_gaps")


def masked(kind: str, folder: Path, mask: Mask) -> Destination:
    plain = destination(kind, folder)
    return Destination(name="masked", type=plain.type, url=plain.url, mask=mask)


@pytest.fixture
def mirror(engine: sa.Engine) -> sa.Engine:
    """One prompt in every column that may hold it; another job has none."""
    source = add_source(engine, "a")
    Writer(engine, source).step(new=5, changes=0)
    with write_transaction(engine) as conn:
        for table in (video_jobs, video_job_versions):
            spoken = {"prompt": SECRET, "error_message": f"refused: {SECRET}", "extra": f'{{"p":"{SECRET}"}}'}
            conn.execute(sa.update(table).where(table.c.job_id.like("%3")).values(**spoken))
            conn.execute(sa.update(table).where(table.c.job_id.like("%4")).values(prompt=None))
        conn.execute(sa.update(list_pages).values(raw_response=f"[{SECRET}]", raw_request=SECRET))
        reject = {
            "source_id": source,
            "run_id": 1,
            "rejected_at": START,
            "reason": "no id",
            "last_seen_at": START,
        }
        conn.execute(sa.insert(rejected_items), {**reject, "payload": SECRET.encode(), "payload_hash": "x"})
    return engine


@pytest.mark.parametrize("kind", ["filesystem", "duckdb", "delta", "iceberg"])
@pytest.mark.parametrize("way", ["hmac", "drop"])
@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.slow
def test_no_table_holds_it(mirror, tmp_path, kind, way):
    target = masked(kind, tmp_path, Mask(prompt=way, key=Secret(KEY)))
    result = delivery.deliver_to_one(mirror, target)
    assert result.status == "ok", result.error
    tables = [name for name in TABLES if (kind, name) != ("filesystem", "video_jobs")]
    said = repr([held(kind, tmp_path, name) for name in tables])
    assert "heron" not in said
    (job,) = (r for r in held(kind, tmp_path, "video_job_versions") if r["job_id"].endswith("3"))
    expected = hmac.new(KEY.encode(), SECRET.encode(), hashlib.sha256).hexdigest()
    assert job["prompt"] == (f"hmac:{expected}" if way == "hmac" else None)
    (none,) = (r for r in held(kind, tmp_path, "video_job_versions") if r["job_id"].endswith("4"))
    assert none["prompt"] is None
    (standing,) = destination_statuses(mirror, [target], deep=True)
    assert not standing.is_wrong, standing
    assert delivery.deliver_to_one(mirror, target).rows == {}


def test_a_digest_needs_a_key(tmp_path: Path) -> None:
    place = "{name: x, type: delta, url: /x, mask: {prompt: hmac, key: short}}"
    text = f"sources: []\nfeed: {{destinations: [{place}]}}"
    (tmp_path / "c.yaml").write_text(text)
    with pytest.raises(ConfigError, match="16 characters"):
        load_config(tmp_path / "c.yaml", {})
