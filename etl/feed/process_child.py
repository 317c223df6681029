"""The child of `apart`: an order on standard input; progress and the result, pickled, on the output."""

from __future__ import annotations

import os
import pickle
import signal
import sys
import threading

from etl.db.engine import make_engine
from etl.feed.delivery import deliver_to_one


def main() -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):  # a service manager may tell all processes at once
        signal.signal(number, lambda *_: stop.set())
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a library prints is no answer
    database, destination = pickle.load(sys.stdin.buffer)  # noqa: S301 - our own parent's
    threading.Thread(target=_obey_parent, args=[stop], daemon=True).start()

    def watch(_destination: str, table: str, rows: int) -> None:
        answers.write(pickle.dumps((table, rows)))

    answers.write(pickle.dumps(deliver_to_one(make_engine(database), destination, watch=watch, stop=stop)))
    os._exit(0)  # a library's threads keep nobody waiting


def _obey_parent(stop: threading.Event) -> None:
    """A byte asks to stop; the end says that our parent is dead, and then a hanging delivery helps nobody."""
    while sys.stdin.buffer.read(1):
        stop.set()
    os._exit(1)


if __name__ == "__main__":
    main()
