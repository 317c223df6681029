"""The one seam where database errors become ours: by the driver's code, never by a class name."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from etl.errors import DatabaseBusy, DatabaseRefused, DatabaseUnavailable, DuplicateRow, StorageError
from etl.words import how_to_install

#: A kind of error, and what a person can do about it.
Meaning = tuple[type[StorageError], str | None]

_BUSY: Meaning = (DatabaseBusy, "another process is writing; the same command may succeed in a moment")
_AWAY: Meaning = (DatabaseUnavailable, "is the database server running, and reachable from here?")
_FULL: Meaning = (DatabaseRefused, "free space on the database's disk; the next run goes on where this ended")
_CROWDED: Meaning = (
    DatabaseUnavailable,
    "all connections are taken: end others', or raise the server's or the account's limit",
)
_SLOW: Meaning = (DatabaseBusy, "the server ended a statement that took too long; is it overloaded?")
_ENDED: Meaning = (DatabaseBusy, "somebody ended a statement on the server; the next run goes on from here")
_SORT: Meaning = (DatabaseRefused, "let the server sort long rows: sort_buffer_size = 2M or more")
_BINLOG: Meaning = (DatabaseRefused, "let the server log rows: binlog_format = MIXED or ROW")
_READ_ONLY: Meaning = (DatabaseRefused, "the database is read-only: a standby, a mount, or file rights?")
_BARRED: Meaning = (
    DatabaseRefused,
    "the database is read-only: a standby? Else ALTER DATABASE ... RESET default_transaction_read_only",
)
_RIGHTS: Meaning = (DatabaseRefused, "grant this user the right to create, read and write these tables")
_LOGIN: Meaning = (DatabaseRefused, "check user and password in the database URL, and who may connect")
_PLUGIN: Meaning = (
    DatabaseRefused,
    "let the account log in by caching_sha2_password, ed25519 or mysql_native_password",
)
_EXPIRED: Meaning = (DatabaseRefused, "the account's password has expired or it is locked: renew it there")
_TLS: Meaning = (DatabaseRefused, "ask for TLS in the database URL (?ssl-mode=REQUIRED), or for none")
_NOWHERE: Meaning = (DatabaseRefused, "create the database, or correct its name in the database URL")
_NO_SCHEMA: Meaning = (
    DatabaseRefused,
    "create the schema that search_path names, and let this account use it and create in it",
)
_NO_FILE: Meaning = (DatabaseRefused, "may this user write the file and its folder, and is the path right?")
_OTHER_FILE: Meaning = (DatabaseRefused, "correct the path in the database URL: this file is something else")
_ENCODING: Meaning = (
    DatabaseRefused,
    "the database must store every character: create it as UTF-8 (utf8mb4)",
)
_POOLED: Meaning = (
    DatabaseRefused,
    "the pooler gives each statement another connection: let it keep one for a transaction"
    " (pool_mode = transaction)",
)
_SMALL: Meaning = (DatabaseRefused, "let the server take larger messages: max_allowed_packet = 16M")
#: A statement is longer only where one job alone is.
_LONG = 1 << 20
_DOUBLE: Meaning = (DuplicateRow, None)
_SICK: Meaning = (DatabaseRefused, "look at the database server's log, its memory and its disk")

_SQLITE: dict[int, Meaning] = {
    sqlite3.SQLITE_BUSY: _BUSY,
    sqlite3.SQLITE_LOCKED: _BUSY,
    sqlite3.SQLITE_PERM: _NO_FILE,
    sqlite3.SQLITE_READONLY: _READ_ONLY,
    sqlite3.SQLITE_IOERR: _FULL,  # a quota, a limit on file sizes, or a disk that fails
    sqlite3.SQLITE_FULL: _FULL,
    sqlite3.SQLITE_CANTOPEN: _NO_FILE,
    sqlite3.SQLITE_NOTADB: _OTHER_FILE,
    sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY: _DOUBLE,
    sqlite3.SQLITE_CONSTRAINT_UNIQUE: _DOUBLE,
}

# SQLSTATEs, or their two-character classes. The longer match wins.
_POSTGRES: dict[str, Meaning] = {
    "40001": _BUSY,  # serialisation failure
    "40P01": _BUSY,  # deadlock
    "55P03": _BUSY,  # lock_timeout
    "57014": _SLOW,  # statement_timeout
    "08": _AWAY,
    "25P03": _AWAY,  # idle_in_transaction_session_timeout cut us
    "53300": _CROWDED,
    "57P": _AWAY,  # shutdown, crash, still starting
    "22P05": _ENCODING,
    "23505": _DOUBLE,
    "25006": _BARRED,
    "28": _LOGIN,
    "3D": _NOWHERE,
    "3F": _NO_SCHEMA,
    "42501": _RIGHTS,
    "53100": _FULL,
    "53": _SICK,  # out of memory
    "58030": _SICK,  # I/O error
}
# A refused connection carries no SQLSTATE, only the server's words.
_POSTGRES_REFUSALS = {
    "too many clients": _CROWDED,
    "too many connections": _CROWDED,
    "connection slots": _CROWDED,  # … are reserved
    "authentication failed": _LOGIN,
    "no pg_hba.conf entry": _LOGIN,
    "permission denied": _RIGHTS,
    "not permitted to log in": _LOGIN,
    'role "': _LOGIN,  # … does not exist
    "does not exist": _NOWHERE,
}

# record changed, lock wait, deadlock, too many transactions, lost to another node of the cluster
_MYSQL: dict[int, Meaning] = dict.fromkeys((1020, 1205, 1213, 1637, 3101), _BUSY)
_MYSQL |= {1317: _ENDED}  # KILL QUERY
_MYSQL |= dict.fromkeys((1969, 3024), _SLOW)  # max_statement_time, max_execution_time
# shutdown, killed, network, idle timeouts, a node that joins its cluster, offline mode
_MYSQL |= dict.fromkeys((0, 1047, 1053, 1152, 1158, 1159, 1160, 1161, 1927, 3032, 3169, 4031), _AWAY)
# the client's own
_MYSQL |= dict.fromkeys((2002, 2003, 2006, 2013, 2014, 2055), _AWAY)
_MYSQL |= dict.fromkeys((1040, 1203, 1226), _CROWDED)  # of the server, of the account, in this hour
_MYSQL |= dict.fromkeys((3, 1021, 1114), _FULL)
_MYSQL |= dict.fromkeys((1290, 1792, 1836), _READ_ONLY)
_MYSQL |= dict.fromkeys((1044, 1142, 1143, 1227, 1370), _RIGHTS)
_MYSQL |= dict.fromkeys((1045, 1129, 1130, 1698), _LOGIN)
_MYSQL |= dict.fromkeys((1251, 2059, 2061), _PLUGIN)
_MYSQL |= dict.fromkeys((1820, 1862, 3118, 4151), _EXPIRED)
_MYSQL |= dict.fromkeys((2026, 3159), _TLS)
_MYSQL |= {1038: _SORT, 1665: _BINLOG}
_MYSQL |= {1049: _NOWHERE, 1062: _DOUBLE, 1153: _SMALL}


@contextmanager
def storage_errors(place: str = "") -> Iterator[None]:
    """Turns what SQLAlchemy and the drivers raise into DatabaseBusy, DatabaseUnavailable, DatabaseRefused or
    StorageError. Messages hold what the server said and which database, never a password or a row.

    `place` is said of errors that come straight from the driver; others know theirs.
    """
    try:
        yield
    except sa.exc.TimeoutError as exc:
        raise DatabaseBusy("all database connections of this process are in use") from exc
    except sa.exc.DBAPIError as exc:
        first = _before_rollback(exc)
        said = getattr(first, "etl_place", place)
        long = len(first.statement or "") > _LONG
        raise _translate_error(first.orig, said, cut=exc.connection_invalidated, long=long) from exc
    except Exception as exc:
        # COPY goes straight to the driver, and so does what sets a new connection up.
        if _driver_name(exc) is None:
            raise
        raise _translate_error(exc, place) from exc


def _before_rollback(error: sa.exc.DBAPIError) -> sa.exc.DBAPIError:
    """What a statement met, where the ROLLBACK because of it failed as well: a lost connection takes none."""
    before = error.__context__
    return before if error.statement is None and isinstance(before, sa.exc.DBAPIError) else error


@contextmanager
def missing_login_package() -> Iterator[None]:
    """PyMySQL imports what an account's login needs when the server asks for it."""
    try:
        yield
    except (RuntimeError, ImportError) as exc:
        raise DatabaseRefused(
            f"this account's login needs a package that is not installed: {exc}",
            hint=how_to_install("mysql-login"),
        ) from exc


