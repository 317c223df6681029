"""Every table, view and column with its meaning, from the models themselves; and questions in SQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from typing import Any

import sqlalchemy as sa

from etl.analytics.queries import Table
from etl.db.types import Bytes, JsonText, UtcDateTime
from etl.errors import ConfigError
from etl.schema.tables import metadata
from etl.schema.views.columns import Column
from etl.schema.views.create import VIEWS

_TYPES: tuple[tuple[type[Any], str], ...] = (
    (UtcDateTime, "instant"),
    (JsonText, "JSON"),
    (sa.Boolean, "flag"),
    (sa.Numeric, "number"),
    (sa.Integer, "integer"),
    (Bytes, "bytes"),
)

_HEAD = """# Asking in SQL

<!-- Written by docs/build.py from the code; a test compares them. -->

Any SQL client will do; `bifrost-etl sql` opens the configured database so that it can only be read.
Ask the **views**: they are stable, and the same on SQLite, PostgreSQL and MariaDB. The tables below them are
for what the views do not show.

- Days, weeks and hours of views are UTC's, whatever `reporting.timezone` says: a view cannot know it. Reports
  and the dashboard cut by that zone, so jobs near midnight may stand on another day there.
- All instants are UTC. *Gateway's clock* and *our clock* differ, and are never in one column.
- An *instant* is `timestamptz` on PostgreSQL, `DATETIME(6)` on MariaDB, and text that sorts
  (`2026-05-04 12:00:00.000000`) on SQLite: there write an instant with all its digits, or `<=` and `BETWEEN`
  miss it. A *flag* is a boolean on PostgreSQL, 0 or 1 elsewhere.
- Money is null, never 0, where nothing is charged or no price is known. A price holds from the start of a UTC
  day; a job costs what was in force on the day it was created. It is a decimal on PostgreSQL and MariaDB; on
  SQLite, which has none, `SUM(CAST(ROUND(cost * 1000000) AS INTEGER)) / 1e6` adds it exactly.
- A job that two sources of one gateway have is in the views once: `video_jobs.twin_source_id` says who counts
  it.
- A range of `created_at` is answered by an index at any size. `daily_jobs` and `latency_percentiles` over all
  jobs read the totals that every commit keeps. The other views over *all* jobs read them one by one, and
  `duplicate_requests` and `remix_trees` take seconds at a million: ask them, and `job_facts`, for some days.
  `bifrost-etl report` puts its range inside the view, and takes whole days of it from the totals.
- On PostgreSQL, `ALTER ROLE reader SET jit = off` for whoever asks: to compile `daily_jobs` takes 0.9 s.
- The views belong to the newest schema: `bifrost-etl db upgrade` makes them anew. On PostgreSQL, grant a
  reader its rights with `ALTER DEFAULT PRIVILEGES`, so that they outlive an upgrade.

## An account that can only read

`bifrost-etl sql` sends one statement at a time into a read-only transaction that is rolled back, and refuses
executable comments (`/*! … */`), `INTO OUTFILE`, locking clauses and functions that may do more than read: on
PostgreSQL all that are declared volatile, but for clocks, random numbers and sizes; on MariaDB `LOAD_FILE`,
`GET_LOCK` and stored functions not declared `READS SQL DATA` or `NO SQL`. That is a railing. The wall is the
account: what it may not do, no statement does. `check` and `sql` say which rights reach beyond the tables.
Keep `SUPER`, `FILE`, superusers and roles such as `pg_read_server_files` away from whoever asks, and ask as a
reader:

```sql
-- PostgreSQL
CREATE ROLE reader LOGIN PASSWORD '…';
ALTER ROLE reader SET default_transaction_read_only = on;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader;
ALTER DEFAULT PRIVILEGES FOR ROLE etl IN SCHEMA public GRANT SELECT ON TABLES TO reader;
-- MariaDB, MySQL
CREATE USER reader@'%' IDENTIFIED BY '…';
GRANT SELECT, SHOW VIEW ON videos.* TO reader@'%';
```

Then `DATABASE_URL=postgresql://reader@db.example.com/videos bifrost-etl sql`, with a configuration that
leaves the address to that variable. An SQLite file is as safe as its rights:
it is made for its owner only (0600).
"""


@dataclass(frozen=True, slots=True)
class Question:
    """`title` is in words; `sql` runs on every database."""

    title: str
    sql: str


def read_questions() -> list[Question]:
    """The questions of questions.sql."""
    text = resources.files("etl.analytics").joinpath("questions.sql").read_text(encoding="utf-8")
    parts = (part.strip().partition("\n") for part in text.split("\n\n"))
    return [Question(title.removeprefix("-- "), sql.rstrip(";")) for title, _, sql in parts]


def describe_relation(name: str) -> Table:
    """The names of all views and tables, or the columns of one. Raises ConfigError for an unknown one."""
    found = dict(all_relations())
    if not name:
        rows = tuple((key, kind, comment) for key, (kind, comment, _) in found.items())
        return _text_table(("name", "kind", "what it holds"), rows)
    if name not in found:
        raise ConfigError(f"there is no table or view {name!r}", hint="\\d lists them")
    return _text_table(("column", "type", "what it holds"), tuple(found[name][2]))


def catalogue_markdown() -> str:
    """docs/sql.md."""
    asked = read_questions()
    parts = [_HEAD, f"## {len(asked)} questions, answered\n"]
    parts += [f"### {q.title}\n\n```sql\n{q.sql};\n```\n" for q in asked]
    for kind, title in (("view", "Views"), ("table", "Tables")):
        parts.append(f"## {title}\n")
        for name, (what, comment, columns) in all_relations():
            if what == kind:
                rows = "\n".join(f"| `{column}` | {of} | {text} |" for column, of, text in columns)
                parts.append(f"### {name}\n\n{comment}\n\n| column | type | |\n|---|---|---|\n{rows}\n")
    return "\n".join(parts)


def all_relations() -> Iterator[tuple[str, tuple[str, str, list[tuple[str, str, str]]]]]:
    for view in VIEWS:
        columns = [(c.name, str(c.kind), c.comment) for c in view.columns]
        yield view.name, ("view", view.comment, columns)
    for table in metadata.sorted_tables:
        described = [(column.name, _type_name(column.type), column.comment or "") for column in table.columns]
        yield table.name, ("table", table.comment or "", described)


def _type_name(of: sa.types.TypeEngine[object]) -> str:
    return next((name for kind, name in _TYPES if isinstance(of, kind)), "text")


def _text_table(headings: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> Table:
    return Table("catalogue", "", tuple(Column(name, "any", "") for name in headings), rows, ranged=False)
