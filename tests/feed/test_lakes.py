"""Delta and Iceberg tables, read back by their own libraries and by DuckDB: row by row the database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from etl.config import Destination, SecretUrl
from etl.db.engine import write_transaction
from etl.feed import delivery
from etl.feed.tables import STREAMS, VERSIONS, Stream
from etl.schema.tables import metadata
from tests.support.feed_history import Writer, add_source
from tests.support.reading_back import assert_equal, destination, held

pytestmark = pytest.mark.slow

sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)
lakes = pytest.mark.parametrize("kind", ["delta", "iceberg"])


def feed(engine, kind, folder, **options) -> dict[str, int]:
    result = delivery.deliver_to_one(engine, destination(kind, folder), **options)
    if result.error is not None:
        raise result.error.__cause__ or result.error
    assert result.status == "ok"
    return result.rows


@lakes
def test_history_and_state_arrive_once(engine, tmp_path, kind):
    writers = [Writer(engine, add_source(engine, name), seed) for seed, name in enumerate("ab")]
    for turn in range(3):
        for writer in writers[: turn % 2 + 1]:
            writer.step(new=12, changes=9)
        feed(engine, kind, tmp_path, batch_rows=15)
        assert_equal(engine, kind, tmp_path)
    assert feed(engine, kind, tmp_path) == {}


@sqlite
@pytest.mark.parametrize("kind", ["filesystem", "delta", "iceberg", "duckdb"])
def test_a_new_column_appears_downstream(engine, tmp_path, kind):
    writer = Writer(engine, add_source(engine, "a"))
    writer.step()
    feed(engine, kind, tmp_path)
    with write_transaction(engine) as conn:
        conn.exec_driver_sql("ALTER TABLE video_job_versions ADD COLUMN mood TEXT DEFAULT 'calm'")
    feed(engine, kind, tmp_path)
    later = sa.MetaData()
    grown = metadata.tables["video_job_versions"].to_metadata(later)
    grown.append_column(sa.Column("mood", sa.Text))
    versions = Stream(grown, VERSIONS.key, VERSIONS.proof)
    streams = (versions, *STREAMS[1:])
    writer.step(new=2, changes=0)
    feed(engine, kind, tmp_path, streams=streams)
    moods = [row["mood"] for row in held(kind, tmp_path, "video_job_versions")]
    assert moods == [None] * 8 + ["calm"] * 2


@sqlite
@pytest.mark.parametrize("kind", ["filesystem", "delta", "iceberg", "postgres"])
@pytest.mark.parametrize("url", [None, "file://", "s3:///", "postgresql://"])
def test_a_url_that_names_no_place(engine, kind, url):
    nowhere = Destination(name="lake", type=kind, url=url and SecretUrl(url))
    assert "'lake' needs a url that names a folder" in str(delivery.deliver_to_one(engine, nowhere).error)
