"""The machine, as far as a reader of figures needs to know it: no names, no paths."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path

_PACKAGES = ("requests", "urllib3", "msgspec", "sqlalchemy", "psycopg", "pymysql")


def describe(databases: dict[str, str], *, dlt: bool) -> dict[str, object]:
    packages = (*_PACKAGES, "dlt") if dlt else _PACKAGES
    return {
        "cores": len(os.sched_getaffinity(0)),
        "processor": _field("/proc/cpuinfo", "model name"),
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9),
        "system": f"{platform.system()} {platform.release().split('-')[0]}",
        "python": platform.python_version(),
        "databases": list(databases.values()),
        "packages": {name: version(name) for name in packages},
    }


def _field(file: str, name: str) -> str:
    lines = Path(file).read_text().splitlines() if Path(file).exists() else []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(name)), "unknown")
