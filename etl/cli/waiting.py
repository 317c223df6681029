"""A word to whoever waits long for an answer."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

from etl.cli.output import DIM, print_line

#: Seconds. An answer from totals or an index is there before.
PATIENCE = 4.0


@contextmanager
def hint_when_slow(hint: str) -> Iterator[None]:
    """The hint on standard error, while what is done here takes longer than `PATIENCE`."""
    timer = Timer(PATIENCE, print_line, (hint, DIM), {"stream": sys.stderr})
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
