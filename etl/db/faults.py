"""The one seam where database errors become ours: by the driver's code, never by a class name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from etl.errors import DatabaseBusy, DatabaseRefused, DatabaseUnavailable, StorageError

_HINTS: dict[type[StorageError], str] = {
    DatabaseBusy: "another process is writing; the same command may succeed in a moment",
    DatabaseUnavailable: "is the database server running, and reachable from here?",
    DatabaseRefused: "free space, grant the rights, or correct the database URL",
}

_SQLITE: dict[int, type[StorageError]] = {
    sqlite3.SQLITE_BUSY: DatabaseBusy,
    sqlite3.SQLITE_LOCKED: DatabaseBusy,
    sqlite3.SQLITE_PERM: DatabaseRefused,
    sqlite3.SQLITE_READONLY: DatabaseRefused,
    sqlite3.SQLITE_IOERR: DatabaseRefused,
    sqlite3.SQLITE_FULL: DatabaseRefused,
    sqlite3.SQLITE_CANTOPEN: DatabaseRefused,
    sqlite3.SQLITE_NOTADB: DatabaseRefused,
}

# SQLSTATEs, or their two-character classes. The longer match wins.
_POSTGRES: dict[str, type[StorageError]] = {
    "40001": DatabaseBusy,  # serialisation failure
    "40P01": DatabaseBusy,  # deadlock
    "55P03": DatabaseBusy,  # lock_timeout
    "57014": DatabaseBusy,  # statement_timeout
    "08": DatabaseUnavailable,
    "25P03": DatabaseUnavailable,  # idle_in_transaction_session_timeout cut us
    "53300": DatabaseUnavailable,  # too many connections
    "57P": DatabaseUnavailable,  # shutdown, crash, still starting
    "25006": DatabaseRefused,  # read-only: a standby
    "28": DatabaseRefused,  # credentials
    "3D": DatabaseRefused,  # no such database
    "42501": DatabaseRefused,
    "53": DatabaseRefused,  # disk full, out of memory
    "58030": DatabaseRefused,  # I/O error
}
# A refused connection carries no SQLSTATE, only the server's words.
_POSTGRES_REFUSALS = ("authentication failed", "no pg_hba.conf entry", "does not exist", "permission denied")

_MYSQL: dict[int, type[StorageError]] = dict.fromkeys(
    (1020, 1205, 1213, 3024, 1969), DatabaseBusy
)  # record changed, lock wait, deadlock, statement timeouts
# too many connections, shutdown, killed, network, idle timeouts, 20xx: the client's own
_MYSQL |= dict.fromkeys(
    (0, 1040, 1053, 1152, 1159, 1161, 1927, 2002, 2003, 2006, 2013, 2014, 2055, 4031), DatabaseUnavailable
)
# disk full, table full, credentials, rights, unknown database, host barred, read-only server
_MYSQL |= dict.fromkeys(
    (1021, 1044, 1045, 1049, 1114, 1129, 1130, 1142, 1143, 1227, 1290, 1370, 1698, 1792, 1836, 3),
    DatabaseRefused,
)


@contextmanager
def storage_errors() -> Iterator[None]:
    """Turns what SQLAlchemy and the drivers raise into DatabaseBusy, DatabaseUnavailable, DatabaseRefused or
    StorageError. Messages hold what the server said and which database, never a password or a row."""
    try:
        yield
    except sa.exc.TimeoutError as exc:
        raise DatabaseBusy("all database connections of this process are in use") from exc
    except sa.exc.DBAPIError as exc:
        raise _translated(exc.orig, getattr(exc, "etl_place", ""), cut=exc.connection_invalidated) from exc
    except Exception as exc:
        # COPY goes straight to the driver.
        if _driver(exc) is None:
            raise
        raise _translated(exc, "") from exc


def note_place(engine: sa.Engine) -> None:
    """Lets every error of this engine say where it happened."""
    place = _place(engine.url)

    @sa.event.listens_for(engine, "handle_error")
    def _note(context: sa.engine.ExceptionContext) -> None:
        if context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.etl_place = place  # type: ignore[attr-defined]


def _place(url: sa.URL) -> str:
    if url.get_backend_name() == "sqlite":
        return f" ({url.database})"
    host = url.host or "the local socket"
    return f" (database {url.database} at {host}{f':{url.port}' if url.port else ''})"


def _translated(error: BaseException | None, place: str, *, cut: bool = False) -> StorageError:
    kind = _kind(error) or (DatabaseUnavailable if cut else StorageError)
    return kind(f"{_text(error)}{place}", hint=_HINTS.get(kind))


def _driver(error: BaseException | None) -> str | None:
    module = type(error).__module__.partition(".")[0]
    return module if module in ("sqlite3", "psycopg", "pymysql") else None


def _kind(error: Any) -> type[StorageError] | None:
    driver = _driver(error)
    if driver == "sqlite3":
        return _SQLITE.get(getattr(error, "sqlite_errorcode", 0) & 0xFF)
    if driver == "psycopg":
        return _postgres_kind(error)
    code = error.args[0] if driver == "pymysql" and error.args else None
    return _MYSQL.get(code) if isinstance(code, int) else None


def _postgres_kind(error: Any) -> type[StorageError] | None:
    if error.sqlstate is None:
        if type(error).__name__ not in ("OperationalError", "ConnectionTimeout"):
            return None
        refused = any(words in str(error) for words in _POSTGRES_REFUSALS)
        return DatabaseRefused if refused else DatabaseUnavailable
    return next((_POSTGRES[error.sqlstate[:n]] for n in (5, 3, 2) if error.sqlstate[:n] in _POSTGRES), None)


def _text(error: Any) -> str:
    """The server's first line. PostgreSQL's DETAIL is left out: it quotes rows."""
    primary = error.diag.message_primary if _driver(error) == "psycopg" else None
    if _driver(error) == "pymysql" and len(error.args) > 1:
        primary = str(error.args[1])
    lines = (primary or str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
