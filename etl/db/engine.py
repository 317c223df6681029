"""A database URL becomes an engine: driver, session settings, timeouts, and real transactions.

The rest of the program sees the same behaviour on SQLite, PostgreSQL and MariaDB/MySQL: UTC, READ COMMITTED
or better, waits for locks bounded by LOCK_WAIT, and a connection that idles inside a transaction is cut.
"""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import sqlalchemy as sa

from etl.db import mysql_urls, postgres, sqlite
from etl.db.driver_errors import is_crowded, missing_login_package, note_errors, place_of, storage_errors
from etl.errors import ConfigError
from etl.words import how_to_install

__all__ = [
    "Engine", "file_missing", "is_sqlite", "make_engine",
    "read_transaction", "storage_errors", "write_transaction",
]  # fmt: skip

Engine = sa.Engine

#: Seconds that a statement waits for another transaction's lock before DatabaseBusy.
LOCK_WAIT = 30

# What a user writes, the driver we use for it, the module to look for, and the extra that installs it.
_DRIVERS = {
    "sqlite": ("sqlite+pysqlite", "sqlite3", ""),
    "postgresql": ("postgresql+psycopg", "psycopg", "postgres"),
    "mysql": ("mysql+pymysql", "pymysql", "mysql"),
}
_ALIASES = {
    "postgres": "postgresql",
    "postgresql+psycopg": "postgresql",
    "mariadb": "mysql",
    "mysql+pymysql": "mysql",
    "mariadb+pymysql": "mysql",
    "sqlite+pysqlite": "sqlite",
}
_KINDS = "sqlite:///FILE, postgresql://USER@HOST/NAME, mysql://USER@HOST/NAME or mariadb://USER@HOST/NAME"


def make_engine(
    url: str, *, pool_size: int = 5, echo: bool = False, idle_transaction_timeout: float = 60
) -> sa.Engine:
    """An engine for `url`; nothing is connected yet, except that SQLite's folder is created.

    `idle_transaction_timeout` (seconds): a server ends a connection that holds a transaction open without
    working for that long, so a frozen process cannot keep its locks. MariaDB has it, MySQL has not.
    Raises ConfigError for a URL that cannot be used or a driver that is not installed.
    """
    parsed = _parse_url(url)
    family = parsed.get_backend_name()
    parsed, given = _read_parameters(parsed, family)
    options: dict[str, Any] = {"hide_parameters": True, "echo": echo, "pool_size": pool_size}
    # The connection used last: in turns with the heartbeat's, both would fill their caches (7 MB on SQLite).
    options["pool_use_lifo"] = True
    if family == "sqlite":
        engine = sa.create_engine(sqlite.file_of_url(parsed), connect_args={"timeout": LOCK_WAIT}, **options)
        sqlite.prepare_connections(engine)
    elif family == "postgresql":
        arguments = postgres.connect_arguments(parsed) | given
        engine = sa.create_engine(parsed, connect_args=arguments, **options)
        _ping_when_idle(engine)
        postgres.prepare_connections(engine, LOCK_WAIT, idle_transaction_timeout)
        _connect_patiently(engine)
    else:
        options |= {"connect_args": _mysql_arguments(parsed) | given, "isolation_level": "READ COMMITTED"}
        engine = sa.create_engine(parsed, pool_recycle=3600, **options)
        _ping_when_idle(engine)
        _prepare_mysql(engine, idle_transaction_timeout)
        from etl.db.mysql_driver import LightConnection

        _connect_patiently(engine, LightConnection)
    note_errors(engine)
    return engine


def _require_values(url: str) -> None:
    """SQLAlchemy passes over a parameter without a value; so would end what a ? in a file's name begins."""
    query = url.rpartition("@")[2].partition("?")[2]
    bare = [name for name, value in parse_qsl(query, keep_blank_values=True) if not value]
    if bare:
        hint = "give it one, or leave it out; a ? in a name is written %3F"
        raise ConfigError(f"the database URL cannot be used: {bare[0]} has no value", hint=hint)


def _read_parameters(url: sa.URL, family: str) -> tuple[sa.URL, dict[str, Any]]:
    """The URL without parameters that are not the driver's own, and what they mean to it."""
    readers = {"sqlite": sqlite.read_url, "postgresql": postgres.read_url, "mysql": mysql_urls.read_url}
    read = readers[family]
    url, given, problem = read(url)
    if problem is not None:
        raise ConfigError(f"the database URL cannot be used: {problem}", hint="correct it, or leave it out")
    return url, given


@contextmanager
def write_transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """One write transaction: commits at the end, rolls back on any exception; raises StorageError's tree.

    SQLite takes the write lock at once (BEGIN IMMEDIATE): a reader that turns writer could not wait for it.
    Elsewhere it is READ COMMITTED.
    """
    with (
        storage_errors(place_of(engine)),
        engine.connect() as connection,
        # Of the connection: an engine with options of its own is made anew each time, a tenth of a tick.
        connection.execution_options(etl_begin="BEGIN IMMEDIATE").begin(),
    ):
        yield connection


@contextmanager
def read_transaction(engine: sa.Engine) -> Iterator[sa.Connection]:
    """For questions only, each seeing what is committed by then; raises StorageError's tree.

    Without a transaction on PostgreSQL, whose BEGIN and ROLLBACK are two more journeys for each question.
    """
    options = {"isolation_level": "AUTOCOMMIT"} if engine.dialect.name == "postgresql" else {}
    with storage_errors(place_of(engine)), engine.connect() as connection:
        yield connection.execution_options(**options)


