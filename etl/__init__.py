"""bifrost-etl: a Bifrost gateway's video-job history, mirrored into SQL.

What `etl.api` offers is here as well (`etl.sync()`), loaded when it is first used.
"""

from typing import TYPE_CHECKING, Any

from etl.version import __version__

if TYPE_CHECKING:
    from etl.api import deliver, delivery_status, export, prune, raise_failed, reconcile, sync

__all__ = [
    "__version__",
    "deliver",
    "delivery_status",
    "export",
    "prune",
    "raise_failed",
    "reconcile",
    "sync",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module("etl.api"), name)
