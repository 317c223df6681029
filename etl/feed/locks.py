"""One feed per destination at a time: a lock that ends with the process that holds it."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy as sa

from etl.db.engine import is_sqlite, storage_errors

_TAKE = {
    "postgresql": "SELECT pg_try_advisory_lock(:space, :number)",
    "mysql": "SELECT GET_LOCK(CONCAT('bifrost-etl-feed-', DATABASE(), '-', :number), 0)",
}
_GIVE = {
    "postgresql": "SELECT pg_advisory_unlock(:space, :number)",
    "mysql": "SELECT RELEASE_LOCK(CONCAT('bifrost-etl-feed-', DATABASE(), '-', :number))",
}
_SPACE = 0x6269_6672  # "bifr"


@contextmanager
def only_one(engine: sa.Engine, name: str) -> Iterator[bool]:
    """Whether nobody else delivers to `name` now; held until the end of the block."""
    holding = _file_lock(engine, name) if is_sqlite(engine) else _server_lock(engine, name)
    with holding as held:
        yield held


@contextmanager
def _server_lock(engine: sa.Engine, name: str) -> Iterator[bool]:
    """Belongs to a session outside any transaction, so that waiting for a slow destination costs nothing."""
    family = "postgresql" if engine.dialect.name == "postgresql" else "mysql"
    values = {"space": _SPACE, "number": zlib.crc32(name.encode()) - 2**31}
    known = {key: value for key, value in values.items() if f":{key}" in _TAKE[family]}
    with storage_errors():
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    with connection:
        with storage_errors():
            held = bool(connection.execute(sa.text(_TAKE[family]), known).scalar())
        try:
            yield held
        finally:
            if held and not connection.invalidated:
                with storage_errors():
                    connection.execute(sa.text(_GIVE[family]), known)


@contextmanager
def _file_lock(engine: sa.Engine, name: str) -> Iterator[bool]:
    path = Path(f"{engine.url.database}.feed-{name}.lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _locked(handle)
    finally:
        os.close(handle)


def _locked(handle: int) -> bool:
    try:
        if os.name == "nt":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
