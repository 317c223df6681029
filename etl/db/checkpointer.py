"""SQLite's write-ahead log is copied into the file while rows are still being made, not when all is done."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from etl.db.engine import Engine, is_sqlite

#: Seconds between copies: a tick never comes to one, and a slow disk rests in between.
_PAUSE = 0.3


@contextmanager
def log_copied(engine: Engine) -> Iterator[None]:
    """Copy the log again and again, in a thread that holds neither Python's lock nor the writer's.

    Otherwise the commit that fills the log, or the end of the process, waits for the copy: a twelfth of a
    first load. What fails here fails where the log is needed, and is told there.
    """
    if not is_sqlite(engine):
        yield
        return
    ended = threading.Event()
    path = Path(str(engine.url.database)).absolute()
    thread = threading.Thread(target=_copy_log, args=(f"{path.as_uri()}?mode=rw", ended), daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _copy_log(address: str, ended: threading.Event) -> None:
    if ended.wait(_PAUSE):
        return
    with suppress(sqlite3.Error), closing(sqlite3.connect(address, uri=True)) as connection:
        while not ended.is_set():
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            ended.wait(_PAUSE)
