"""Grafana's files and docs/bi.md: what they name exists, and what they say runs, on a real PostgreSQL."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
import yaml

from etl.db.engine import make_engine
from etl.schema import migrate
from etl.schema.tables import metadata
from etl.schema.views.create import VIEWS
from tests.service.test_deploy import metric_names

ROOT = Path(__file__).parents[2]
GRAFANA = ROOT / "deploy" / "grafana"
PAGE = (ROOT / "docs" / "bi.md").read_text()
BOARD: dict[str, Any] = json.loads((GRAFANA / "dashboard.json").read_text())
TARGETS = [target for panel in BOARD["panels"] for target in panel.get("targets", [])]
SQL = [target["rawSql"] for target in TARGETS if "rawSql" in target]
PROMQL = [target["expr"] for target in TARGETS if "expr" in target]


def test_the_dashboard_is_what_its_script_writes() -> None:
    written = runpy.run_path(str(GRAFANA / "build.py"))["text"]()
    assert (GRAFANA / "dashboard.json").read_text() == written, "run: python deploy/grafana/build.py"


def test_panels_do_not_overlap_and_ask_provisioned_sources() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in BOARD["panels"]:
        box = panel["gridPos"]
        cells = {
            (x, y) for x in range(box["x"], box["x"] + box["w"]) for y in range(box["y"], box["y"] + box["h"])
        }
        assert not cells & taken and box["x"] + box["w"] <= 24
        taken |= cells
    given = yaml.safe_load((GRAFANA / "provisioning/datasources/bifrost.yaml").read_text())["datasources"]
    asked = {target["datasource"]["uid"] for target in TARGETS}
    assert asked == {source["uid"] for source in given}
    assert {source["uid"]: source["type"] for source in given}[
        "bifrost-sql"
    ] == "grafana-postgresql-datasource"


def test_every_metric_of_the_dashboard_is_exported() -> None:
    named = {name for expr in PROMQL for name in re.findall(r"bifrost_etl_\w+", expr)}
    assert len(named) > 8 and named <= metric_names()
    for expr in PROMQL:
        assert expr.count("(") == expr.count(")") and expr.count("{") == expr.count("}")


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
def test_the_reader_asks_everything_and_writes_nothing(database_url: str) -> None:
    engine = make_engine(database_url)
    migrate.upgrade_schema(engine)
    name = engine.url.database
    assert name is not None
    reader, counts = f"reader_{name}", f"counts_{name}"
    blocks = [_renamed(block, name, reader, counts) for block in re.findall(r"```sql\n(.*?)```", PAGE, re.S)]
    with engine.connect() as conn:
        raw: Any = conn.connection.driver_connection
        raw.autocommit = True
        raw.execute(blocks[0])
        raw.execute(blocks[1])
    try:
        _check_reader(engine, reader)
        migrate.downgrade_schema(engine, "0001")
        migrate.upgrade_schema(engine)  # drops the views and makes them anew
        _check_reader(engine, reader)
    finally:
        with engine.begin() as conn:
            for role in (reader, counts):
                conn.execute(sa.text(f"DROP OWNED BY {role}"))
                conn.execute(sa.text(f"DROP ROLE {role}"))
        engine.dispose()


def _renamed(block: str, name: str, reader: str, counts: str) -> str:
    block = block.replace("etl_reader", reader).replace("etl_counts", counts)
    return block.replace("DATABASE etl ", f"DATABASE {name} ")


def _check_reader(engine: sa.Engine, reader: str) -> None:
    url = engine.url.set(drivername="postgresql", username=reader, password="change-me")
    with psycopg.connect(url.render_as_string(hide_password=False), autocommit=True) as conn:
        for view in VIEWS:
            conn.execute(f"SELECT * FROM {view.name} LIMIT 1")  # type: ignore[arg-type]
        for query in SQL:
            conn.execute(_plain(query))  # type: ignore[arg-type]
        for table in metadata.tables:
            with pytest.raises(psycopg.Error, match=r"read-only|permission denied"):
                conn.execute(f"DELETE FROM {table}")  # type: ignore[arg-type]
        conn.execute("SET default_transaction_read_only = off")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            conn.execute("DELETE FROM video_jobs")


def _plain(query: str) -> str:
    """What Grafana puts in place of its macros."""
    for macro, value in (
        ("$__timeFrom()", "'2026-05-01T00:00:00Z'"),
        ("$__timeTo()", "'2026-05-08T00:00:00Z'"),
        ("$source", "'main','other'"),
    ):
        query = query.replace(macro, value)
    assert "$" not in query
    return query