def is_sqlite(engine: sa.Engine) -> bool:
    return engine.dialect.name == "sqlite"


def file_missing(engine: sa.Engine) -> bool:
    """Whether this is a SQLite database without its file: to connect would create it."""
    return is_sqlite(engine) and not Path(str(engine.url.database)).exists()


def _parse_url(url: str) -> sa.URL:
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        # The text may hold a password: it is not repeated, neither here nor as a cause.
        raise ConfigError("the database URL cannot be read", hint=f"write {_KINDS}") from None
    family = _ALIASES.get(parsed.drivername, parsed.drivername)
    if family not in _DRIVERS:
        raise ConfigError(f"no support for {parsed.drivername} databases", hint=f"use {_KINDS}")
    drivername, module, extra = _DRIVERS[family]
    if importlib.util.find_spec(module) is None:
        raise ConfigError(
            f"the driver for {family} databases ({module}) is not installed",
            hint=how_to_install(extra),
        )
    if family != "sqlite" and not parsed.database:
        raise ConfigError("the database URL names no database", hint=f"use {_KINDS}")
    _require_values(url)
    return parsed.set(drivername=drivername)


# --- servers -----------------------------------------------------------------------------------

#: A connection that was in use so short a while ago is not asked whether it lives (seconds).
_LIVELY = 1.0


def _ping_when_idle(engine: sa.Engine) -> None:
    """As SQLAlchemy's pre-ping, a journey to the server, but not for each of a tick's transactions."""

    @sa.event.listens_for(engine, "checkin")
    def _rests(_connection: Any, record: Any) -> None:
        record.info["since"] = time.monotonic()

    @sa.event.listens_for(engine, "checkout")
    def _wakes(connection: Any, record: Any, _proxy: Any) -> None:
        since = record.info.pop("since", None)
        if since is not None and time.monotonic() - since > _LIVELY and not _is_alive(engine, connection):
            raise sa.exc.DisconnectionError  # the pool tries another one


#: Where all connections are taken, one that comes free is waited for: in seconds, between tries.
_CROWD_WAITS = (0.2, 0.4, 0.8, 1.6, 2.0)


def _connect_patiently(engine: sa.Engine, connector: Callable[..., Any] | None = None) -> None:
    @sa.event.listens_for(engine, "do_connect")
    def _connect(dialect: Any, _record: Any, arguments: Any, options: dict[str, Any]) -> Any:
        connect = connector or dialect.connect
        for wait in _CROWD_WAITS:
            try:
                with missing_login_package():
                    return connect(*arguments, **options)
            except dialect.loaded_dbapi.Error as error:
                if not is_crowded(error):
                    raise
            time.sleep(wait)
        return connect(*arguments, **options)


def _is_alive(engine: sa.Engine, connection: Any) -> bool:
    try:
        return engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error:
        return False


# --- MariaDB and MySQL -------------------------------------------------------------------------

#: The client may send rows (etl.load.bulk_mysql). No server gets a file: for that, `local_infile` stays off.
_LOAD_DATA_LOCAL = 1 << 7
#: One message holds one statement, whatever a URL asks for.
_MULTI_STATEMENTS = 1 << 16


def _mysql_arguments(url: sa.URL) -> dict[str, Any]:
    arguments: dict[str, Any] = {"connect_timeout": 10, "read_timeout": 900, "write_timeout": 60}
    arguments = {name: value for name, value in arguments.items() if name not in url.query}
    return arguments | {"charset": "utf8mb4", "local_infile": False}


def _prepare_mysql(engine: sa.Engine, idle_transaction_timeout: float) -> None:
    settings = (
        "time_zone = '+00:00', "
        "sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,"
        "ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION', "
        f"innodb_lock_wait_timeout = {LOCK_WAIT}, lock_wait_timeout = {LOCK_WAIT}, "
        "sql_safe_updates = 0, sql_select_limit = DEFAULT, sql_big_selects = 1, "
        "completion_type = NO_CHAIN"  # RELEASE cuts the connection after each commit
    )
    # A server's own limit is made for people's questions, not for a migration, nor for an export that is
    # written as it is read: its statement lasts as long as the file. MySQL limits questions only.
    mariadbs = f"idle_transaction_timeout = {max(1, round(idle_transaction_timeout))}, max_statement_time = 0"
    # From 8.0.20 on MySQL sorts whole texts, and fails unless some fit; it takes only what it needs.
    mysqls = "max_execution_time = 0 /*!80020 , sort_buffer_size = 67108864 */"

    @sa.event.listens_for(engine, "do_connect")
    def _able_to_load(_dialect: Any, _record: Any, _arguments: Any, options: dict[str, Any]) -> None:
        options["client_flag"] = options.get("client_flag", 0) & ~_MULTI_STATEMENTS | _LOAD_DATA_LOCAL

    # Before SQLAlchemy looks at the mode: by a server's ANSI_QUOTES it would quote names as nobody reads them
    # once our mode is set.
    @sa.event.listens_for(engine, "connect", insert=True)
    def _session(connection: Any, _record: Any) -> None:
        # Tables carry mariadb_* and mysql_* options, and URLs say mysql:// for either: the server decides.
        mariadb = "mariadb" in connection.get_server_info().lower()
        engine.dialect.name = "mariadb" if mariadb else "mysql"
        with connection.cursor() as cursor:
            cursor.execute(f"SET {settings}, {mariadbs if mariadb else mysqls}")
