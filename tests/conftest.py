"""Fixtures: a clean environment, and a fresh database of each kind on a real server.

`database_url` runs a test once per database, each time on an empty one; `engine` on a migrated one.
Servers start when first needed. Without one the test is skipped; REQUIRE_ALL=1 makes that a failure.
"""

from __future__ import annotations

import importlib
import itertools
import logging
import os
import re
import shutil
import signal
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
import structlog

from etl import log
from etl.db.engine import make_engine
from etl.pipeline.read_ahead import Readers
from etl.schema import migrate
from tests.support.compiled_statements import share_compiled_statements
from tests.support.databases import (
    Missing,
    Server,
    is_installed,
    mariadb_script,
    mariadb_server,
    postgres_server,
)

DATABASES = ("sqlite", "postgresql", "mariadb")
DESTINATIONS = ("filesystem", "duckdb", "delta", "iceberg", "postgres")
_LEAKS = re.compile(
    r"BIFROST_.*|DATABASE_URL|PG[A-Z]+|MYSQL_.*|(https?|all|no)_proxy|NO_COLOR|FORCE_COLOR", re.I
)
_numbers = itertools.count(1)
#: Cases of a test that `--share` leaves as they are.
FEW = 2


#: Folders with the longest files first, in each the files with most tests: two processes end together.
LONG = ("feed", "service", "reliability", "fleet", "pipeline", "cli", "dashboard")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--by-turns",
        action="store_true",
        help="each test on one of its databases and destinations, always the same",
    )
    parser.addoption(
        "--share",
        type=int,
        default=1,
        metavar="N",
        help=f"of each test that has more than {FEW} cases one in N, always the same",
    )


@pytest.hookimpl(trylast=True)  # slow ones are left out by then
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    chosen = list(choose_by_turns(items)) if config.getoption("--by-turns") else items
    keep = {id(item) for item in choose_share(chosen, config.getoption("--share"))}
    config.hook.pytest_deselected(items=[item for item in items if id(item) not in keep])
    items[:] = [item for item in items if id(item) in keep]

    size = Counter(item.path for item in items)

    def rank(item: pytest.Item) -> tuple[int, str, int]:
        folder = item.path.parent.name  # together: what its tests share is made once
        return LONG.index(folder) if folder in LONG else len(LONG), folder, -size[item.path]

    items.sort(key=rank)


def choose_by_turns(items: Sequence[pytest.Item]) -> Iterator[pytest.Item]:
    """One of those that differ by their database or their destination only; all others.

    A database that is not installed has no turn, as long as there is another.
    """
    alike: dict[str, list[pytest.Item]] = {}
    for item in items:
        alike.setdefault(_without_kinds(item), []).append(item)
    for name, same in alike.items():
        able = [item for item in same if is_installed(_kinds(item)[0])] or same
        yield able[zlib.crc32(name.encode()) % len(able)]


def choose_share(items: Sequence[pytest.Item], share: int) -> Iterator[pytest.Item]:
    """Every test, but of those with many cases only one in `share`, rounded up."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for same in cases.values():
        most = len(same) if len(same) <= FEW else -(-len(same) // share)
        yield from sorted(same, key=lambda item: zlib.crc32(item.nodeid.encode()))[:most]


def _kinds(item: pytest.Item) -> list[str]:
    """Its kind of database and of destination; empty where it has none."""
    given: dict[str, object] = getattr(getattr(item, "callspec", None), "params", {})
    both = (given.get("database"), given.get("kind"))
    return [kind if isinstance(kind, str) and kind in DATABASES + DESTINATIONS else "" for kind in both]


def _without_kinds(item: pytest.Item) -> str:
    """The test's name, with a star for each kind of database or destination among its parameters."""
    name, bracket, inside = item.nodeid.partition("[")
    for kind in filter(None, _kinds(item)):
        inside = inside.replace(kind, "*", 1)
    return f"{name}{bracket}{inside}"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A developer's own gateway, database or proxy must not reach the tests."""
    for name in os.environ:
        if _LEAKS.fullmatch(name):
            monkeypatch.delenv(name)


