"""`simulate` as a process: its first line, its stopping."""

import http.client
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.simulator.cli import duration, main

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
    assert [duration(t) for t in ("20ms", "1.5s", "24h", "7d", "3")] == [0.02, 1.5, 86400, 604800, 3]


def test_mistakes_are_usage_errors(capsys: pytest.CaptureFixture[str]) -> None:
    for wrong in (["--latency", "soon"], ["--fault", "nonsense"]):
        with pytest.raises(SystemExit) as stop:
            main(wrong)
        assert stop.value.code == 2
    assert "unknown fault 'nonsense'" in capsys.readouterr().err
