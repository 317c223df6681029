"""SQL warehouses through dlt: DuckDB and a second PostgreSQL, row by row what the database holds."""

from __future__ import annotations

import getpass
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import duckdb
import psycopg
import pytest
import sqlalchemy as sa

from etl.config import Destination, SecretUrl
from etl.db.engine import write_transaction
from etl.feed import delivery
from etl.feed.tables import KEYS, SMALL, STATE_COLUMNS
from etl.schema.tables import prices
from tests.conftest import require_module
from tests.support.feed_history import Writer, add_source, stored

pytestmark = pytest.mark.slow

require_module("dlt")
sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


WHOLE = {**KEYS, **{table.name: ("id",) for table in SMALL}}


def forget_a_price(engine: sa.Engine) -> None:
    with write_transaction(engine) as conn:
        conn.execute(
            sa.delete(prices).where(prices.c.id == sa.select(sa.func.max(prices.c.id)).scalar_subquery())
        )


def duck(folder, **options) -> Destination:
    url = SecretUrl(f"duckdb:///{folder}/warehouse.duckdb")
    return Destination(name="duck", type="duckdb", url=url, options=options)


def feed(engine, destination: Destination, **options) -> dict[str, int]:
    result = delivery.deliver_to_one(engine, destination, **options)
    if result.error is not None:
        raise result.error.__cause__ or result.error
    assert result.status == "ok"
    return result.rows


def plain(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{k: v.astimezone(UTC) if isinstance(v, datetime) else v for k, v in row.items()} for row in rows]


def in_duckdb(folder, table: str) -> list[dict[str, Any]]:
    with closing(duckdb.connect(f"{folder}/warehouse.duckdb")) as conn:
        key = ", ".join(WHOLE[table])
        return plain(conn.sql(f"SELECT * FROM bifrost.{table} ORDER BY {key}").to_arrow_table().to_pylist())


def expected(engine: sa.Engine, table: str) -> list[dict[str, Any]]:
    return stored(engine, table, STATE_COLUMNS if table == "video_jobs" else None)


def test_duckdb_holds_history_and_state(engine, tmp_path):
    writers = [Writer(engine, add_source(engine, name), seed) for seed, name in enumerate("ab")]
    for turn in range(2):
        for writer in writers[: turn + 1]:
            writer.step(new=6, changes=4)
        feed(engine, duck(tmp_path), batch_rows=30)
        forget_a_price(engine)
    writers[0].step()
    feed(engine, duck(tmp_path))
    for table in WHOLE:
        assert in_duckdb(tmp_path, table) == expected(engine, table)
    assert feed(engine, duck(tmp_path)) == {}


@sqlite
def test_a_file_that_dlt_has_filled_is_gone_on_with(engine, tmp_path):
    writer = Writer(engine, add_source(engine, "a"))
    writer.step(new=20, changes=5)
    through_dlt = Destination(
        name="old",
        type="dlt",
        url=SecretUrl(f"duckdb:///{tmp_path}/warehouse.duckdb"),
        options={"destination": "duckdb"},
    )
    assert feed(engine, through_dlt)["video_job_versions"] == 25
    writer.step(new=5, changes=10)
    assert feed(engine, duck(tmp_path))["video_job_versions"] == 15
    for table in WHOLE:
        assert in_duckdb(tmp_path, table) == expected(engine, table)


@sqlite
@pytest.mark.parametrize("way", ["pgpass", "PGPASSWORD", "socket", "PGHOST"])
def test_a_postgresql_whose_url_holds_no_password(engine, postgres, tmp_path, monkeypatch, way):
    """As documented, the url names an account only; the rest is what libpq finds."""
    url = postgres.create("nopassword")
    postgres.execute("CREATE ROLE loader SUPERUSER LOGIN PASSWORD 'it''s: secret'")
    rules = postgres.folder / "data" / "pg_hba.conf"
    trusting = rules.read_text()
    rules.write_text(f"host all loader 127.0.0.1/32 scram-sha-256\n{trusting}")
    postgres.execute("SELECT pg_reload_conf()")
    place, user = f"127.0.0.1:{postgres.port}/nopassword", "loader"
    if way == "pgpass":
        (tmp_path / "pass").write_text(f"127.0.0.1:{postgres.port}:*:loader:it's\\: secret\n")
        (tmp_path / "pass").chmod(0o600)
        monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pass"))
    elif way == "PGPASSWORD":
        monkeypatch.setenv("PGPASSWORD", "it's: secret")
    elif way == "socket":
        place = f"/nopassword?host={postgres.folder}&port={postgres.port}"
    else:
        monkeypatch.setenv("PGHOST", str(postgres.folder))
        monkeypatch.setenv("PGPORT", str(postgres.port))
        place = "/nopassword"
    Writer(engine, add_source(engine, "a")).step(new=3, changes=0)
    pg = Destination(name="pg", type="postgres", url=SecretUrl(f"postgresql://{user}@{place}"))
    try:
        assert feed(engine, pg)["video_job_versions"] == 3
        with psycopg.connect(url) as conn:
            assert conn.execute("SELECT count(*) FROM bifrost.video_jobs").fetchone() == (3,)
    finally:
        rules.write_text(trusting)
        postgres.execute("SELECT pg_reload_conf()")
        postgres.drop("nopassword")
        postgres.execute("DROP ROLE loader")


@sqlite
def test_a_postgresql_that_asks_the_kernel_who_is_there(engine, postgres):
    """Peer authentication: the url names no account, and another account's name is refused."""
    url, user = postgres.create("peers"), getpass.getuser()
    postgres.execute(f'CREATE ROLE "{user}" SUPERUSER LOGIN')
    rules = postgres.folder / "data" / "pg_hba.conf"
    trusting = rules.read_text()
    rules.write_text(f"local peers all peer\n{trusting}")
    postgres.execute("SELECT pg_reload_conf()")
    Writer(engine, add_source(engine, "a")).step(new=3, changes=0)
    at = f"/peers?host={postgres.folder}&port={postgres.port}"
    try:
        strange = Destination(name="pg", type="postgres", url=SecretUrl(f"postgresql://etl@{at}"))
        refused = delivery.deliver_to_one(engine, strange).error
        assert refused is not None and "Peer authentication failed" in str(refused.__cause__)
        pg = Destination(name="pg", type="postgres", url=SecretUrl(f"postgresql://{at}"))
        assert feed(engine, pg)["video_job_versions"] == 3
        with psycopg.connect(url) as conn:
            assert conn.execute("SELECT count(*) FROM bifrost.video_jobs").fetchone() == (3,)
    finally:
        rules.write_text(trusting)
        postgres.execute("SELECT pg_reload_conf()")
        postgres.drop("peers")
        postgres.execute(f'DROP ROLE "{user}"')


@sqlite
def test_a_second_postgresql(engine, postgres, tmp_path):
    url = postgres.create("warehouse")
    destination = Destination(name="pg", type="postgres", url=SecretUrl(url))
    writer = Writer(engine, add_source(engine, "a"))
    for _ in range(2):
        writer.step(new=15, changes=8)
        feed(engine, destination, batch_rows=25)
        forget_a_price(engine)
    writer.step()
    feed(engine, destination)
    with psycopg.connect(url, row_factory=psycopg.rows.dict_row) as conn:
        for table, key in WHOLE.items():
            if not expected(engine, table):
                continue  # through dlt a table comes with its first row
            found: Any = conn.execute(f"SELECT * FROM bifrost.{table} ORDER BY {', '.join(key)}").fetchall()
            assert plain(found) == expected(engine, table)
