"""The house keeps its shape: who may import whom, which library lives where, how big a file gets."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
MODULES = sorted((ROOT / "etl").rglob("*.py"))

# Imports only point from a higher floor to a lower one. The ground floor may look around on its own floor.
FLOORS = {
    **dict.fromkeys(("cli", ""), 7),  # "" is etl/__init__.py
    **dict.fromkeys(("scheduler", "web", "api"), 6),
    **dict.fromkeys(("app",), 5),
    **dict.fromkeys(("pipeline", "check", "notify"), 4),
    **dict.fromkeys(("extract", "transform", "load", "analytics", "feed"), 3),
    **dict.fromkeys(("db",), 2),
    **dict.fromkeys(("records", "config", "errors", "log"), 1),
}
AT_HOME = {
    "requests": {"extract"},
    "tenacity": {"extract"},
    "apscheduler": {"scheduler"},
    "sqlalchemy": {"db", "load", "analytics", "feed"},
    "alembic": {"db"},
    "psycopg": {"db", "load"},
    "pymysql": {"db", "load"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "prometheus_client": {"web"},
    "apprise": {"notify"},
    "distributed": {"app"},
    "dask": {"app"},
    "typer": {"cli"},
    "rich": {"cli"},
}
HEAVY = {
    "sqlalchemy",
    "requests",
    "alembic",
    "structlog",
    "rich",
    "starlette",
    "uvicorn",
    "pyarrow",
    "distributed",
}


def imports(source: str) -> Iterator[str]:
    """Every module that a source names in an import, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield f"etl.<relative>.{node.module}"
        elif isinstance(node, ast.ImportFrom) and node.module == "etl":
            yield from (f"etl.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def violations(room: str, source: str) -> list[str]:
    """What `room` (the first name below etl) may not import, of what it does import."""
    return [name for name in imports(source) if not allowed(room, name)]


def allowed(room: str, name: str) -> bool:
    top, _, rest = name.partition(".")
    if top != "etl":
        return room in AT_HOME.get(top, {room})
    target = room_called(rest.partition(".")[0])
    if room == target or target in ("", "__version__"):
        return True
    if room == "simulator":
        return False
    if target == "simulator":
        return room == "cli"
    return FLOORS[room] > FLOORS.get(target, 99) or FLOORS[room] == FLOORS.get(target) == 1


def room_of(path: Path) -> str:
    return room_called(path.relative_to(ROOT / "etl").parts[0].removesuffix(".py").removeprefix("__init__"))


def room_called(name: str) -> str:
    """A module that outgrew its file, config_yaml beside config, belongs to it."""
    stem = name.partition("_")[0]
    return stem if stem in FLOORS else name


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_down(path):
    room = room_of(path)
    if room:
        assert room in FLOORS or room == "simulator", f"{room} has no floor in the house"
    assert violations(room, path.read_text()) == []


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("load", "import requests"),
        ("extract", "from etl.transform import page"),
        ("db", "def f():\n    from etl.load import store"),
        ("web", "from etl import cli"),
        ("simulator", "from etl.errors import EtlError"),
        ("app", "import etl.simulator"),
        ("load", "from . import store"),
        ("web", "import etl.scheduler"),
    ],
)
def test_the_guard_bites(room, source):
    assert violations(room, source)


def test_the_guard_lets_go():
    fine = "import json, sqlalchemy as sa\nfrom etl import __version__, errors\nfrom etl.db import models"
    assert violations("load", fine) == []
    assert violations("config", "from etl.errors import ConfigError") == []


def test_every_package_is_shipped():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    folders = {".".join(path.parent.relative_to(ROOT).parts) for path in MODULES}
    assert folders | {"etl.migrations", "etl.migrations.versions"} == listed


def test_files_stay_small():
    """Migrations are exempt: they are generated, write history out in full, and are never edited again."""
    files = [path for top in ("etl", "tests", "benchmarks") for path in (ROOT / top).rglob("*.py")]
    files += (ROOT / "migrations").glob("*.py")
    assert files
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: lines for name, lines in sizes.items() if lines > 400} == {}


def test_only_doors_print():
    talkers = [
        str(path.relative_to(ROOT))
        for path in MODULES
        if room_of(path) not in ("cli", "simulator") and _prints(path.read_text())
    ]
    assert talkers == []


def _prints(source: str) -> bool:
    calls = (node.func for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call))
    return any(isinstance(function, ast.Name) and function.id == "print" for function in calls)


def test_the_command_starts_light():
    """`--help` must not wait for a database library; sys.modules tells, a clock would only guess."""
    script = "import sys; from etl.cli import main; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    loaded = set(done.stdout.split())
    assert "etl" in loaded
    assert loaded & HEAVY == set()
