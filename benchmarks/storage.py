"""How much a database takes per table, measured with N made-up jobs of two versions each.

python -m benchmarks.storage 100000
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from benchmarks.feed import fill
from etl.db.engine import make_engine
from tests.support.databases import Missing, mariadb_server, postgres_server

TABLES = ("video_jobs", "video_job_versions")
_POSTGRES = sa.text("SELECT pg_total_relation_size(CAST(:name AS regclass))")
_MARIADB = sa.text(
    "SELECT file_size FROM information_schema.innodb_sys_tablespaces"
    " WHERE name = CONCAT(DATABASE(), '/', :name)"
)
_SQLITE = sa.text(
    "SELECT sum(pgsize) FROM dbstat WHERE name IN (SELECT name FROM sqlite_master WHERE tbl_name = :name)"
)


def measure(name: str, url: str, query: sa.TextClause, jobs: int) -> None:
    fill(url, 2 * jobs)
    engine = make_engine(url)
    with engine.connect() as conn:
        sizes = {table: int(conn.execute(query, {"name": table}).scalar_one()) for table in TABLES}
    engine.dispose()
    per_million = {table: round(size / 2**20 * 1_000_000 / jobs) for table, size in sizes.items()}
    print(name, "MiB per million jobs:", per_million, flush=True)


def main(jobs: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        measure("sqlite", f"sqlite:///{Path(folder) / 'etl.db'}", _SQLITE, jobs)
    servers: dict[str, tuple[Callable[..., object], sa.TextClause]] = {
        "postgresql": (postgres_server, _POSTGRES),
        "mariadb": (mariadb_server, _MARIADB),
    }
    for name, (starter, query) in servers.items():
        try:
            with starter() as server:  # type: ignore[attr-defined]
                measure(name, server.create("storage"), query, jobs)
        except Missing as missing:
            print(missing)


if __name__ == "__main__":
    main(int(sys.argv[1]))
