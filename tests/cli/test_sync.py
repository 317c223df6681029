"""sync, reconcile, status and history as a user runs them, against a gateway over HTTP."""

from __future__ import annotations

import re
import signal

import pytest

from etl.schema.tables import sync_runs
from etl.simulator import Simulator, World
from tests.cli.conftest import CANARY
from tests.support.command import Command

COUNTS = {column.name for column in sync_runs.c if column.name.startswith("jobs_")} | {
    "pages",
    "requests",
    "retries",
}


def test_sync_status_history(configured: Command, gateway: Simulator):
    first = configured("sync", "--json")
    assert first.code == 0, first.err
    [run] = first.json["sources"]
    assert (run["source"], run["kind"], run["status"], run["error"]) == ("default", "first", "ok", None)
    assert set(run) >= COUNTS
    assert run["jobs_inserted"] == 250

    gateway.advance(3600)
    again = configured("sync")
    assert again.code == 0, again.err
    assert re.match(r"✓ default: incremental, [1-9]\d* new, ", again.out)
    assert "\x1b" not in again.all

    status = configured("status", "--json", "--max-age", "15m")
    assert status.code == 0, status.err
    [source] = status.json["sources"]
    assert (source["source"], source["stale"], source["gaps"]) == ("default", False, [])
    assert source["jobs"] > 250
    assert source["last_run"]["kind"] == "incremental"
    assert configured("status", "--max-age", "0s").code == 1

    job_id = gateway.world.expected()[0]["id"]
    history = configured("history", job_id, "--json")
    assert history.json["jobs"][0]["versions"][0]["op"] == "insert"
    assert "first seen" in configured("history", job_id).out
    unknown = configured("history", f"{job_id[:-3]}?")
    assert (unknown.code, job_id in unknown.err) == (2, True)


def test_nothing_new_is_one_request(configured: Command):
    configured("sync")
    [run] = configured("sync", "--json").json["sources"]
    assert run["jobs_inserted"] == run["jobs_updated"] == 0
    assert run["requests"] == 1


def test_reconcile(configured: Command):
    assert configured("sync").code == 0
    done = configured("reconcile", "--json")
    assert done.code == 0, done.err
    [run] = done.json["sources"]
    assert (run["kind"], run["status"], run["jobs_unlisted"]) == ("reconcile", "ok", 0)


def test_status_before_the_first_sync_creates_nothing(configured: Command):
    done = configured("status")
    assert (done.code, done.out.splitlines()[0]) == (1, "1 source: 1 never synced")
    assert done.out.splitlines()[-1] == "default: never synced; run: bifrost-etl sync default"
    assert configured("status", "--max-age", "1h").code == 1
    assert configured("history", "x").code == 2
    assert list(configured.folder.iterdir()) == []


def _two_sources(command: Command, one: str, two: str) -> None:
    source = (
        "  - name: {name}\n    base_url: {url}\n    provider: openai\n    api_key: ${{BIFROST_API_KEY}}\n"
    )
    quick = "    max_attempts: 1\n"
    text = "database:\n  url: sqlite:///etl.db\nsources:\n"
    text += source.format(name="one", url=one) + quick + source.format(name="two", url=two) + quick
    (command.folder / "bifrost-etl.yaml").write_text(text)


def test_some_fail_and_others_do_not(command: Command, gateway: Simulator):
    with Simulator(World(jobs=5), token="another") as refusing:
        _two_sources(command, gateway.base_url, refusing.base_url)
        command.environ["BIFROST_API_KEY"] = CANARY
        partly = command("sync", "--json")
        assert partly.code == 3
        results = {run["source"]: run for run in partly.json["sources"]}
        assert results["one"]["status"] == "ok"
        assert results["two"]["error"]["class"] == "Unauthorized"
        assert results["two"]["error"]["hint"]
        assert command("sync", "two").code == 1
        assert command("sync", "one").code == 0
        said = command("sync")
        assert "✗ two: failed" in said.out and "two: error: " in said.err
        shown = command("status")
        assert "two: last run failed" in shown.out or "two: disabled" in shown.out
        assert CANARY not in partly.all + said.all + shown.all
        unknown = command("sync", "thre")
        assert (unknown.code, "one, two" in unknown.err) == (2, True)


def test_a_terminal_gets_progress_and_colour(configured: Command):
    code, text = configured.on_terminal("sync", COLUMNS="60")
    assert code == 0
    assert "\x1b[" in text and "jobs" in text and "✓ default" in text
    code, table = configured.on_terminal("status", NO_COLOR="1")
    assert code == 0
    assert "\x1b[3" not in table, "NO_COLOR leaves no colours"


def test_first_signal_stops_after_the_batch(tmp_path, command: Command):
    with Simulator(World(jobs=20_000), latency=0.05) as slow:
        command.environ.update(BIFROST_BASE_URL=slow.base_url, BIFROST_PROVIDER="openai")
        child = command.start("sync", "--json", DATABASE_URL="sqlite:///etl.db")
        while len(slow.requests) < 15:  # bounded by pytest's own timeout
            assert child.poll() is None, child.communicate()
        child.send_signal(signal.SIGINT)
        out, err = child.communicate(timeout=60)
        assert child.returncode == 130, err
        assert '"interrupted"' in out
        assert "stopping after the current batch" in err
    status = command("status", "--json", DATABASE_URL="sqlite:///etl.db").json["sources"][0]
    assert 0 < status["jobs"] < 20_000
    assert status["last_run"]["status"] == "interrupted"


@pytest.mark.parametrize("stop", [signal.SIGINT, signal.SIGTERM])
def test_second_signal_leaves_at_once(command: Command, stop: signal.Signals):
    with Simulator(World(jobs=300), faults=["stall"]) as stuck:
        child = command.start(
            "sync", BIFROST_BASE_URL=stuck.base_url, BIFROST_PROVIDER="openai", DATABASE_URL="sqlite:///e.db"
        )
        while not stuck.requests:
            assert child.poll() is None, child.communicate()
        child.send_signal(stop)
        line = child.stderr.readline()
        child.send_signal(stop)
        _, err = child.communicate(timeout=60)
        assert child.returncode == 130, err
        assert "stopping" in line and "Traceback" not in err
