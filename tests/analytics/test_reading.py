"""Reading changes nothing: every command and page that only reads, with a configuration of other prices and
sources, leaves every table as it was; and needs no right to write."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from etl.app import App
from etl.cli.errors import run_to_exit_code
from etl.cli.root import command
from etl.cli.settings import CommandSettings
from etl.config import load_config
from etl.schema.tables import metadata
from etl.web.app import build_app
from etl.web.dashboard.routes import dashboard_routes
from etl.web.metrics import Metrics
from etl.web.state import ServiceState
from tests.support.databases import Server

#: Everything that only looks. `--since` reaches back to what the world holds, whenever the test runs.
READING = [
    ("status",), ("status", "--json"), ("history", "j1"), ("report", "--since", "2026-01-01"),
    ("report", "cost", "--format", "json"), ("report", "remixes"), ("report", "duplicates"),
    ("prices", "list"), ("prices", "check"), ("sql", "SELECT * FROM job_facts"),
    ("db", "current"), ("db", "check"), ("check",),
]  # fmt: skip
PAGES = [
    "/",
    "/jobs",
    "/tables/cost",
    "/tables/failures",
    "/job?id=j1",
    "/jobs?only=unpriced",
    "/part/pace",
    "/healthz",
    "/metrics",
]
_OTHER = """
sources:
  - {name: another, base_url: "http://127.0.0.1:9", provider: openai, api_key: x}
prices:
  - {model: sora-2, price: 7, valid_from: 2026-01-01}
  - {model: veo-3.1, price: 8, currency: EUR, valid_from: 2026-01-01}
"""


def dump(engine: sa.Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, and the revision."""
    with engine.connect() as conn:
        names = [*metadata.tables, "bifrost_etl_revision"]
        quote = conn.dialect.identifier_preparer.quote
        found = {name: conn.exec_driver_sql(f"SELECT * FROM {quote(name)}").all() for name in names}
        return {name: sorted(map(tuple, rows), key=repr) for name, rows in found.items()}


@pytest.fixture
def reader(world: sa.Engine, request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A configuration file: other prices, another source, and an account that may only read.

    SQLite knows no accounts: there triggers refuse what the others' servers would refuse.
    """
    url = world.url.render_as_string(hide_password=False)
    if world.dialect.name == "sqlite":
        _refuse_writes(str(world.url.database))
    else:
        kind = "postgres" if world.dialect.name == "postgresql" else "mariadb"
        _allow_reading(request.getfixturevalue(kind), world)
        url = sa.make_url(url).set(username="only_reader", password="reader").render_as_string(False)
    file = tmp_path / "other.yaml"
    file.write_text(f"database: {{url: '{url}'}}\n{_OTHER}", encoding="utf-8")
    return file


def _refuse_writes(file: str) -> None:
    with sqlite3.connect(file) as conn:
        for name in metadata.tables:
            for what in ("INSERT", "UPDATE", "DELETE"):
                conn.execute(
                    f"CREATE TRIGGER no_{what}_{name} BEFORE {what} ON {name}"
                    " BEGIN SELECT RAISE(ABORT, 'a reader writes'); END"
                )


def _allow_reading(server: Server, world: sa.Engine) -> None:
    if server.family == "mariadb":
        server.execute("CREATE USER IF NOT EXISTS only_reader@'127.0.0.1' IDENTIFIED BY 'reader'")
        server.execute(f"GRANT SELECT, SHOW VIEW ON {world.url.database}.* TO only_reader@'127.0.0.1'")
        return
    with world.begin() as conn:
        conn.exec_driver_sql(
            "DO $$ BEGIN CREATE ROLE only_reader LOGIN PASSWORD 'reader';"
            " EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        )
        conn.exec_driver_sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO only_reader")


@pytest.mark.parametrize("totals", ["kept"], indirect=True)
def test_no_command_that_reads_writes(world, reader, monkeypatch, capsys, tmp_path):
    monkeypatch.chdir(tmp_path)
    before = dump(world)
    for arguments in READING:
        settings = CommandSettings(dict(os.environ))
        line = [*arguments, "--config", str(reader)]
        code = run_to_exit_code(
            lambda line=line, s=settings: command()(line, prog_name="bifrost-etl", obj=s), settings
        )
        said = capsys.readouterr()
        allowed = (0, 1) if arguments[0] in ("check", "status") or arguments == ("prices", "check") else (0,)
        assert code in allowed, (arguments, said.err)
        assert "denied" not in said.err and "a reader writes" not in said.err, (arguments, said.err)
        assert dump(world) == before, arguments


@pytest.mark.parametrize("totals", ["kept"], indirect=True)
def test_no_page_writes(world, reader):
    before = dump(world)
    config = load_config(reader, {})
    with App(config) as app:
        state = ServiceState(
            app=lambda: app, service=config.service, metrics=Metrics(), alive=lambda: True, limits=dict
        )
        client = TestClient(
            build_app(state, dashboard_routes()), base_url="http://127.0.0.1", raise_server_exceptions=True
        )
        for page in PAGES:
            answer = client.get(page)
            assert answer.status_code in (200, 503), (page, answer.text[:300])
            assert dump(world) == before, page


@pytest.mark.parametrize("totals", ["kept"], indirect=True)
def test_readers_say_that_prices_differ(world, reader, capsys):
    settings = CommandSettings(dict(os.environ))
    run_to_exit_code(
        lambda: command()(["report", "cost", "--config", str(reader)], prog_name="x", obj=settings), settings
    )
    assert "differs from this configuration in 2 prices" in capsys.readouterr().err
