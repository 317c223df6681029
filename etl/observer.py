"""Who is told of a run while it goes on: one listener for its whole life."""

from __future__ import annotations

from typing import Protocol

from etl.records import Counts, RunKind, RunResult


class Observer(Protocol):
    """Told from the threads that do the work. Lengths are seconds."""

    def started(self, source: str, kind: RunKind) -> None: ...

    def requested(self, source: str, seconds: float) -> None:
        """The gateway has answered; waits between tries do not count."""

    def waiting(self, source: str, error: Exception, seconds: float) -> None:
        """A request failed, and is repeated after this wait."""

    def advanced(self, source: str, counts: Counts, seconds: float) -> None:
        """A batch is stored, which took so long; `counts` are the run's so far."""

    def reading(self, source: str, what: str, count: int) -> None:
        """So many rows of the gateway's log, or jobs by id, were read so far: `what` begins with the noun."""

    def finished(self, result: RunResult) -> None: ...


class Silent:
    """Nobody looks."""

    def started(self, source: str, kind: RunKind) -> None: ...
    def requested(self, source: str, seconds: float) -> None: ...
    def waiting(self, source: str, error: Exception, seconds: float) -> None: ...
    def advanced(self, source: str, counts: Counts, seconds: float) -> None: ...
    def reading(self, source: str, what: str, count: int) -> None: ...
    def finished(self, result: RunResult) -> None: ...
