"""A feed in a process of its own that ends itself, as `kill -9` would, at its n-th function call.

python -m tests.feed.feeder DATABASE_URL KIND DESTINATION_URL N    (N = 0: lives, and prints its calls)
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

from etl.config import Destination, SecretUrl
from etl.db.engine import make_engine
from etl.feed import delivery
from etl.feed.sinks.registry import open_sink


def main(url: str, kind: str, place: str, last: int) -> None:
    destination = Destination(name="target", type=kind, url=SecretUrl(place))  # type: ignore[arg-type]
    open_sink(destination).close()  # imports are not what is interrupted
    calls = 0

    def count(_frame: FrameType, event: str, _argument: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == last:
            os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(count)
    sys.setprofile(count)
    result = delivery.deliver_to_one(make_engine(url), destination, batch_rows=40)
    sys.setprofile(None)
    if result.error is not None:
        raise result.error
    print(calls)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
