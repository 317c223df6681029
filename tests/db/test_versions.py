"""A database older than the oldest supported one: `check` says so, and what cannot work says why."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from etl.check import check_database
from etl.db import versions
from etl.db.engine import make_engine
from etl.errors import DatabaseRefused
from etl.schema import migrate


def found(url: str) -> dict[str, tuple[bool | None, str]]:
    return {finding.what: (finding.good, finding.detail) for finding in check_database(url)}


def pretend(monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...]) -> None:
    """Whatever server answers, it says that it is of this version."""
    monkeypatch.setattr(versions, "_version", lambda _connection: version)


def test_check_names_the_version(engine: sa.Engine, engine_url: str) -> None:
    with engine.connect() as connection:
        server = connection.dialect.server_version_info
        name = versions.name_version(connection)
    said = found(engine_url)
    assert said["database"] == (True, f"reachable: {name}") and "version" not in said
    assert server is not None and ".".join(map(str, server[:2])) in name


@pytest.mark.parametrize(
    ("database", "version", "name"),
    [
        ("sqlite", (3, 31, 1), "SQLite 3.31.1"),
        ("postgresql", (12, 22), "PostgreSQL 12.22"),
        ("mariadb", (5, 7, 44), " 5.7.44"),
    ],
    indirect=["database"],
)
def test_check_tells_of_an_old_one(
    engine_url: str, monkeypatch: pytest.MonkeyPatch, version: tuple[int, ...], name: str
) -> None:
    pretend(monkeypatch, version)
    good, said = found(engine_url)["version"]
    assert good is False and name in said and "oldest that is supported" in said


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_an_old_sqlite_keeps_its_columns(engine: sa.Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """3.34 (in distributions of 2021) has no DROP COLUMN: an SQL syntax error is no answer."""
    pretend(monkeypatch, (3, 34, 1))
    with pytest.raises(DatabaseRefused, match=r"SQLite 3\.34\.1 cannot take columns away"):
        migrate.downgrade_schema(engine, "0001")
    migrate.check_schema(engine)
    fresh = make_engine(engine.url.render_as_string(hide_password=False))
    monkeypatch.undo()
    migrate.downgrade_schema(fresh, "0027")
    fresh.dispose()
