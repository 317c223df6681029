"""What the fork server imports once, for all processes that a harness starts: the program and its drivers."""

import gc
import importlib
import pkgutil
from contextlib import suppress

import etl

_ROOMS = ("cli", "pipeline", "extract", "transform", "load", "scheduler", "web", "schema", "db", "config")
_ALONE = ("etl.app", "etl.worker", "psycopg", "psycopg_binary", "pymysql")


def _names() -> list[str]:
    found = [module.name for module in pkgutil.walk_packages(etl.__path__, "etl.", onerror=lambda _: None)]
    inside = [name for name in found if name.split(".")[1] in _ROOMS and not name.endswith("__main__")]
    return [*_ALONE, *inside]


for each in _names():
    with suppress(ImportError):  # a driver or an extra that is not installed
        importlib.import_module(each)
gc.collect()
gc.freeze()  # what is shared stays shared