@pytest.fixture(autouse=True)
def _own_logging(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whoever runs a command in this process sets up logging for all that comes after."""
    monkeypatch.setattr(log, "_threshold", None)
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    root.setLevel(level)
    root.handlers[:] = handlers
    logging.captureWarnings(False)
    structlog.reset_defaults()


@pytest.fixture(autouse=True)
def _eager_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    """All lanes begin at once, as if the gateway were slow: most that can go wrong does so between lanes."""
    monkeypatch.setattr(Readers, "hungry", True)


def _start(starter: Callable[[], AbstractContextManager[Server]]) -> Iterator[Server]:
    try:
        with starter() as server:
            yield server
    except Missing as missing:
        unavailable(str(missing))


def pytest_configure() -> None:
    """A shell's background job ignores Ctrl-C, and so would each process that the tests start."""
    share_compiled_statements()
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def unavailable(reason: str) -> None:
    """Skips, or fails where everything must be there."""
    (pytest.fail if os.environ.get("REQUIRE_ALL") == "1" else pytest.skip)(reason)


def require_module(name: str) -> Any:
    """The module; a package that is not installed skips, or fails where everything must be there."""
    try:
        return importlib.import_module(name)
    except ImportError as error:
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(f"{name} is not installed: {error}", pytrace=False)
        pytest.skip(f"{name} is not installed: {error}", allow_module_level=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    yield from _start(postgres_server)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    yield from _start(mariadb_server)


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest) -> str:
    """The kind of database. Override the parameters with @pytest.mark.parametrize(..., indirect=True)."""
    kind: str = request.param
    return kind


@pytest.fixture
def database_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of an empty database."""
    yield from _fresh(database, request, tmp_path)


@pytest.fixture
def engine(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[sa.Engine]:
    """An engine on a migrated, empty database. `str(engine.url)` masks the password: see `engine_url`."""
    for url in _migrated(database, request, tmp_path):
        engine = make_engine(url)
        yield engine
        engine.dispose()


@pytest.fixture
def migrated_url(database: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a migrated, empty database: cheaper than `database_url`, which each test migrates anew."""
    yield from _migrated(database, request, tmp_path)


@pytest.fixture
def url_by_turns(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """As `migrated_url`, but each test on one of the databases, always the same: for many cases of a kind."""
    kind = DATABASES[zlib.crc32(request.node.name.encode()) % len(DATABASES)]
    yield from _migrated(kind, request, tmp_path)


@pytest.fixture
def engine_url(engine: sa.Engine) -> str:
    """The URL of `engine`, password included, for starting other processes."""
    return engine.url.render_as_string(hide_password=False)


def _fresh(
    kind: str, request: pytest.FixtureRequest, folder: Path, template: str | None = None
) -> Iterator[str]:
    if kind == "sqlite":
        yield f"sqlite:///{folder / 'etl.db'}"
        return
    server: Server = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
    name = f"t{next(_numbers)}"
    yield server.create(name, template=template)
    server.drop(name)


def _migrated(kind: str, request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """Migrated once per session and copied."""
    if kind == "sqlite":
        shutil.copy(request.getfixturevalue("_sqlite_template"), folder / "etl.db")
        yield from _fresh(kind, request, folder)
    elif kind == "postgresql":
        yield from _fresh(kind, request, folder, request.getfixturevalue("_postgres_template"))
    else:
        script = request.getfixturevalue("_mariadb_template")
        for url in _fresh(kind, request, folder):
            request.getfixturevalue("mariadb").execute(script, database=url.rpartition("/")[2])
            yield url


def _migrate(url: str) -> None:
    engine = make_engine(url)
    migrate.upgrade_schema(engine)
    engine.dispose()


@pytest.fixture(scope="session")
def _sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("template") / "etl.db"
    _migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def _postgres_template(postgres: Server) -> str:
    _migrate(postgres.create("template_etl"))
    return "template_etl"


@pytest.fixture(scope="session")
def _mariadb_template(mariadb: Server) -> str:
    """MariaDB copies no database; what it says of this one makes the same again, at a tenth of the price."""
    url = mariadb.create("template_etl")
    _migrate(url)
    engine = sa.create_engine(make_engine(url).url)
    with engine.connect() as connection:
        script = mariadb_script(connection, "template_etl")
    engine.dispose()
    return script
