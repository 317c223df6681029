"""Stand-ins for modules that libraries import at their head and a command that only looks never needs.

SQLAlchemy imports `asyncio` (and with it `ssl` and sockets) and `importlib.metadata` (and with it `email`): a
tenth of the processor time of `status`. Whoever takes anything out of a stand-in gets the module itself.
"""

from __future__ import annotations

import sys
import threading
from importlib import import_module
from types import ModuleType
from typing import Any

#: Commands that read and answer.
_BRIEF = frozenset({"status", "gaps", "history", "report", "prices", "sql"})
_LATE = (
    "importlib.metadata",
    "sqlalchemy.dialects.sqlite.aiosqlite",
    "sqlalchemy.dialects.sqlite.pysqlcipher",
)
_lock = threading.Lock()


class _StandIn(ModuleType):
    def __getattr__(self, name: str) -> Any:
        with _lock:
            if sys.modules.get(self.__name__) is self:
                del sys.modules[self.__name__]
        return getattr(import_module(self.__name__), name)


def postpone_imports(arguments: list[str]) -> None:
    """Stand-ins for those modules, when the command is one of _BRIEF."""
    if not _BRIEF.intersection(arguments):
        return
    _stand_in("asyncio").iscoroutine = _is_coroutine  # type: ignore[attr-defined] # SQLAlchemy takes it along
    for name in _LATE:
        _stand_in(name)


def _stand_in(name: str) -> ModuleType:
    if name in sys.modules:
        return ModuleType(name)
    made = sys.modules[name] = _StandIn(name)
    parent, _, child = name.rpartition(".")
    if parent in sys.modules:
        setattr(sys.modules[parent], child, made)
    return made


def _is_coroutine(found: object) -> bool:
    return bool(import_module("asyncio.coroutines").iscoroutine(found))
