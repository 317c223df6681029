"""One feed per place at a time, whatever names it has: a lock that ends with the process that holds it."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import sqlalchemy as sa

from etl.config import Destination
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


_PORTS: dict[str, int] = {"postgresql": 5432}


def destination_place(destination: Destination) -> str:
    """Where a destination's rows go, without secrets: the same for every spelling of the same place."""
    dataset = destination.options.get("dataset", "bifrost")
    if destination.url is None:
        options = sorted((key, str(value)) for key, value in destination.options.items())
        return f"{destination.type} {[option for option in options if option[0] != 'credentials']}"
    parts = urlsplit(destination.url.reveal())
    scheme = parts.scheme.partition("+")[0].lower()
    if scheme in ("", "file", "duckdb"):
        path = parts.path.removeprefix("/") if scheme == "duckdb" else parts.path
        return f"{os.path.realpath(Path(path).expanduser())} {dataset}"
    scheme = "postgresql" if scheme == "postgres" else scheme
    port = parts.port or _PORTS.get(scheme)
    return f"{scheme}://{(parts.hostname or '').lower()}:{port or ''}{parts.path.rstrip('/')} {dataset}"


@contextmanager
def only_one(engine: sa.Engine, destination: Destination) -> Iterator[bool]:
    """Whether nobody else delivers to this place now; held until the end of the block."""
    number = zlib.crc32(destination_place(destination).encode())
    holding = _file_lock(engine, number) if is_sqlite(engine) else _server_lock(engine, number)
    with holding as held:
        yield held


@contextmanager
def _server_lock(engine: sa.Engine, number: int) -> Iterator[bool]:
    """Belongs to a session outside any transaction, so that waiting for a slow destination costs nothing."""
    family = "postgresql" if engine.dialect.name == "postgresql" else "mysql"
    values = {"space": _SPACE, "number": number - 2**31}
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
def _file_lock(engine: sa.Engine, number: int) -> Iterator[bool]:
    path = Path(f"{os.path.realpath(str(engine.url.database))}.feed-{number:08x}.lock")
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        yield _lock_handle(handle)
    finally:
        os.close(handle)


def _lock_handle(handle: int) -> bool:
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
