"""The configured database, opened to look at: never created, never migrated by a command that only reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from etl.errors import ConfigError

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from etl.config import Config


@contextmanager
def opened(config: Config) -> Iterator[Engine | None]:
    """An engine on the database, or None when there is nothing in it yet. Raises StorageError."""
    from etl.db import schema
    from etl.db.engine import is_sqlite, make_engine

    engine = make_engine(config.database.reveal())
    try:
        missing = is_sqlite(engine) and not Path(str(engine.url.database)).exists()
        if missing or schema.current(engine) is None:
            yield None
        else:
            schema.check(engine)
            yield engine
    finally:
        engine.dispose()


@contextmanager
def filled(config: Config) -> Iterator[Engine]:
    """As `opened`, for commands that need something to look at. Raises ConfigError when there is nothing."""
    with opened(config) as engine:
        if engine is None:
            raise ConfigError(
                f"nothing was synced yet into {config.database.url}", hint="run: bifrost-etl sync"
            )
        yield engine
