"""Each kind of destination needs no more than its own extra: the packages of the others may be missing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.feed_history import Writer, add_source
from tests.support.reading_back import destination

ROOT = Path(__file__).parents[2]
HEAVY = {"pyarrow", "duckdb", "deltalake", "pyiceberg", "dlt", "adbc_driver_postgresql", "psycopg2"}
NEEDS = {
    "filesystem": {"pyarrow"},
    "duckdb": {"pyarrow", "duckdb"},
    "delta": {"pyarrow", "deltalake"},
    "iceberg": {"pyarrow", "pyiceberg"},
}
PROGRAM = """
import sys
for name in {missing}: sys.modules[name] = None  # importing it raises ImportError
from etl.config import Destination, SecretUrl
from etl.db.engine import make_engine
from etl.feed import delivery
place = SecretUrl({place!r})
result = delivery.deliver_to_one(make_engine({url!r}), Destination(name="d", type={kind!r}, url=place))
print(result.status, result.error, getattr(result.error, "hint", None), result.rows)
"""


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
@pytest.mark.parametrize("kind", sorted(NEEDS))
@pytest.mark.slow
def test_a_destination_needs_its_own_extra_only(engine, engine_url, tmp_path, kind):
    Writer(engine, add_source(engine, "a")).step(new=3, changes=0)
    place = destination(kind, tmp_path).url
    assert place is not None
    said = {}
    for lacks in (HEAVY - NEEDS[kind], {sorted(NEEDS[kind])[0]}):
        program = PROGRAM.format(missing=sorted(lacks), url=engine_url, kind=kind, place=place.reveal())
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
        )
        said[len(lacks) == 1] = done.stdout
    assert said[False].startswith("ok") and "'video_job_versions': 3" in said[False], said
    extra = {"filesystem": "parquet"}.get(kind, kind)
    assert said[True].startswith("failed") and f"bifrost-etl[{extra}]" in said[True], said
