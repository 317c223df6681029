"""A feed in a process of its own that ends itself, as `kill -9` would, at its n-th function call.

python -m tests.feed.feeder DATABASE_URL KIND DESTINATION_URL N [upkeep]

N = 0: it lives, and prints its calls. `upkeep`: only those are counted that keep the destination small, and
what was replaced may go at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import msgspec

from etl.config import Destination, SecretUrl
from etl.db.engine import make_engine
from etl.feed import delivery
from etl.feed.sinks.registry import open_sink


def main(url: str, kind: str, place: str, last: int, within: str = "") -> None:
    destination = Destination(name="target", type=kind, url=SecretUrl(place))  # type: ignore[arg-type]
    open_sink(destination).close()  # imports are not what is interrupted
    calls = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)

    def start() -> None:
        threading.setprofile(count)
        sys.setprofile(count)

    if within == "upkeep":
        destination = msgspec.structs.replace(destination, keep_replaced=0.001)
        _call_before_upkeep(start)
    else:
        start()
    result = delivery.deliver_to_one(make_engine(url), destination, batch_rows=40)
    sys.setprofile(None)
    if result.error is not None:
        raise result.error
    print(calls)


def _call_before_upkeep(start: Callable[[], None]) -> None:
    def opened(destination: Destination) -> Any:
        sink: Any = open_sink(destination)
        keep_small = sink.upkeep

        def upkeep() -> None:
            start()
            keep_small()

        sink.upkeep = upkeep
        return sink

    delivery.open_sink = opened  # type: ignore[attr-defined]


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]), *sys.argv[5:])
