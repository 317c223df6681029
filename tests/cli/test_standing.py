"""Healthy, failing, stale: what `status` says of few and of many sources; the next try of one that fails."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from etl.analytics.standing import judge, summary
from etl.analytics.status import LastRun, SourceStatus
from etl.config import Schedule
from etl.scheduler.timing import next_try
from etl.simulator import Simulator, World
from tests.support.command import Command

NOW = datetime(2026, 4, 15, 12, 0, tzinfo=UTC)
FINE = SourceStatus(
    "a", "http://h", None, None, NOW, None, None, None, False, 0, None, None, None, 3, 0, None, None,
    0, {}, 0, 0, (),
)  # fmt: skip
STARTED = LastRun(1, "first", "running", NOW, None, 0, 0, None, None)
FAILED = replace(STARTED, status="failed", error_class="Unauthorized", error_message="HTTP 401")
TOKEN = "canary-44aa10cd7e"


@pytest.mark.parametrize(
    ("status", "state", "problem"),
    [
        (None, "unsynced", "never synced"),
        (FINE, "ok", None),
        (replace(FINE, failures=2), "failing", None),
        (replace(FINE, failures=2, complete_at=NOW - timedelta(minutes=16)), "stale", "stale"),
        (replace(FINE, complete_at=None, loading=True), "unsynced", "never synced"),
        (
            replace(FINE, complete_at=None, loading=True, last_run=STARTED),
            "loading",
            "the first load is not complete",
        ),
        (
            replace(FINE, complete_at=None, loading=True, failures=1, last_run=FAILED),
            "loading",
            "the first load is not complete; its last run failed: Unauthorized",
        ),
        (
            replace(FINE, failures=1, complete_at=NOW - timedelta(minutes=16), last_run=FAILED),
            "stale",
            "stale; its last run failed: Unauthorized",
        ),
        (replace(FINE, disabled_at=NOW, disabled_reason="401"), "disabled", "disabled since"),
        (replace(FINE, complete_at=NOW + timedelta(hours=1)), "stale", "lies ahead"),
    ],
)
def test_one_word_for_each_source(status: SourceStatus | None, state: str, problem: str | None):
    found = judge(status, 900.0, NOW)
    assert found.state == state
    assert (found.problem is None) if problem is None else problem in str(found.problem)


def test_the_summary_counts():
    assert summary(["unsynced", "ok"]) == "1 ok, 1 never synced"
    assert summary(["ok"] * 57 + ["stale"] + ["failing"] * 2) == "57 ok, 2 failing, 1 stale"


@pytest.mark.parametrize(
    ("failures", "minutes"),
    [(1, 5), (3, 5), (4, 10), (6, 40), (20, 60)],
)
def test_the_next_try_is_later_the_more_runs_failed(failures: int, minutes: int):
    started = NOW - timedelta(minutes=1)
    found = next_try(Schedule(every=300.0), failures, started, NOW)
    assert found == started + timedelta(minutes=minutes)


def test_the_next_try_of_a_cron_line():
    assert next_try(Schedule(every=None, cron="0 * * * *"), 1, NOW, NOW) == NOW + timedelta(hours=1)


def test_many_sources_are_counted_and_the_healthy_folded(tmp_path: Path):
    command = Command(tmp_path, DATABASE_URL="sqlite:///etl.db")
    with Simulator(World(jobs=2), token=TOKEN) as sim:
        _configure(tmp_path, sim.base_url, 10, broken=False)
        command("sync")
        _configure(tmp_path, sim.base_url, 10, broken=True)
        command("sync", "s3")
    done = command("status")
    lines = done.out.splitlines()
    assert done.code == 0
    assert lines[0] == "10 sources: 9 ok, 1 failing"
    assert [line.split()[0] for line in lines[2:3]] == ["s3"]
    assert "s3: still fresh; a running service tries again about" in done.out
    assert "9 more are not shown: --all" in lines[-1]
    assert len([line for line in command("status", "--all").out.splitlines() if line.startswith("s")]) > 10
    states = {one["source"]: one["state"] for one in command("status", "--json").json["sources"]}
    assert (states["s3"], states["s4"]) == ("failing", "ok")


def test_a_source_that_never_began_is_no_success(tmp_path: Path):
    command = Command(tmp_path, DATABASE_URL="sqlite:///etl.db")
    with Simulator(World(jobs=2), token=TOKEN) as sim:
        _configure(tmp_path, sim.base_url, 1, broken=False)
        config = tmp_path / "bifrost-etl.yaml"
        assert command("status").code == 1, "nothing is here yet"
        config.write_text(config.read_text().replace(TOKEN, "another"))
        assert command("sync").code == 1
        refused = command("status")
        assert refused.code == 1 and "401" in refused.out, refused.all
        config.write_text(config.read_text().replace("another", TOKEN))
        assert command("sync", "s0").code == 0
        assert command("status").code == 0


def test_a_source_that_is_disabled_is_no_success(tmp_path: Path):
    command = Command(tmp_path, DATABASE_URL="sqlite:///etl.db")
    with Simulator(World(jobs=2), token=TOKEN) as sim:
        _configure(tmp_path, sim.base_url, 1, broken=False)
        command("sync")
        with closing(sqlite3.connect(tmp_path / "etl.db")) as connection, connection:
            connection.execute(
                "UPDATE sync_state SET disabled_at = '2026-01-01 00:00:00.000000', disabled_reason = '401'"
            )
        done = command("status")
        assert done.code == 1 and "disabled since" in done.out, done.all


def test_no_source_at_all_is_a_wrong_configuration(tmp_path: Path):
    command = Command(tmp_path, DATABASE_URL="sqlite:///etl.db")
    (tmp_path / "bifrost-etl.yaml").write_text("sources: []\n")
    done = command("status")
    assert done.code == 2 and "no source is configured" in done.out, done.all
    assert command("status", "--json").code == 2


def _configure(folder: Path, base_url: str, count: int, *, broken: bool) -> None:
    lines = [f"defaults: {{provider: openai, api_key: {TOKEN}, max_attempts: 1}}", "sources:"]
    for number in range(count):
        url = "http://127.0.0.1:9" if broken and number == 3 else base_url
        lines.append(f"  - {{name: s{number}, base_url: '{url}'}}")
    (folder / "bifrost-etl.yaml").write_text("\n".join(lines))


def test_the_count_goes_by_the_limit_that_was_given(tmp_path: Path):
    command = Command(tmp_path, DATABASE_URL="sqlite:///etl.db")
    with Simulator(World(jobs=2), token=TOKEN) as sim:
        _configure(tmp_path, sim.base_url, 1, broken=False)
        command("sync")
    done = command("status", "--max-age", "0.001s")
    assert done.code == 1
    assert done.out.splitlines()[0] == "1 source: 1 stale" and "s0: stale" in done.out
    assert command("status", "--max-age", "0.001s", "--json").json["sources"][0]["state"] == "stale"
    assert command("status").out.splitlines()[0] == "1 source: 1 ok"
