"""The known world in each database: one of its own for every test, or one for all that only read.

Its rows came past the loader: views count jobs themselves ("counted"), until totals are made to fit ("kept").
A module whose tests only read says so by a fixture `world` that returns `shared_world`.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from etl.db.engine import make_engine
from etl.load.totals import recount_all
from etl.schema import migrate
from tests.support.databases import Server
from tests.support.world import JOBS, fill

Worlds = dict[tuple[str, str], sa.Engine]


@pytest.fixture(params=["counted", "kept"])
def totals(request: pytest.FixtureRequest) -> str:
    kind: str = request.param
    return kind


@pytest.fixture
def own_world(engine: sa.Engine, totals: str) -> sa.Engine:
    _fill(engine, totals)
    return engine


@pytest.fixture
def world(own_world: sa.Engine) -> sa.Engine:
    return own_world


@pytest.fixture(scope="package")
def _worlds() -> Iterator[Worlds]:
    made: Worlds = {}
    yield made
    for engine in made.values():
        engine.dispose()


@pytest.fixture
def shared_world(database: str, totals: str, _worlds: Worlds, request: pytest.FixtureRequest) -> sa.Engine:
    if (database, totals) not in _worlds:
        engine = make_engine(_new(database, f"shared_{totals}", request))
        migrate.upgrade_schema(engine)
        _fill(engine, totals)
        _worlds[database, totals] = engine
    return _worlds[database, totals]


def _new(kind: str, name: str, request: pytest.FixtureRequest) -> str:
    if kind == "sqlite":
        folders: pytest.TempPathFactory = request.getfixturevalue("tmp_path_factory")
        return f"sqlite:///{folders.mktemp(name) / 'etl.db'}"
    server: Server = request.getfixturevalue("postgres" if kind == "postgresql" else "mariadb")
    return server.create(name)


def _fill(engine: sa.Engine, totals: str) -> None:
    fill(engine)
    if totals == "kept":
        assert recount_all(engine) == len(JOBS)