def is_known(error: Exception) -> bool:
    """The database is busy, away, full or will not let us in; not that it does not know what we asked for."""
    return _meaning_of(error) is not None


def is_crowded(error: Exception) -> bool:
    """All connections of the server or the account are taken."""
    return _meaning_of(error) is _CROWDED


def note_errors(engine: sa.Engine) -> None:
    """Lets every error of this engine say where it happened, and leaves a server that no longer takes writes.

    After a failover who kept the old connections would write to the old server for ever. SQLite's file has no
    other server; what is left there is a file that stays open, on a disk that nobody can unmount then.
    """
    place, served = place_of(engine), engine.dialect.name != "sqlite"

    @sa.event.listens_for(engine, "handle_error")
    def _note(context: sa.engine.ExceptionContext) -> None:
        if served and _meaning_of(context.original_exception) in (_READ_ONLY, _BARRED):
            context.is_disconnect = True
        if context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.etl_place = place  # type: ignore[attr-defined]


def place_of(engine: sa.Engine) -> str:
    """Which database this is, in brackets, without user and password."""
    url = engine.url
    if url.get_backend_name() == "sqlite":
        return f" ({url.database})"
    host = url.host or "the local socket"
    return f" (database {url.database} at {host}{f':{url.port}' if url.port else ''})"


