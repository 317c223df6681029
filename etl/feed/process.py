"""A delivery in a process of its own: what it takes of memory and time, the service's syncs do not miss.

It can be killed at any moment, and ends by itself when we die. Asked to stop, it delivers the batch it holds.
"""

from __future__ import annotations

import contextlib
import pickle
import subprocess
import sys
import tempfile

from etl.config import Destination
from etl.errors import EtlError
from etl.feed.delivery import DeliveryWatch, FeedResult

_LAST_WORDS = 1_000


class Apart:
    """One delivery. `result` waits for its end; the other methods may be called from any thread meanwhile."""

    def __init__(self, database: str, destination: Destination) -> None:
        self._destination = destination
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed by `result`)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "etl.feed.process_child"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            process_group=0,  # Ctrl-C on a terminal is for us, who tell it
        )
        with contextlib.suppress(OSError):  # it has died already: its exit code says how
            assert self._process.stdin is not None
            self._process.stdin.write(pickle.dumps((database, destination)))
            self._process.stdin.flush()

    def result(self, watch: DeliveryWatch) -> FeedResult:
        """How the delivery ended. `watch` is told after each batch."""
        assert self._process.stdout is not None
        rows: dict[str, int] = {}
        result: FeedResult | None = None
        with self._process.stdout as answers, contextlib.suppress(EOFError, pickle.UnpicklingError):
            while result is None:
                answer = pickle.load(answers)  # noqa: S301 - our own child's
                if isinstance(answer, FeedResult):
                    result = answer
                else:
                    rows[answer[0]] = answer[1]
                    watch(self._destination.name, *answer)
        code = self._process.wait()
        with contextlib.suppress(OSError):
            assert self._process.stdin is not None
            self._process.stdin.close()
        with self._errors:
            return result or FeedResult(self._destination.name, "failed", rows, self._died(code))

    def ask_to_stop(self) -> None:
        """It ends after the batch it holds."""
        with contextlib.suppress(OSError, ValueError):  # it has ended
            assert self._process.stdin is not None
            self._process.stdin.write(b"s")
            self._process.stdin.flush()

    def kill(self) -> None:
        self._process.kill()

    def _died(self, code: int) -> EtlError:
        self._errors.seek(0)
        words = self._errors.read().decode(errors="replace").strip()[-_LAST_WORDS:]
        return EtlError(
            f"feed destination {self._destination.name!r}: its process ended with {code}: {words}",
            hint="the next delivery continues where this one stopped",
        )
