"""Statements that SQLAlchemy compiled in one test are not compiled again in the next.

It keeps them per engine, and each test has an engine of its own: much of the time went into compiling
the same few hundred statements anew. Engines whose dialects do not differ in anything that is put into SQL
share them here.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import sqlalchemy as sa

_shared: dict[Hashable, dict[Any, Any]] = {}
#: What an engine knows of its database that stands in no statement.
_APART = ("default_schema_name",)


class SharedCache:
    """Stands for an engine's `_compiled_cache`, whose keys begin with the dialect itself."""

    def __init__(self, dialect: sa.Dialect) -> None:
        self._dialect = dialect
        self._kept: dict[Any, Any] | None = None

    def get(self, key: tuple[Any, ...]) -> Any:
        return self._statements().get(key[1:])

    def __setitem__(self, key: tuple[Any, ...], compiled: Any) -> None:
        self._statements()[key[1:]] = compiled

    def _statements(self) -> dict[Any, Any]:
        """Found out when first asked: the first connection tells the dialect what its server can do."""
        if self._kept is None:
            self._kept = _shared.setdefault(_traits_of(self._dialect), {})
        return self._kept


def _traits_of(dialect: sa.Dialect) -> Hashable:
    plain = (str, int, bool, tuple, type(None))
    known = {k: repr(v) for k, v in vars(dialect).items() if isinstance(v, plain) and k not in _APART}
    return type(dialect), tuple(sorted(known.items()))


def share_compiled_statements() -> None:
    """For all engines of this process."""

    @sa.event.listens_for(sa.Engine, "engine_connect")
    def share(connection: sa.Connection) -> None:
        engine: Any = connection.engine
        if not isinstance(engine._compiled_cache, SharedCache):
            engine._compiled_cache = SharedCache(engine.dialect)
