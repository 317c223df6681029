"""`feed`, `feed status`, `export` and `prune` as a user runs them."""

from __future__ import annotations

import time

import pytest

from etl.simulator import Simulator, World
from tests.support.command import Command

TOKEN = "canary-0f6d1c93b7"


@pytest.fixture
def command(tmp_path):
    """A synced mirror, a lake, and a destination that cannot be reached."""
    with Simulator(World(seed=5, jobs=40, start=time.time()), token=TOKEN) as gateway:
        (tmp_path / "bifrost.yaml").write_text(
            f"""
sources:
  - {{name: main, base_url: "{gateway.base_url}", provider: openai, api_key: {TOKEN}}}
database: {{url: "sqlite:///{tmp_path}/etl.db"}}
feed:
  destinations:
    - {{name: lake, type: filesystem, url: "{tmp_path}/lake"}}
    - {{name: broken, type: postgres, url: "postgresql://someone:{TOKEN}@127.0.0.1:1/nothing"}}
"""
        )
        made = Command(tmp_path, BIFROST_ETL_CONFIG=str(tmp_path / "bifrost.yaml"))
        assert made("sync").code == 0
        yield made


@pytest.mark.slow
def test_feed_and_its_status(command):
    before = command("feed", "status", "lake", "--json").json["destinations"][0]
    assert before["sources"][0]["pending"] == 40
    assert before["sources"][0]["lag_seconds"] >= 0
    done = command("feed", "lake")
    assert done.code == 0, done.all
    assert "lake: ok, " in done.out and "40 rows into video_job_versions" in done.out
    assert "lake: nothing" not in done.out
    assert "nothing new" in command("feed", "lake").out
    shown = command("feed", "status", "lake")
    assert (shown.code, "up to date" in shown.out) == (0, True), shown.all


@pytest.mark.parametrize("arguments", [(), ("status",), ("verify",)])
@pytest.mark.slow
def test_a_destination_is_written_and_read_without_noise(command, tmp_path, arguments):
    """DuckDB's binding complains of its own objects when a process ends without looking for cycles."""
    with (tmp_path / "bifrost.yaml").open("a") as file:
        file.write(f'    - {{name: duck, type: duckdb, url: "duckdb:///{tmp_path}/lake.duckdb"}}\n')
    assert command("feed", "duck").code == 0
    done = command("feed", *arguments, "duck")
    assert done.code == 0, done.all
    assert [line for line in done.err.splitlines() if not line.startswith("duck: ")] == []


@pytest.mark.slow
def test_one_broken_destination_stops_no_other(command):
    done = command("feed", "--json")
    assert done.code == 3, done.all
    assert "broken: failed, nothing delivered" in command("feed", "broken").out
    lake, broken = done.json["destinations"]
    assert (lake["status"], lake["error"]) == ("ok", None)
    assert broken["status"] == "failed" and "broken" in broken["error"]["message"]
    status = command("feed", "status")
    assert status.code == 1 and "lake" in status.out and "broken" in status.err
    assert TOKEN not in done.all + status.all


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("feed", "nowhere"), "destinations: lake, broken"),
        (("export", "out", "--format", "xml"), "one of: parquet, csv, jsonl"),
        (("export", "out", "--since", "soon"), "not a date"),
        (("export", "out", "--table", "leases"), "one of: video_jobs"),
        (("prune",), "no retention is configured"),
        (("prune", "--runs", "old"), "not a length of time"),
    ],
)
def test_wrong_usage_is_explained(command, arguments, said):
    done = command(*arguments)
    assert done.code == 2 and said in done.err, done.all


@pytest.mark.slow
def test_export_and_prune(command, tmp_path):
    done = command("export", "out", "--format", "csv", "--table", "video_jobs", "--json")
    assert done.code == 0, done.all
    assert sum(file["rows"] for file in done.json["files"]) == 40
    assert (tmp_path / "out" / "manifest.json").exists()
    assert "row" in command("export", "again", "--until", "2200-01-01").out
    again = command("export", "out", "--format", "csv")
    assert again.code == 2 and "not empty" in again.err
    refused = command("prune", "--page-log", "1s", "--json")
    assert refused.code == 1 and "broken" in refused.err  # it cannot say what it has: nothing is removed
