"""The configured database, opened to look at: a command that only reads never creates nor migrates one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from etl.analytics.read_only import forbid_writing
from etl.config import Config
from etl.db.engine import file_missing, make_engine
from etl.errors import ConfigError
from etl.schema import migrate


@contextmanager
def connect_database(config: Config, *, read_only: bool = False) -> Iterator[sa.Engine]:
    """An engine on the database, whatever is in it; its connections are closed at the end."""
    engine = make_engine(config.database.reveal())
    if read_only:
        forbid_writing(engine)
    try:
        yield engine
    finally:
        engine.dispose()


@contextmanager
def open_database(config: Config, *, read_only: bool = False) -> Iterator[sa.Engine | None]:
    """An engine on a database of ours, or None when there is nothing in it yet. Raises StorageError."""
    with connect_database(config, read_only=read_only) as engine:
        yield engine if has_schema(engine) else None


@contextmanager
def open_filled_database(config: Config, *, read_only: bool = False) -> Iterator[sa.Engine]:
    """As `open_database`, for commands that need something to look at: nothing raises ConfigError."""
    with open_database(config, read_only=read_only) as engine:
        if engine is None:
            raise ConfigError(
                f"nothing was synced yet into {config.database.url}", hint="run: bifrost-etl sync"
            )
        yield engine


def has_schema(engine: sa.Engine) -> bool:
    """Whether the database has our tables. Raises SchemaMismatch, StorageError."""
    if file_missing(engine):
        return False
    if migrate.current_revision(engine) is None:
        return False
    migrate.check_schema(engine)
    return True
