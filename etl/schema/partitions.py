"""History in a partition per month, on PostgreSQL, for those who ask for it (`bifrost-etl db partition`).

`video_job_versions` becomes a table partitioned by `valid_from` (UTC months), with a default partition for
what no month takes. The primary key and the unique constraint stand on each partition: on the whole table
PostgreSQL would want `valid_from` in them. Across months the lease keeps versions unique, as it always did.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache

import sqlalchemy as sa

from etl.db.engine import read_transaction, write_transaction
from etl.errors import DatabaseBusy, DatabaseRefused
from etl.log import get_logger
from etl.schema.migrate import exclude_migrations
from etl.schema.tables import video_job_versions
from etl.words import count_noun

TABLE = "video_job_versions"
REST = f"{TABLE}_rest"
#: Where a source's history ends, for the feed. On the whole table, so that months get it too.
ENDS = f"ix_{TABLE}_source_id_change_seq"
#: Months that are there before they begin.
AHEAD = 2
_NAME = re.compile(rf"{TABLE}_(\d{{4,}})_(\d\d)")
LIKE = "INCLUDING DEFAULTS INCLUDING COMMENTS INCLUDING STORAGE"
_looked: weakref.WeakKeyDictionary[sa.Engine, date] = weakref.WeakKeyDictionary()


@dataclass(frozen=True, slots=True, order=True)
class Month:
    """A month of UTC, and its partition."""

    year: int
    month: int

    @classmethod
    def of(cls, moment: datetime) -> Month:
        return cls(moment.astimezone(UTC).year, moment.astimezone(UTC).month)

    @property
    def name(self) -> str:
        return f"{TABLE}_{self.year:04}_{self.month:02}"

    @property
    def next(self) -> Month:
        return Month(self.year + self.month // 12, self.month % 12 + 1)

    @property
    def start(self) -> datetime:
        return datetime(self.year, self.month, 1, tzinfo=UTC)

    @property
    def bounds(self) -> str:
        return f"FROM ('{self.start}') TO ('{self.next.start}')"

    @property
    def check(self) -> str:
        return f"valid_from >= '{self.start}' AND valid_from < '{self.next.start}'"


def is_partitioned(conn: sa.Connection) -> bool:
    """Whether history stands in months; never on SQLite and MariaDB."""
    if conn.dialect.name != "postgresql":
        return False
    kind = conn.scalar(
        sa.text("SELECT relkind FROM pg_class WHERE oid = to_regclass(:name)"), {"name": TABLE}
    )
    return kind in ("p", b"p")


def list_months(conn: sa.Connection) -> list[Month]:
    """The months that have a partition, oldest first."""
    query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = to_regclass(:name)"
    found = (_NAME.search(name) for name in conn.scalars(sa.text(query), {"name": TABLE}))
    return sorted(Month(int(match[1]), int(match[2])) for match in found if match)


def count_strays(conn: sa.Connection) -> int:
    """Rows in the default partition: of months that nobody made in time."""
    return int(conn.scalar(sa.text(f"SELECT count(*) FROM {REST}")) or 0)  # noqa: S608 (our own name)


def describe_months(engine: sa.Engine) -> str | None:
    """In words, which months there are; None when history stands in one table."""
    with read_transaction(engine) as conn:
        if not is_partitioned(conn):
            return None
        found, lost = list_months(conn), count_strays(conn)
    first, last = found[0], found[-1]
    text = f"{count_noun(len(found), 'month')}, {first.year}-{first.month:02} to {last.year}-{last.month:02}"
    return (
        f"{text}, and {count_noun(lost, 'version')} in no month yet: within a day a sync finds one"
        if lost
        else text
    )


def make_ahead(engine: sa.Engine, now: datetime) -> None:
    """Make the coming months' partitions; looks once a day and engine, and only at partitioned history.

    Failing is no failure of a sync: rows of a month without a partition go to the default one.
    """
    if engine.dialect.name != "postgresql" or _looked.get(engine) == now.date():
        return
    try:
        if not _is_complete(engine, now):
            with write_transaction(engine) as conn, exclude_migrations(conn):
                _make_months(conn, now)
    except (DatabaseBusy, DatabaseRefused) as error:
        get_logger("db").warning("months_not_made", error=str(error))
    _looked[engine] = now.date()


def _is_complete(engine: sa.Engine, now: datetime) -> bool:
    with read_transaction(engine) as conn:
        return not is_partitioned(conn) or (
            set(coming_months(now)) <= set(list_months(conn)) and not count_strays(conn)
        )


def rewrite_month(conn: sa.Connection, month: Month, stays: sa.ColumnElement[bool] | None) -> None:
    """Replace a month's partition by its rows that stay; None: no row stays, the partition goes.

    `stays` speaks of the table that `leaf(month)` is. Readers wait for moments only, at the end.
    """
    name, new = month.name, f"{month.name}_new"
    run_ddl(conn, f"LOCK TABLE {name} IN SHARE MODE")
    if stays is not None:
        run_ddl(conn, f"CREATE TABLE {new} (LIKE {name} {LIKE}, CONSTRAINT in_month CHECK ({month.check}))")
        target = month_table(month, new)
        conn.execute(
            sa.insert(target).from_select(list(target.c), sa.select(month_table(month)).where(stays))
        )
        add_keys(conn, new, new)
        run_ddl(
            conn, f"CREATE INDEX ON {new} (source_id, change_seq)"
        )  # or attaching would make it, under lock
    run_ddl(conn, f"ALTER TABLE {TABLE} DETACH PARTITION {name}")
    run_ddl(conn, f"DROP TABLE {name}")
    if stays is not None:
        run_ddl(conn, f"ALTER TABLE {new} RENAME TO {name}")
        for kind in ("pk", "uq"):
            run_ddl(conn, f"ALTER TABLE {name} RENAME CONSTRAINT {kind}_{new} TO {kind}_{name}")
        run_ddl(conn, f"ALTER TABLE {TABLE} ATTACH PARTITION {name} FOR VALUES {month.bounds}")
        run_ddl(conn, f"ALTER TABLE {name} DROP CONSTRAINT in_month")


@lru_cache(maxsize=1024)
def month_table(month: Month, name: str | None = None) -> sa.Table:
    """A month's partition as a table to query; the same object every time."""
    return video_job_versions.to_metadata(sa.MetaData(), name=name or month.name)


