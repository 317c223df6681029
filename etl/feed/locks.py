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
from etl.db.postgres import is_pooled

#: The server's, for all its databases; MySQL takes no name beyond 64 characters.
_NAME = "CONCAT('bifrost-etl-feed-', LEFT(SHA2(DATABASE(), 256), 32), '-', :number)"
_TAKE = {
    "postgresql": "SELECT pg_try_advisory_lock(:space, :number)",
    "mysql": f"SELECT GET_LOCK({_NAME}, 0)",
}
_GIVE = {
    "postgresql": "SELECT pg_advisory_unlock(:space, :number)",
    "mysql": f"SELECT RELEASE_LOCK({_NAME})",
}
_TAKE_FOR_TRANSACTION = "SELECT pg_try_advisory_xact_lock(:space, :number)"
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
    with storage_errors():
        connection = engine.connect()
    with connection:
        holding = _lock_of_transaction if is_pooled(connection.info) else _lock_of_session
        with holding(connection, number) as held:
            yield held


@contextmanager
def _lock_of_session(connection: sa.Connection, number: int) -> Iterator[bool]:
    """Outside any transaction, so that waiting for a slow destination costs nothing."""
    family = "postgresql" if connection.dialect.name == "postgresql" else "mysql"
    values = {"space": _SPACE, "number": number - 2**31}
    known = {key: value for key, value in values.items() if f":{key}" in _TAKE[family]}
    connection.execution_options(isolation_level="AUTOCOMMIT")
    with storage_errors():
        held = bool(connection.execute(sa.text(_TAKE[family]), known).scalar())
    try:
        yield held
    finally:
        if held and not connection.invalidated:
            with storage_errors():
                connection.execute(sa.text(_GIVE[family]), known)


@contextmanager
def _lock_of_transaction(connection: sa.Connection, number: int) -> Iterator[bool]:
    """Behind a pooler a session is not ours: its lock would be that of whoever has the session next."""
    values = {"space": _SPACE, "number": number - 2**31}
    with storage_errors():
        connection.exec_driver_sql("SELECT set_config('idle_in_transaction_session_timeout', '0', true)")
        held = bool(connection.execute(sa.text(_TAKE_FOR_TRANSACTION), values).scalar())
    try:
        yield held
    finally:
        with storage_errors():
            connection.rollback()


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
