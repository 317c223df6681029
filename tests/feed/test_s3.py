"""Parquet, Delta and Iceberg in an S3-compatible store (moto's server on loopback)."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import duckdb
import pyarrow.dataset as ds
import pyarrow.fs as pafs
import pytest
from moto.server import ThreadedMotoServer

from etl.config import Destination, SecretUrl
from etl.feed import delivery
from etl.feed.tables import KEYS
from tests.conftest import require_module
from tests.support.feed_history import Writer, add_source
from tests.support.reading_back import expected, newest_rows, plain

pytestmark = [
    pytest.mark.slow,
    pytest.mark.parametrize("database", ["sqlite"], indirect=True),
    pytest.mark.filterwarnings("ignore"),  # the server's and boto's own
]
_KEYS = {"access_key": "test", "secret_key": "test-secret", "region": "us-east-1"}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    address = f"http://{host}:{port}"
    client = boto3.client(
        "s3",
        endpoint_url=address,
        aws_access_key_id="test",
        aws_secret_access_key="test-secret",
        region_name="us-east-1",
    )
    client.create_bucket(Bucket="lake")
    yield address
    server.stop()


def _parquet(endpoint: str) -> dict:
    return {**_KEYS, "endpoint_override": endpoint.removeprefix("http://"), "scheme": "http"}


def _delta(endpoint: str) -> dict:
    return {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test-secret",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": endpoint,
        "AWS_ALLOW_HTTP": "true",
    }


def _iceberg(endpoint: str, folder) -> dict:
    return {
        "catalog": {"type": "sql", "uri": f"sqlite:///{folder}/catalog.db"},
        "s3.endpoint": endpoint,
        "s3.access-key-id": "test",
        "s3.secret-access-key": "test-secret",
        "s3.region": "us-east-1",
    }


def _fill(engine, destination: Destination) -> None:
    """Two deliveries, the second of which goes on from the marks in the store."""
    writer = Writer(engine, add_source(engine, "a"))
    for _ in range(2):
        writer.step(new=12, changes=6)
        result = delivery.deliver_to_one(engine, destination, batch_rows=10)
        if result.error is not None:
            raise result.error.__cause__ or result.error
    assert delivery.deliver_to_one(engine, destination).rows == {}


def _sorted(rows: list[dict], table: str) -> list[dict]:
    return sorted(plain(rows), key=lambda row: [row[name] for name in KEYS[table]])


def test_parquet(engine, endpoint):
    options = _parquet(endpoint)
    url = SecretUrl("s3://lake/parquet")
    _fill(engine, Destination(name="p", type="filesystem", url=url, options=options))
    store = pafs.S3FileSystem(**options)
    for table in set(KEYS) - {"video_jobs"}:
        found = ds.dataset(f"lake/parquet/{table}", filesystem=store, format="parquet").to_table()
        rows = found.to_pylist()
        rows = newest_rows(table, rows)
        assert _sorted(rows, table) == expected(engine, table)


def test_delta(engine, endpoint):
    deltalake = require_module("deltalake")
    options = _delta(endpoint)
    _fill(engine, Destination(name="d", type="delta", url=SecretUrl("s3://lake/delta"), options=options))
    for table in KEYS:
        held = deltalake.DeltaTable(f"s3://lake/delta/{table}", storage_options=options)
        rows = duckdb.from_arrow(held.to_pyarrow_table()).to_arrow_table().to_pylist()
        assert _sorted(rows, table) == expected(engine, table)


def test_iceberg(engine, endpoint, tmp_path):
    catalogs = require_module("pyiceberg.catalog")
    options = _iceberg(endpoint, tmp_path)
    url = SecretUrl("s3://lake/iceberg")
    _fill(engine, Destination(name="i", type="iceberg", url=url, options=options))
    plain_options = {key: value for key, value in options.items() if key != "catalog"}
    catalog = catalogs.load_catalog("bifrost", **plain_options, **options["catalog"], warehouse=url.reveal())
    for table in KEYS:
        rows = catalog.load_table(f"bifrost.{table}").scan().to_arrow().to_pylist()
        assert _sorted(rows, table) == expected(engine, table)
    catalog.engine.dispose()