def coming_months(now: datetime) -> Iterable[Month]:
    """The current month and those made ahead."""
    month = Month.of(now)
    for _ in range(AHEAD + 1):
        yield month
        month = month.next


def _make_months(conn: sa.Connection, now: datetime) -> None:
    """Partitions for the coming months and for what strayed into the default one."""
    query = f"SELECT DISTINCT date_trunc('month', valid_from) FROM {REST}"  # noqa: S608 (our own name)
    run_ddl(conn, f"LOCK TABLE {REST} IN ACCESS EXCLUSIVE MODE")
    wanted = {Month.of(moment) for moment in conn.scalars(sa.text(query))} | set(coming_months(now))
    for month in sorted(wanted - set(list_months(conn))):
        name = month.name
        run_ddl(conn, f"CREATE TABLE {name} (LIKE {TABLE} {LIKE}, CONSTRAINT in_month CHECK ({month.check}))")
        moved = f"DELETE FROM {REST} WHERE {month.check} RETURNING *"  # noqa: S608 (our own names)
        run_ddl(conn, f"WITH moved AS ({moved}) INSERT INTO {name} TABLE moved")
        add_keys(conn, name, name)
        run_ddl(conn, f"ALTER TABLE {TABLE} ATTACH PARTITION {name} FOR VALUES {month.bounds}")
        run_ddl(conn, f"ALTER TABLE {name} DROP CONSTRAINT in_month")


def add_keys(conn: sa.Connection, name: str, unique: str) -> None:
    """The keys that history has, on one table of it."""
    run_ddl(conn, f"ALTER TABLE {name} ADD CONSTRAINT pk_{name} PRIMARY KEY (change_seq)")
    run_ddl(conn, f"ALTER TABLE {name} ADD CONSTRAINT uq_{unique} UNIQUE (source_id, job_id, version)")


def run_ddl(conn: sa.Connection, statement: str) -> None:
    """One statement that takes no parameters."""
    conn.exec_driver_sql(statement)
