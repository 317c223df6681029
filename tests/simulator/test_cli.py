"""`simulate` as a process: its first line, its stopping."""

import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.simulator.cli import build_gateway, main, make_parser, parse_duration
from etl.simulator.wire import Request

ROOT = Path(__file__).parents[2]
COMMAND = [sys.executable, "-m", "etl.simulator", "--jobs", "5", "--until-stdin-closes"]


@pytest.fixture
def process(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    command = [*COMMAND, "--ready-file", str(tmp_path / "ready"), "--warm"]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as running:
        try:
            yield running
        finally:
            running.kill()


def address(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    assert line.startswith("listening on http://127.0.0.1:")
    return line.split()[-1]


def get(address: str) -> int:
    connection = http.client.HTTPConnection(address.removeprefix("http://"), timeout=10)
    connection.request("GET", "/v1/videos?provider=openai")
    status = connection.getresponse().status
    connection.close()
    return status


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_listens_and_stops_when_told(
    process: subprocess.Popen[str], number: int, tmp_path: Path
) -> None:
    where = address(process)
    assert get(where) == 200
    assert (tmp_path / "ready").read_text() == where + "\n"
    process.send_signal(number)
    assert process.wait(20) == 0


def test_it_stops_when_its_parent_is_gone(process: subprocess.Popen[str]) -> None:
    address(process)
    assert process.stdin
    process.stdin.close()
    assert process.wait(20) == 0


def test_durations() -> None:
    assert [parse_duration(t) for t in ("20ms", "1.5s", "24h", "7d", "3")] == [0.02, 1.5, 86400, 604800, 3]


def test_mistakes_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--latency", "soon"], ["--fault", "nonsense"]):
        with pytest.raises(SystemExit) as stop:
            main(wrong)
        assert stop.value.code == 2
    assert "unknown fault 'nonsense'" in capsys.readouterr().err


def test_every_switch_reaches_the_gateway() -> None:
    words = (
        "--jobs 30 --gateway-version 2 --strict off --also gemini:4 --cap 7 --window 2h --sort id --enforced "
        "--dashboard-auth me:pw --rotate-keys 1h:5m --allow-raw --no-passthrough --no-log-content "
        "--log-delay 9s --no-log-polls --log-retention 30d --no-logs --dead-cursor 410 "
        "--accounts 2 --time-scale 0"
    )
    gateway = build_gateway(make_parser().parse_args(words.split()))
    world, gemini = gateway.worlds
    assert (str(world.version), world.strict, world.cap) == ("2.1", False, 7)
    assert (gemini.provider, gemini.plan.jobs, gemini.now()) == ("gemini", 4, world.now())
    settings = gateway.settings
    assert (settings.dead_cursor, settings.allow_raw, settings.passthrough) == ("410", True, False)
    assert (settings.log_content, settings.log_delay, settings.log_polls) == (False, 9.0, False)
    assert (settings.log_retention, settings.logs) == (30 * 86400, False)
    assert gateway.credentials.enforced
    key = gateway.credentials.current_key(world.now())
    assert gateway.handle(Request.to("/v1/videos?provider=openai", {"x-bf-vk": str(key)})).status == 200
    assert gateway.handle(Request.to("/v1/videos?provider=openai")).status == 401


def test_a_profile_sets_everything_that_makes_a_cousin() -> None:
    gateway = build_gateway(make_parser().parse_args(["--profile", "window24h", "--jobs", "3"]))
    assert gateway.world.profile.polled
    for wrong in (["--rotate-keys", "often"], ["--also", "gemini:many"], ["--profile", "bifröst"]):
        with pytest.raises(SystemExit):
            main(wrong)
