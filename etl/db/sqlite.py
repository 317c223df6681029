"""SQLite: its file and its folder, what each connection is told, and how a transaction begins."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.errors import ConfigError, DatabaseRefused

#: Of a new file. With twice the default, loading a history writes a third less: its rows are long.
_PAGE_SIZE = 8192
_PRAGMAS = (
    # WAL + NORMAL: a power cut may lose the last commits but never leaves half of one; the cursor commits
    # with the rows that justify it, so the next run simply reads them again.
    "synchronous = NORMAL",
    "foreign_keys = ON",
    "temp_store = MEMORY",
    "cache_size = -4000",  # KiB per connection; four times as much loads no faster, and is memory
    # A first load touches every leaf of two indexes in each batch: rarer checkpoints write them less often.
    "wal_autocheckpoint = 16000",
    "journal_size_limit = 67108864",
)
# Python's driver looks for a way to adapt every None, in vain: a tenth of the time of an insert.
_as_it_is: Any = {}.get
sqlite3.register_adapter(type(None), _as_it_is)


def read_url(url: sa.URL) -> tuple[sa.URL, dict[str, Any], str | None]:
    """The URL, and what is wrong with it: whatever stood behind a question mark would mean nothing."""
    if not url.query or str(url.database).startswith("file:"):  # which is refused as what it is
        return url, {}, None
    return url, {}, f"SQLite's URLs have no parameter {min(url.query)}; a ? in a file's name is written %3F"


def file_of_url(url: sa.URL) -> sa.URL:
    """The URL with the file's path; its folder is created. Raises ConfigError, DatabaseRefused."""
    name = url.database
    if not name or name == ":memory:" or name.startswith("file:"):
        raise ConfigError(
            "the SQLite database must be a file: one in memory would be lost at exit",
            hint="write sqlite:///bifrost.db, or sqlite:////var/lib/bifrost/bifrost.db for an absolute path",
        )
    path = Path(name).expanduser()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        hint = "may this user write there, and is the path in the database URL right?"
        raise DatabaseRefused(f"cannot create the folder {path.parent}: {exc.strerror}", hint=hint) from exc
    return url.set(database=str(path))


def prepare_connections(engine: sa.Engine) -> None:
    """Each new connection: the file is its owner's, in WAL mode, and transactions begin when told to."""

    @sa.event.listens_for(engine, "do_connect")
    def _made_for_its_owner(_dialect: Any, _record: Any, arguments: Any, options: Any) -> None:
        """Prompts are nobody else's: SQLite gives a file the umask's rights, and its logs the file's."""
        if _is_on_read_only_disk(engine):
            arguments[0] = f"{Path(str(engine.url.database)).absolute().as_uri()}?immutable=1"
            options["uri"] = True
            return
        with suppress(OSError):  # the file is there, or SQLite says what is wrong
            os.close(os.open(str(engine.url.database), os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))

    @sa.event.listens_for(engine, "connect")
    def _session(connection: Any, record: Any) -> None:
        record.info["file"] = _identity(engine)  # its log is not there yet
        connection.isolation_level = None  # the driver's own guesses about BEGIN are off; _begin says it
        if _is_on_read_only_disk(engine):
            return
        connection.execute(f"PRAGMA page_size = {_PAGE_SIZE}")
        _use_wal(connection)
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "checkin")
    def _note_log(_connection: Any, record: Any) -> None:
        record.info["log"] = record.info.get("log") or _identity(engine, "-wal")

    @sa.event.listens_for(engine, "checkout")
    def _still_there(_connection: Any, record: Any, _proxy: Any) -> None:
        """A file or a log that was deleted, or replaced by a backup, goes on taking what is written, where
        nobody reads it: the pool opens those that have the names now."""
        log = record.info.get("log")
        replaced = record.info["file"] != _identity(engine)
        if replaced or (log is not None and log != _identity(engine, "-wal")):
            raise sa.exc.DisconnectionError("the database file was replaced")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(connection.get_execution_options().get("etl_begin", "BEGIN"))


def _identity(engine: sa.Engine, ending: str = "") -> tuple[int, int] | None:
    """Which file has the database's name, or its log's; None: there is none."""
    try:
        found = Path(f"{engine.url.database}{ending}").stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _is_on_read_only_disk(engine: sa.Engine) -> bool:
    """Nobody can change the file, and SQLite can make no log beside it: it is read as it is."""
    try:
        return bool(os.statvfs(str(engine.url.database)).f_flag & os.ST_RDONLY)
    except (OSError, AttributeError):  # not there yet, or no such question on this system
        return False


def _use_wal(connection: sqlite3.Connection) -> None:
    """Asked first: switching needs the whole file, and would fail where WAL is on and somebody reads.

    When several processes create one database, SQLite refuses the switch to all but one without waiting;
    a write lock does wait, so it is taken and given back before looking again.
    """
    for _ in range(100):
        if connection.execute("PRAGMA journal_mode").fetchone()[0] == "wal":
            return
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as exc:
            if exc.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                raise
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("ROLLBACK")