def _translate_error(
    error: BaseException | None, place: str, *, cut: bool = False, long: bool = False
) -> StorageError:
    kind, hint = _meaning_of(error) or (_AWAY if cut else (StorageError, None))
    if long and kind is DatabaseUnavailable and _driver_name(error) == "pymysql":
        kind, hint = _SMALL  # the server cuts off who sends a statement of one job that is too long for it
    return kind(f"{_error_text(error)}{place}", hint=hint)


def _driver_name(error: BaseException | None) -> str | None:
    module = type(error).__module__.partition(".")[0]
    return module if module in ("sqlite3", "psycopg", "pymysql") else None


def _meaning_of(error: Any) -> Meaning | None:
    driver = _driver_name(error)
    if driver == "sqlite3":
        code = getattr(error, "sqlite_errorcode", 0)
        return _SQLITE.get(code) or _SQLITE.get(code & 0xFF)
    if driver == "psycopg":
        return _postgres_meaning(error)
    number = error.args[0] if driver == "pymysql" and error.args else None
    return _MYSQL.get(number) if isinstance(number, int) else None


def _postgres_meaning(error: Any) -> Meaning | None:
    if error.sqlstate is None:
        if type(error).__name__ not in ("OperationalError", "ConnectionTimeout"):
            return None
        refused = (meaning for words, meaning in _POSTGRES_REFUSALS.items() if words in str(error))
        return next(refused, _AWAY)
    if "statement pooling" in str(error):  # PgBouncer's words, under the SQLSTATE of a broken connection
        return _POOLED
    return next((_POSTGRES[error.sqlstate[:n]] for n in (5, 3, 2) if error.sqlstate[:n] in _POSTGRES), None)


def _error_text(error: Any) -> str:
    """The server's first line. PostgreSQL's DETAIL is left out: it quotes rows."""
    primary = error.diag.message_primary if _driver_name(error) == "psycopg" else None
    if _driver_name(error) == "pymysql" and len(error.args) > 1:
        primary = str(error.args[1])
    lines = (primary or str(error)).strip().splitlines()
    return lines[0] if lines else type(error).__name__
