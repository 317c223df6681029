"""A column that the mirror gains appears in what was delivered long ago, whichever way rows come there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import sqlalchemy as sa

from etl.config import Destination, SecretUrl
from etl.feed import delivery
from etl.feed.changes import read_whole_table
from etl.feed.sinks.base import Part
from etl.feed.sinks.registry import open_sink
from etl.feed.tables import STATE, STATE_COLUMNS, state_schema
from etl.feed.watermarks import Mark
from etl.schema.tables import sources
from tests.conftest import require_module
from tests.support.feed_history import Writer, add_source
from tests.support.reading_back import destination

pytestmark = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture(params=["duckdb", "delta", "iceberg", "postgres"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Destination]:
    if request.param != "postgres":
        yield destination(request.param, tmp_path)
        return
    require_module("dlt")
    server = request.getfixturevalue("postgres")
    yield Destination(name="pg", type="postgres", url=SecretUrl(server.create("grown")))
    server.drop("grown")


def feed(engine: sa.Engine, target: Destination) -> None:
    result = delivery.deliver_to_one(engine, target)
    assert result.status == "ok", result.error


def deliver(target: Destination, table: str, rows: pa.Table, **more: Any) -> None:
    sink = open_sink(target)
    marks = {**sink.marks(table), **more.pop("marks", {})}
    sink.deliver([Part(table, rows, marks, **more)])
    sink.close()


def held(target: Destination, table: str, *columns: str) -> list[dict[str, Any]]:
    sink = open_sink(target)
    assert sink.marks(table)
    wanted = list(dict.fromkeys(columns))
    found = [row for batch in sink.read(table, wanted) for row in batch.to_pylist()]
    sink.close()
    return sorted(found, key=lambda row: row[columns[0]])


def with_mood(rows: pa.Table) -> pa.Table:
    field = pa.field("mood", pa.string(), metadata={"comment": "How it felt.", "doc": "How it felt."})
    return rows.append_column(field, pa.array(["calm"] * rows.num_rows))


@pytest.mark.slow
def test_of_the_state(engine: sa.Engine, target: Destination) -> None:
    Writer(engine, add_source(engine, "a")).step(new=4, changes=0)
    feed(engine, target)
    known = [{**row, "version": 2} for row in held(target, STATE, "job_id", *STATE_COLUMNS)[:2]]
    deliver(target, STATE, with_mood(pa.Table.from_pylist(known, state_schema())), marks={1: Mark(5, "00")})
    assert [(row["version"], row["mood"]) for row in held(target, STATE, "job_id", "version", "mood")] == [
        (2, "calm"),
        (2, "calm"),
        (1, None),
        (1, None),
    ]
    feed_older = with_mood(pa.Table.from_pylist(known, state_schema())).drop_columns(["mood"])
    deliver(target, STATE, feed_older)  # a mirror that does not have it yet, after an update went back
    assert len(held(target, STATE, "job_id", "mood")) == 4


@pytest.mark.slow
def test_of_a_small_table(engine: sa.Engine, target: Destination) -> None:
    Writer(engine, add_source(engine, "a")).step(new=1, changes=0)
    feed(engine, target)
    rows = with_mood(read_whole_table(engine, sources))
    deliver(target, "sources", rows, whole=True)
    assert held(target, "sources", "name", "mood") == [{"name": "a", "mood": "calm"}]
