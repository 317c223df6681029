"""A run, watched: one moving line per source on a terminal, now and then a plain line anywhere else.

Both go to stderr, so that a command's output stays clean; both are told from several threads at once.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from etl.cli.output import make_console, make_printable, on_terminal
from etl.observer import Observer, Silent
from etl.records import Counts, RunKind, RunResult
from etl.words import count_noun

if TYPE_CHECKING:
    import rich.console
    import rich.progress

#: How a gateway's error begins.
_QUESTION = re.compile(r"^[A-Z]+ \S+ \(source .*?\): ")
#: Seconds between two plain lines of one source, and the shortest wait worth a line.
PLAIN_EVERY, WORTH_A_LINE = 10.0, 1.0


@contextmanager
def show_progress(
    redact: Callable[[str], str], *, expected: int | None = None, keep: bool = False
) -> Iterator[Observer]:
    """The progress that suits stderr. `expected` jobs make a bar that fills; `keep` leaves it there."""
    if not on_terminal(sys.stderr):
        yield Plain(redact)
        return
    with make_bars(keep) as bars:
        yield Moving(bars, redact, expected)


def make_bars(keep: bool, console: rich.console.Console | None = None) -> rich.progress.Progress:
    import rich.progress
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.table import Column

    return rich.progress.Progress(
        SpinnerColumn(finished_text="✓"),
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=10),
        TimeElapsedColumn(),
        TextColumn("{task.fields[said]}", markup=False, table_column=Column(overflow="fold")),
        console=console or make_console(sys.stderr, wrap=True),
        transient=not keep,
        redirect_stdout=False,
    )


class Moving(Silent):
    """One line per source, drawn by Rich: how far it has come, or what it waits for, in more lines where the
    terminal is narrow. The length of a list is not known before its end."""

    def __init__(
        self, bars: rich.progress.Progress, redact: Callable[[str], str], expected: int | None = None
    ) -> None:
        self._bars, self._redact, self._expected = bars, redact, expected
        self._tasks: dict[str, tuple[int, float]] = {}

    def started(self, source: str, kind: RunKind) -> None:
        name = f"{source} ({kind})"
        task = self._bars.add_task(name, total=self._expected, said="")
        self._tasks[source] = task, time.monotonic()

    def advanced(self, source: str, counts: Counts, seconds: float) -> None:
        task, began = self._tasks[source]
        rate = counts.jobs_seen / max(time.monotonic() - began, 0.001)
        jobs, pages = count_noun(counts.jobs_seen, "job"), count_noun(counts.pages, "page")
        said = f"{jobs:>14} {pages:>12} {rate:>7,.0f}/s"
        self._update(task, completed=counts.jobs_seen, said=said)

    def reading(self, source: str, what: str, count: int) -> None:
        if source in self._tasks:
            self._update(self._tasks[source][0], said=f"{_count_read(what, count)} read")

    def waiting(self, source: str, error: Exception, seconds: float) -> None:
        if source in self._tasks:
            why = _QUESTION.sub("", str(error))  # the line begins with the source
            said = make_printable(self._redact(f"waiting {seconds:.0f}s: {why}"))
            self._update(self._tasks[source][0], said=said)

    def finished(self, result: RunResult) -> None:
        if result.source in self._tasks:
            task, _ = self._tasks[result.source]
            if result.status == "ok":
                self._update(task, total=result.counts.jobs_seen or 1, completed=result.counts.jobs_seen or 1)
            else:
                self._update(task, said=result.status)

    def _update(self, task: int, **fields: object) -> None:
        self._bars.update(task, **fields)  # type: ignore[arg-type]


def _count_read(what: str, count: int) -> str:
    noun, _, rest = what.partition(" ")
    return f"{count_noun(count, noun)} {rest}"


class Plain(Silent):
    """Lines for a log file: waits, and every ten seconds how far a long run has come."""

    def __init__(self, redact: Callable[[str], str], now: Callable[[], float] = time.monotonic) -> None:
        self._redact, self._now = redact, now
        self._said: dict[str, float] = {}
        self._lock = threading.Lock()

    def started(self, source: str, kind: RunKind) -> None:
        self._said[source] = self._now()

    def advanced(self, source: str, counts: Counts, seconds: float) -> None:
        jobs, pages = count_noun(counts.jobs_seen, "job"), count_noun(counts.pages, "page")
        self._print_seldom(source, f"{jobs}, {pages} so far")

    def reading(self, source: str, what: str, count: int) -> None:
        self._print_seldom(source, f"{_count_read(what, count)} read so far")

    def _print_seldom(self, source: str, text: str) -> None:
        now = self._now()
        if now - self._said.get(source, now) >= PLAIN_EVERY:
            self._said[source] = now
            self._print(f"{source}: {text}")

    def waiting(self, source: str, error: Exception, seconds: float) -> None:
        if seconds >= WORTH_A_LINE:
            self._print(f"{source}: waiting {seconds:.0f}s: {error}")

    def finished(self, result: RunResult) -> None:
        self._said.pop(result.source, None)

    def _print(self, text: str) -> None:
        with self._lock:
            print(make_printable(self._redact(text)), file=sys.stderr, flush=True)
