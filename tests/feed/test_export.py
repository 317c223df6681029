"""Exports: everything once, by day, whole or not at all, and harmless in a spreadsheet."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import json
from datetime import timedelta

import duckdb
import pytest
import sqlalchemy as sa

import etl.feed.export
from etl.db.engine import write_transaction
from etl.errors import ConfigError
from etl.feed.export import DAYS, Selection, export_tables
from etl.schema.tables import rejected_items, video_jobs
from tests.support.feed_history import START, Writer, add_source, stored
from tests.support.reading_back import plain

sqlite = pytest.mark.parametrize("database", ["sqlite"], indirect=True)


@pytest.fixture
def filled(engine):
    for name in "ab":
        writer = Writer(engine, add_source(engine, name))
        for _ in range(4):
            writer.step()
            writer.at += timedelta(hours=10)
    return engine


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
@pytest.mark.slow
def test_every_row_once_under_its_day(filled, tmp_path, kind, monkeypatch):
    monkeypatch.setattr(etl.feed.export, "_OPEN", 1)  # days come back: the second source starts over
    monkeypatch.setattr(etl.feed.export, "_CHUNK", 7)
    manifest = export_tables(filled, tmp_path / "out", kind, Selection())
    for file in manifest.files:
        content = (tmp_path / "out" / file.path).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == (file.bytes, file.sha256)
        assert f"/day={file.day}/" in file.path
    for table in DAYS:
        count = sum(file.rows for file in manifest.files if file.table == table)
        assert count == len(stored(filled, table))
    versions = [file for file in manifest.files if file.table == "video_job_versions"]
    assert len({file.day for file in versions}) == 2
    assert min(file.first_change for file in versions) == 1
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["format"] == kind


@sqlite
def test_parquet_read_by_duckdb_equals_the_table(filled, tmp_path):
    export_tables(filled, tmp_path / "out", "parquet", Selection())
    for table in ("video_jobs", "video_job_versions"):
        query = f"SELECT * EXCLUDE day FROM '{tmp_path}/out/{table}/*/*.parquet' ORDER BY 1, 2"
        assert plain(duckdb.sql(query).to_arrow_table().to_pylist()) == stored(filled, table)


@sqlite
@pytest.mark.parametrize("text", ["=1+1", " =1+1", "\n=1+1", "\t=1+1", "\u00a0@SUM(A1)", "＝1+1", "\ufeff-1"])
@pytest.mark.parametrize("raw", [False, True])
def test_csv_cells_are_no_formulas(filled, tmp_path, raw, text):
    cell = text if raw else f"'{text}"
    with write_transaction(filled) as conn:
        conn.execute(sa.update(video_jobs).values(prompt=text))
    export_tables(filled, tmp_path / "out", "csv", Selection(("video_jobs",)), raw=raw)
    texts = [path.read_bytes().decode() for path in (tmp_path / "out").rglob("*.csv")]
    rows = [row for text in texts for row in csv.DictReader(io.StringIO(text, newline=""))]
    assert {row["prompt"] for row in rows} == {cell}
    assert len(rows) == 40


@sqlite
def test_hostile_texts_survive_csv_and_null_is_not_empty(filled, tmp_path):
    export_tables(filled, tmp_path / "out", "csv", Selection(("video_jobs",)), raw=True)
    query = (
        f"SELECT prompt FROM read_csv('{tmp_path}/out/video_jobs/*/*.csv', all_varchar = true, nullstr = '',"
        " allow_quoted_nulls = false) ORDER BY source_id::int, job_id"
    )
    wanted = [row["prompt"] for row in stored(filled, "video_jobs")]
    assert [row[0] for row in duckdb.sql(query).fetchall()] == wanted
    assert "" in wanted and None in wanted


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_what_was_refused_is_exported_byte_for_byte(filled, tmp_path, kind):
    """No bytes are not null, and bytes that would begin a formula in base64 come back, too."""
    payloads = [b'{"id": null}\xff\x00', b"", None, b"\xfb\xef\xbe"]
    same = {"source_id": 1, "run_id": 1, "rejected_at": START, "reason": "=no id", "last_seen_at": START}
    rows = [{**same, "payload": told, "payload_hash": str(n)} for n, told in enumerate(payloads)]
    with write_transaction(filled) as conn:
        conn.execute(sa.insert(rejected_items), rows)
    export_tables(filled, tmp_path / "out", kind, Selection(("rejected_items",)), raw=True)
    readers = {
        "csv": "read_csv('{}', all_varchar = true, nullstr = '', allow_quoted_nulls = false)",
        "jsonl": "read_json('{}', format = 'newline_delimited')",
        "parquet": "read_parquet('{}')",
    }
    place = readers[kind].format(next((tmp_path / "out").rglob("part*")))
    found = [payload for (payload,) in duckdb.sql(f"SELECT payload FROM {place} ORDER BY id").fetchall()]
    assert [base64.b64decode(p) if isinstance(p, str) else p for p in found] == payloads


@sqlite
def test_since_and_until(filled, tmp_path):
    edge = START.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    first = export_tables(filled, tmp_path / "a", "jsonl", Selection(("video_job_versions",), until=edge))
    second = export_tables(filled, tmp_path / "b", "jsonl", Selection(("video_job_versions",), since=edge))
    rows = [sum(file.rows for file in manifest.files) for manifest in (first, second)]
    assert min(rows) > 0 and sum(rows) == len(stored(filled, "video_job_versions"))


@sqlite
def test_all_or_nothing(filled, tmp_path):
    def fail(table: str, _rows: int) -> None:
        if table == "list_pages":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_tables(filled, tmp_path / "out", "csv", Selection(), watch=fail)
    assert [path.name for path in tmp_path.iterdir() if "out" in path.name] == []
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(ConfigError, match="not empty"):
        export_tables(filled, tmp_path / "full", "csv", Selection())
    with pytest.raises(ConfigError, match="cannot be exported"):
        Selection(("leases",))
