"""The house keeps its shape: who may import whom, which library lives where, how big a file gets."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.import_graph import Graph, circles, import_graph, module_files, parsed

ROOT = Path(__file__).parents[1]

#: Imports only point from a higher floor to a lower one. "" is the package's own face.
FLOORS = {
    **dict.fromkeys(("", "cli"), 9),
    **dict.fromkeys(("web", "scheduler", "api"), 8),
    **dict.fromkeys(("app", "recording"), 7),
    "cluster": 6,
    "worker": 5,
    **dict.fromkeys(("pipeline", "check"), 4),
    **dict.fromkeys(("load", "analytics", "feed", "migrations"), 3),
    **dict.fromkeys(("extract", "transform", "schema"), 2),
    **dict.fromkeys(("db", "config"), 1),
    **dict.fromkeys(("errors", "observer"), 0),
    **dict.fromkeys(
        ("records", "log_records", "json_parts", "log", "times", "spreadsheets", "words", "version"), -1
    ),
}
AT_HOME = {
    "requests": {"extract"},
    "tenacity": {"extract"},
    "apscheduler": {"scheduler"},
    "sqlalchemy": {"db", "schema", "load", "analytics", "feed", "migrations"},
    "alembic": {"schema", "migrations"},
    "psycopg": {"db", "schema", "load"},
    "pymysql": {"db", "load"},
    "jinja2": {"analytics"},
    "starlette": {"web"},
    "uvicorn": {"web"},
    "prometheus_client": {"web"},
    "apprise": {"scheduler"},
    "distributed": {"cluster"},
    "dask": {"cluster"},
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


#: What everybody calls these libraries; any other alias would hide that two names collide.
CUSTOMARY = {"sa", "pa", "pq", "pc", "pafs", "ds", "st"}

FILES = module_files(ROOT, ("etl", "migrations"))


@cache
def graph() -> Graph:
    """Made when first asked for: every process of a test run collects this file."""
    return import_graph(FILES)


def room_of(module: str) -> str:
    """The first name below etl: `etl.load.store` stands in `load`."""
    return module.removeprefix("etl").lstrip(".").partition(".")[0]


def upward(graph: Graph) -> list[tuple[str, str]]:
    """Every import that does not point down."""
    return [
        (module, target)
        for module, targets in graph.items()
        for target in sorted(targets)
        if not down(module, target)
    ]


def down(module: str, target: str) -> bool:
    here, there = room_of(module), room_of(target)
    if here == there:
        return True
    if "simulator" in (here, there):
        return here == "cli"
    return FLOORS[here] > FLOORS[there]


def foreign(tree: ast.Module) -> set[str]:
    """The libraries that a file imports, inside functions too."""
    nodes = list(ast.walk(tree))
    plain = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    named = {str(node.module) for node in nodes if isinstance(node, ast.ImportFrom) and not node.level}
    return {name.partition(".")[0] for name in plain | named} - {"etl"}


def test_every_room_has_a_floor():
    assert {room_of(module) for module in FILES} - FLOORS.keys() == {"simulator"}


def test_imports_point_down():
    assert upward(graph()) == []


def test_no_circle_between_files():
    assert circles(graph()) == []


def test_migrations_know_tables_and_views_alone():
    reached = {
        room_of(target)
        for module, targets in graph().items()
        if room_of(module) == "migrations"
        for target in targets
    }
    assert reached - {"migrations"} == {"schema", "db"}


def test_no_import_is_relative():
    """The graph does not follow them."""
    dotted = re.compile(r"^\s*from \.", re.MULTILINE)
    assert [name for name, path in FILES.items() if dotted.search(path.read_text())] == []


def test_libraries_stay_in_their_rooms():
    strangers = {
        (module, name)
        for module, path in FILES.items()
        for name in foreign(parsed(path))
        if room_of(module) not in AT_HOME.get(name, {room_of(module)})
    }
    assert strangers == set()


def test_harness_and_benchmarks_import_no_test():
    shared = module_files(ROOT, ("harness", "benchmarks", "tests"))
    reached = {
        target
        for module, targets in import_graph(shared).items()
        if module.partition(".")[0] in ("harness", "benchmarks")
        for target in targets
        if target.startswith("tests.")
    }
    assert reached
    assert {target for target in reached if not target.startswith("tests.support")} == set()


def test_support_imports_no_test():
    shared = module_files(ROOT, ("tests",))
    graph = import_graph(shared)
    reached = {target for module in graph if module.startswith("tests.support") for target in graph[module]}
    assert {target for target in reached if not target.startswith("tests.support")} == set()


def test_faces_say_so():
    """A package whose `__init__` imports from its own room lists in `__all__` what it shows."""
    for name, path in FILES.items():
        source = path.read_text()
        if path.name == "__init__.py" and f"from {name}." in source:
            assert "__all__" in source and ast.get_docstring(ast.parse(source)), name


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("etl.load.bites", "import etl.web.app"),
        ("etl.extract.bites", "from etl.transform import pages"),
        ("etl.db.bites", "def f():\n    from etl.load import store"),
        ("etl.db.bites", "f('etl.analytics.reports')"),
        ("etl.schema.bites", "spec_from_file_location('x', home / 'reports.py')"),
        ("etl.web.bites", "if TYPE_CHECKING:\n    from etl.scheduler.service import Service"),
        ("etl.simulator.bites", "from etl.errors import EtlError"),
        ("etl.app", "import etl.simulator"),
    ],
)
def test_the_guard_bites(module, source, tmp_path):
    path = tmp_path / "bites.py"
    path.write_text(source)
    graph = import_graph({**FILES, module: path})
    assert upward({module: graph[module]})


def test_the_guard_finds_circles():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"a"}}) == [["b", "c"]]


def test_every_package_is_shipped():
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    assert {name for name, path in FILES.items() if path.name == "__init__.py"} == listed


def test_files_stay_small():
    """Migrations are exempt: they are generated, write history out in full, and are never edited again."""
    files = [path for top in ("etl", "tests", "benchmarks") for path in (ROOT / top).rglob("*.py")]
    files += (ROOT / "migrations").glob("*.py")
    assert files
    sizes = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in files}
    assert {name: lines for name, lines in sizes.items() if lines > 400} == {}


def test_no_import_needs_an_alias():
    everywhere = module_files(ROOT, ("etl", "migrations", "harness", "benchmarks", "tests"))
    aliases = {
        (name, alias.asname)
        for name, path in everywhere.items()
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
        if alias.asname
    }
    assert {(name, alias) for name, alias in aliases if alias not in CUSTOMARY} == set()


def test_a_type_name_means_one_thing():
    """Classes and aliases of types in all of etl, the simulator included; `_X` is the same name as `X`."""
    found = [
        (name.lstrip("_"), module)
        for module, path in FILES.items()
        for name in _types(parsed(path))
        if room_of(module) != "migrations"
    ]
    homes = Counter(name for name, _ in found)
    assert [(name, module) for name, module in found if homes[name] > 1] == []


def _types(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign):
            name = ast.unparse(node.targets[0])
            yield from [name] if re.fullmatch(r"_?[A-Z]\w*[a-z]\w*", name) else []


def test_functions_can_be_searched_for():
    """A search for a name of one word finds everything; where its class says the rest, one word may do."""
    names = [
        node.name.strip("_")
        for module, path in FILES.items()
        if room_of(module) != "migrations"
        for node in ast.walk(parsed(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and not node.name.startswith("__")
    ]
    assert sum("_" not in name for name in names) / len(names) < 0.3


def test_where_things_are():
    """Every answer of docs/architecture.md names a file that has what is named."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    rows = [
        line for line in page.partition("## Where is")[2].partition("\n## ")[0].splitlines() if "`: `" in line
    ]
    answers = re.findall(r"`([\w/]+\.py)`: `([\w.]+)`", "\n".join(rows))
    assert len(rows) >= 20
    assert [(file, name) for file, name in answers if name not in _defined(ROOT / "etl" / file)] == []


def _defined(path: Path) -> set[str]:
    """Functions and classes of a file, and methods by their class."""
    if not path.exists():
        return set()
    tree = ast.parse(path.read_text())
    defined = [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)]
    methods = {
        f"{node.name}.{item.name}"
        for node in defined
        for item in node.body
        if isinstance(node, ast.ClassDef) and isinstance(item, ast.FunctionDef)
    }
    return {node.name for node in defined} | methods


def test_only_doors_print():
    talkers = [
        name
        for name, path in FILES.items()
        if room_of(name) not in ("cli", "simulator") and _prints(parsed(path))
    ]
    assert talkers == []


def _prints(tree: ast.Module) -> bool:
    calls = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
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


def test_revisions_follow_one_another():
    """Two that were written at the same time follow the same one, and no upgrade knows where to go."""
    texts = [path.read_text() for path in (ROOT / "migrations" / "versions").glob("0*.py")]
    before = Counter(re.findall(r'^down_revision = "(\d+)"', "\n".join(texts), re.MULTILINE))
    assert not [revision for revision, followers in before.items() if followers > 1]
