"""Keep the lease alive while a run waits: for a slow gateway, a Retry-After, a long batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from etl.errors import EtlError
from etl.load import Store
from etl.pipeline.run import Stopped


@contextmanager
def heartbeat(store: Store) -> Iterator[None]:
    """Renew the lease every third of its length until the block ends.

    A renewal that fails is left to the next commit to notice: every commit checks the lease itself.
    """
    ended = threading.Event()
    thread = threading.Thread(target=_beat, args=(store, ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _beat(store: Store, ended: threading.Event) -> None:
    while not ended.wait(store.lease.seconds / 3):
        try:
            store.renew()
        except (EtlError, Stopped):
            return
