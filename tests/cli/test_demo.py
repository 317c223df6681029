"""`demo`, from the first line to the last."""

from __future__ import annotations

import re
import signal
import sqlite3
import urllib.error
import urllib.request

import pytest

from etl.simulator import Simulator
from tests.support.command import Command
from tests.support.running import until

pytestmark = pytest.mark.slow


def test_demo_with_a_simulated_gateway(command: Command):
    done = command("demo")
    assert done.code == 0, done.all
    assert "\x1b" not in done.all
    ticks = re.findall(r"^ +([1-5]) +(\d+) +(\d+) +(\d+) +(\d+)$", done.out, re.M)
    assert len(ticks) == 5
    assert sum(int(new) for _, _, new, _, _ in ticks) > 0 and sum(int(row[3]) for row in ticks) > 0
    assert "first seen" in done.out and "→ completed" in done.out
    database = command.folder / "demo" / "demo.db"
    with sqlite3.connect(database) as connection:
        [(count,)] = connection.execute("SELECT count(*) FROM video_jobs")
    assert count > 5000
    address = re.search(r"http://127\.0\.0\.1:\d+", done.out)
    assert address is not None
    with pytest.raises(urllib.error.URLError):  # nothing of it is left running
        urllib.request.urlopen(address[0] + "/health", timeout=5)


def test_what_the_demo_prints_works(command: Command):
    import subprocess

    done = command("demo")
    status = command("--config", "demo/bifrost-etl.yaml", "status")
    assert (status.code, "demo" in status.out) == (0, True)
    [line] = [line.strip() for line in done.out.splitlines() if line.strip().startswith("python3 -c")]
    asked = subprocess.run(
        ["bash", "-c", line], cwd=command.folder, capture_output=True, text=True, timeout=60
    )
    assert "completed" in asked.stdout, asked.stderr


def test_a_second_demo_starts_fresh_and_spares_what_is_not_its_own(command: Command):
    demo = command.folder / "demo"
    demo.mkdir()
    (demo / "demo.db").write_text("mine")
    refused = command("demo")
    assert (refused.code, (demo / "demo.db").read_text()) == (2, "mine")
    assert "--folder" in refused.err
    (demo / "demo.db").unlink()
    (demo / "notes.txt").write_text("mine")
    assert command("demo").code == 0
    assert command("demo").code == 0
    assert (demo / "notes.txt").read_text() == "mine"


def test_demo_with_a_real_gateway(configured: Command, gateway: Simulator):
    done = configured("demo", "--pause", "0")
    assert done.code == 0, done.all
    assert "250 new" in done.out
    assert not (configured.folder / "demo").exists()
    assert configured("status", "--json").json["sources"][0]["jobs"] >= 250


def test_a_demo_that_is_served_lives_until_it_is_told_to_stop(command: Command):
    """Its gateway makes jobs, its dashboard shows them; nothing of it is left running."""
    with command.start("demo", "--serve") as served:
        assert served.stdout is not None
        told = iter(served.stdout.readline, "")
        gateway = next(found[0] for line in told if (found := re.search(r"http://127\.0\.0\.1:\d+", line)))
        address = next(line.split()[-1] for line in told if "It goes on" in line)

        def newest_run() -> int:
            page = urllib.request.urlopen(f"{address}tables/runs", timeout=60).read().decode()
            return max(map(int, re.findall(r"pages\?run=(\d+)", page)), default=0)

        begun = newest_run()
        until(lambda: newest_run() > begun, "a tick of the service")
        served.send_signal(signal.SIGINT)
        assert served.wait(timeout=60) == 0, served.stderr.read() if served.stderr else ""
        for gone in (f"{gateway}/health", address):
            with pytest.raises(urllib.error.URLError):
                urllib.request.urlopen(gone, timeout=5)
