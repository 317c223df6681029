"""Random statements, for `harness.fuzz`: what is typed at `sql` is answered or refused, and changes nothing.

Statements are spliced from questions, from words that write, and from every way to hide one. Each goes past
the gate of the three kinds of database, and is then run on a SQLite whose bytes, and whose folder, must stay
as they are.
"""

from __future__ import annotations

import hashlib
import random
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from etl.analytics.adhoc_sql import run_statement
from etl.analytics.sql_guard import require_question
from etl.db.engine import make_engine
from etl.errors import ConfigError, StorageError

_BEGIN = (
    "SELECT 1", "SELECT * FROM t", "WITH x AS (SELECT 1) SELECT * FROM x", "VALUES (1)", "TABLE t",
    "EXPLAIN", "PRAGMA", "SHOW TABLES", "DESCRIBE t", "(SELECT 1)", "WITH x AS (SELECT 1)", "",
    "EXPLAIN QUERY PLAN", "WITH x AS (DELETE FROM t RETURNING *) SELECT * FROM x", "EXPLAIN ANALYZE",
    "SELECT a INTO u FROM t",
)  # fmt: skip
_MORE = (
    "DELETE FROM t", "INSERT INTO t VALUES (2)", "UPDATE t SET a = 3", "DROP TABLE t",
    "CREATE TABLE u (b)", "ATTACH 'x.db' AS x", "DETACH main", "VACUUM", "VACUUM INTO 'x.db'", "REINDEX",
    "ANALYZE", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "RELEASE a", "journal_mode = DELETE",
    "writable_schema = ON", "user_version = 7", "schema_version", "query_only = OFF",
    "wal_checkpoint(TRUNCATE)", "optimize", "application_id = 3", "page_size = 512",
    "incremental_vacuum", "temp_store_directory = '.'", "INTO OUTFILE 'x.db'", "INTO DUMPFILE 'x.db'",
    "FOR UPDATE", "LOCK IN SHARE MODE", "UNION SELECT 2", "ALTER TABLE t ADD c",
    "REPLACE INTO t VALUES (4)", "CREATE TEMP TABLE v (c)", "SET x = 1", "COPY t TO 'x'", "LIMIT 3",
    "ORDER BY 1", "WHERE a = load_extension('x')", ", writefile('x.db', 'y')", ", randomblob(9)",
    ", readfile('/etc/passwd')", ", edit('x')", ", fts3_tokenizer('a', 'b')", ", zeroblob(100)",
    ", load_file('x')", ", sqlite_version()", "RETURNING *", "ON CONFLICT DO NOTHING",
    ", pg_read_file('x')", ", setval('s', 1)",
)  # fmt: skip
_BETWEEN = (
    " ", "\n", ";", " ; ", "/**/", "/* ; */", "-- x\n", "# x\n", "/*! ", "*/", "/* /* */ ", "\t", "\r",
    "\0", "\u00a0", "\ufeff", "\x0b", "\u2028", "'", '"', "`", "[", "]", "(", ")", "$$", "E'\\''", "\\",
    "--", "/*", ",", "\ud800", "é",
)  # fmt: skip


def make_statement(chance: random.Random) -> str:
    parts = [chance.choice(_BEGIN)]
    for _ in range(chance.randrange(4)):
        parts += [chance.choice(_BETWEEN), chance.choice(_MORE)]
        if chance.random() < 0.3:
            parts.append(chance.choice(_BETWEEN))
    if chance.random() < 0.2:
        parts.insert(0, chance.choice(_BETWEEN))
    text = "".join(parts)
    return "".join(c.swapcase() if chance.random() < 0.1 else c for c in text)


def open_trial(folder: Path) -> Callable[[int], tuple[str, int]]:
    path = folder / "asked.db"
    with sqlite3.connect(path) as conn:
        conn.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (a); INSERT INTO t VALUES (1);")
    conn.close()
    engine = make_engine(f"sqlite:///{path}")
    before = _state(path)

    def trial(seed: int) -> tuple[str, int]:
        """How it ended, and how many rows it told. Raises whatever is wrong."""
        text = make_statement(random.Random(seed))
        for family in ("sqlite", "postgresql", "mysql"):
            with suppress(ConfigError):
                require_question(text, family)
        try:
            rows = len(run_statement(engine, text, timeout=10, limit=100).rows)
        except ConfigError:
            outcome = "refused by the gate", 0
        except StorageError:
            outcome = "refused by the database", 0
        else:
            outcome = "answered", rows
        assert _state(path) == before, "the database, or its folder, is another one"
        return outcome

    return trial


def _state(path: Path) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """The file's bytes, what it holds, and what lies beside it."""
    with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as conn:
        held = tuple(conn.iterdump())
    conn.close()
    beside = sorted(
        found.name for found in path.parent.iterdir() if not found.name.endswith(("-wal", "-shm"))
    )
    return hashlib.sha256(path.read_bytes()).hexdigest(), held, tuple(beside)
