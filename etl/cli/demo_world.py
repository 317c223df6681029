"""What the demo runs on: a folder of its own, and a simulated gateway in a process of its own."""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from etl.errors import ConfigError, EtlError

TOKEN = "sk-demo-4f9a1c7e2b8d6035"  # noqa: S105 (the simulator's, on loopback)
_MARK = "# Written by `bifrost-etl demo`; the next demo replaces it.\n"
_CONFIG = """\
database:
  url: {database}
sources:
  - name: demo
    base_url: {base_url}
    provider: openai
    api_key: {token}
    schedule: {{every: 5s}}
service:
  port: 0              # any free one
  log_level: warning
"""


def prepare_folder(folder: Path) -> tuple[Path, Path]:
    """The paths of the configuration and the database in `folder`, with an earlier demo's files removed.

    Raises ConfigError when files of these names are not a demo's.
    """
    config, database = folder / "bifrost-etl.yaml", folder / "demo.db"
    ours = config.is_file() and config.read_text(encoding="utf-8", errors="replace").startswith(_MARK)
    taken = [path for path in (config, database) if path.exists()]
    if taken and not ours:
        raise ConfigError(f"{taken[0]} exists and is not a demo's", hint="choose another --folder")
    for path in (database, Path(f"{database}-wal"), Path(f"{database}-shm")):
        path.unlink(missing_ok=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        config.write_text(_MARK, encoding="utf-8")
    except OSError as exc:
        raise ConfigError(
            f"cannot write to {folder}: {exc.strerror}", hint="choose another folder: --folder DIR"
        ) from exc
    return config, database


def write_config(config: Path, database: Path, base_url: str) -> None:
    text = _CONFIG.format(database=f"sqlite:///{database}", base_url=base_url, token=TOKEN)
    config.write_text(_MARK + text, encoding="utf-8")


@contextmanager
def run_simulator(jobs: int, start: float) -> Iterator[str]:
    """A simulated gateway with `jobs` jobs, its clock at `start` (unix seconds); gives its address."""
    options = {
        "port": 0,
        "jobs": jobs,
        "seed": 18,  # of its jobs, three are stuck at the end
        "stuck": 0.002,
        "start": start,
        "gap": "200s",  # 5,000 jobs: eleven days, so that last week is whole
        "rate": 240,
        "latency": "25ms",
        "token": TOKEN,
    }
    flags = [f"--{name}={value}" for name, value in options.items()]
    child = subprocess.Popen(  # noqa: S603 (our own interpreter and module)
        [sys.executable, "-m", "etl.simulator", *flags, "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,  # a Ctrl-C is for us; the simulator ends when its stdin does
    )
    try:
        yield _read_address(child)
    finally:
        _end_child(child)


def _read_address(child: subprocess.Popen[str]) -> str:
    assert child.stdout is not None
    line = child.stdout.readline()
    if not line.startswith("listening on "):
        raise EtlError("the simulated gateway did not start", hint="to see why, run: bifrost-etl simulate")
    return line.removeprefix("listening on ").strip()


def _end_child(child: subprocess.Popen[str]) -> None:
    assert child.stdin is not None and child.stdout is not None
    with suppress(BrokenPipeError):
        child.stdin.close()
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
    child.stdout.close()


def advance_clock(base_url: str, seconds: float) -> None:
    """Let simulated time pass, through the simulator's control address."""
    request = urllib.request.Request(f"{base_url}/_sim/advance?seconds={seconds:g}", method="POST")  # noqa: S310
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=10) as answer:
        answer.read()
