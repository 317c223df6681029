"""Delivered tables say what they hold: each column's comment arrives where a reader looks for it."""

from __future__ import annotations

from contextlib import closing

import duckdb
import psycopg
import pyarrow.parquet as pq
import pytest

from etl.config import Destination, SecretUrl
from etl.feed import delivery
from tests.support.feed_history import Writer, add_source
from tests.support.reading_back import destination

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
TABLE = "History: one row per change, append-only; only an erasure takes texts away."
COLUMN = "Order of change; grows within a source."


def feed(engine, target: Destination) -> None:
    Writer(engine, add_source(engine, "a")).step(new=3, changes=0)
    result = delivery.deliver_to_one(engine, target)
    assert result.status == "ok", result.error


def test_duckdb(engine, tmp_path):
    feed(engine, destination("duckdb", tmp_path))
    with closing(duckdb.connect(f"{tmp_path}/warehouse.duckdb")) as conn:
        where = "WHERE schema_name = 'bifrost' AND table_name = 'video_job_versions'"
        assert conn.execute(f"SELECT comment FROM duckdb_tables() {where}").fetchall() == [(TABLE,)]
        query = f"SELECT comment FROM duckdb_columns() {where} AND column_name = 'change_seq'"
        assert conn.execute(query).fetchall() == [(COLUMN,)]


@pytest.mark.slow
def test_postgresql(engine, postgres):
    url = postgres.create("described")
    feed(engine, Destination(name="pg", type="postgres", url=SecretUrl(url)))
    with psycopg.connect(url) as conn:
        (table,) = conn.execute("SELECT obj_description('bifrost.video_job_versions'::regclass)").fetchone()
        names = ("'bifrost.video_job_versions'::regclass", "'bifrost.prices'::regclass")
        query = "SELECT col_description(attrelid, attnum) FROM pg_attribute"
        query += " WHERE attname = '{}' AND attrelid = {}"
        (column,) = conn.execute(query.format("change_seq", names[0])).fetchone()
        (price,) = conn.execute(query.format("price", names[1])).fetchone()
    postgres.drop("described")
    assert (table, column, price) == (TABLE, COLUMN, "Price of one unit.")


def test_delta(engine, tmp_path):
    from deltalake import DeltaTable

    feed(engine, destination("delta", tmp_path))
    table = DeltaTable(f"{tmp_path}/delta/video_job_versions")
    assert table.metadata().description == TABLE
    (field,) = (field for field in table.schema().fields if field.name == "change_seq")
    assert field.metadata["comment"] == COLUMN


def test_iceberg(engine, tmp_path):
    from pyiceberg.catalog import load_catalog

    feed(engine, destination("iceberg", tmp_path))
    # As documented: the catalogue's name is bifrost, and so is the namespace.
    catalog = load_catalog("bifrost", type="sql", uri=f"sqlite:///{tmp_path}/iceberg/catalog.db")
    table = catalog.load_table("bifrost.video_job_versions")
    catalog.close()
    assert table.schema().find_field("change_seq").doc == COLUMN
    assert table.properties["comment"] == TABLE


def test_parquet(engine, tmp_path):
    feed(engine, destination("filesystem", tmp_path))
    (file,) = (tmp_path / "filesystem" / "video_job_versions").iterdir()
    schema = pq.read_schema(file)
    assert schema.metadata[b"comment"].decode() == TABLE
    assert schema.field("change_seq").metadata[b"comment"].decode() == COLUMN
