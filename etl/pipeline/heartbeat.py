"""Keep the lease alive while a run waits: for a slow gateway, a Retry-After, a long batch."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from etl.errors import EtlError
from etl.load import Store
from etl.log import get_logger
from etl.pipeline.run import Stopped


@contextmanager
def heartbeat(store: Store) -> Iterator[None]:
    """Renew the lease whenever a third of its length has passed without a commit, until the block ends.

    Every commit renews it too, so a load that goes on needs no second connection: on SQLite it cost 8 MB, its
    own cache and what it did to the first one's. A renewal that fails is left to the next commit to notice,
    which checks the lease itself.
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
    third = store.lease.seconds / 3
    wait = third
    while not ended.wait(wait):
        wait = third - store.lease.age()
        if wait <= 0:
            try:
                store.renew()
            except (EtlError, Stopped):
                return
            except Exception:  # noqa: BLE001 (a thread's last seam: the lease runs out while we are busy)
                get_logger("pipeline").exception("renewal_broke", run=store.committed.run_id)
            wait = third
