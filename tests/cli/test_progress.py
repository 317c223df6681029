"""A run, watched on a terminal of 80 columns: which source, how far, and what it waits for."""

from __future__ import annotations

import io
import time
from collections.abc import Callable

import pytest
from rich.console import Console

from etl.cli.progress import Moving, make_bars
from etl.errors import EtlError
from etl.records import Counts


@pytest.mark.parametrize("width", [60, 80, 120])
def test_a_wait_says_which_source_and_why(width: int):
    error = EtlError("GET /v1/videos (source main): gateway.example.com:8443: connection refused")
    said = drawn(width, lambda moving: moving.waiting("main", error, 4.6))
    assert "main (incremental)" in said
    assert "waiting5s:gateway.example.com:8443:connectionrefused" in "".join(said.split())  # as it is wrapped


def test_counts_fit_on_one_line_of_80_columns():
    counts = Counts(pages=12_345, jobs_seen=1_234_567)
    said = drawn(80, lambda moving: moving.advanced("main", counts, 0.1), seconds_ago=400)
    (line,) = [line for line in said.splitlines() if line.strip()]
    assert (
        "main (incremental)" in line and "1,234,567 jobs 12,345 pages" in line and line.strip().endswith("/s")
    )


def drawn(width: int, act: Callable[[Moving], None], seconds_ago: float = 0) -> str:
    screen = Console(file=io.StringIO(), width=width)
    bars = make_bars(True, screen)
    moving = Moving(bars, lambda text: text)
    moving.started("main", "incremental")
    moving._tasks["main"] = moving._tasks["main"][0], time.monotonic() - seconds_ago
    act(moving)
    with screen.capture() as captured:
        screen.print(bars.get_renderable())
    return captured.get()
