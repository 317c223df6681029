"""Many rows at once, each database's fastest way. Rows are plain tuples in the order of the columns."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import chain, islice
from typing import Any, NamedTuple, TypeVar

import msgspec
import sqlalchemy as sa

from etl.db.types import JsonText
from etl.load import bulk_mysql, bulk_postgres
from etl.load.sql_values import storable_text

Row = Sequence[Any]
_T = TypeVar("_T")

#: Of one statement: few enough for its text, and for the 32,766 parameters that SQLite takes.
_ROWS = 500
#: Fewer rows travel to PostgreSQL in one journey; COPY takes two.
_FEW = 20
_ROWS_HERE = "{rows}"
_RECORDS = "json_populate_recordset(NULL::{0}, %s::json)"


def insert_rows(conn: sa.Connection, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row]) -> None:
    """Insert rows that are known not to exist."""
    if not rows:
        return
    if conn.dialect.name == "postgresql" and len(rows) < _FEW:
        run_driver_sql(conn, _insert_records_sql(table, columns), (_as_json(table, columns, rows),))
    elif conn.dialect.name == "postgresql":
        bulk_postgres.copy_rows(conn, table, columns, bulk_postgres.copyable_rows(table, columns, rows))
    elif conn.dialect.name == "sqlite":
        _insert_many_by_many(conn, _insert_into(conn, table, columns), rows)
    else:
        _insert_lines(conn, _insert_into(conn, table, columns), bulk_mysql.json_lines(rows))


def prepare_rows(dialect: str, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row]) -> list[Any]:
    """Rows of these columns, as far along as they can be without a connection: for `insert_ready`. Their
    times are made by `sql_values.write_instants`."""
    if dialect == "postgresql":
        return bulk_postgres.copyable_rows(table, columns, rows, timed=True)
    return _as_tuples(rows) if dialect == "sqlite" else bulk_mysql.json_lines(rows)


def insert_ready(
    conn: sa.Connection, table: sa.Table, columns: tuple[str, ...], rows: Iterable[tuple[Any, int, int]]
) -> None:
    """Insert rows that are known not to exist: each as `prepare_rows` made it, then its last two columns."""
    if conn.dialect.name == "postgresql":
        bulk_postgres.copy_rows(conn, table, columns, ((*row, place, run) for row, place, run in rows))
    elif conn.dialect.name == "sqlite":
        _insert_many_by_many(
            conn, _insert_into(conn, table, columns), [(*row, place, run) for row, place, run in rows]
        )
    else:
        _insert_lines(conn, _insert_into(conn, table, columns), [b"%b,%d,%d" % row for row in rows])


def _insert_into(conn: sa.Connection, table: sa.Table, columns: tuple[str, ...]) -> str:
    return f"{table.name} ({', '.join(map(conn.dialect.identifier_preparer.quote, columns))})"


def insert_one(conn: sa.Connection, table: sa.Table, values: dict[str, Any]) -> int:
    """Insert a row and return its generated key."""
    key = conn.execute(sa.insert(table), values).inserted_primary_key
    assert key is not None
    return int(key[0])


def update_rows(
    conn: sa.Connection, table: sa.Table, columns: tuple[str, ...], keys: tuple[str, ...], rows: Sequence[Row]
) -> None:
    """Set `columns` where `keys` match; each row holds the columns' values, then the keys'."""
    if not rows:
        return
    sql = _update_sql(conn.dialect.name, table, columns, keys)
    if conn.dialect.name == "sqlite":
        conn.exec_driver_sql(sql, _as_tuples(rows))
        return
    _run_with_rows(conn, sql, table, (*columns, *keys), rows)


class Merge(NamedTuple):
    """How rows join those that are there: where `key` is, the values of `add` are added to what stands there,
    those of `replace` take its place, and the other columns stay as they are."""

    columns: tuple[str, ...]
    key: tuple[str, ...]
    add: tuple[str, ...] = ()
    replace: tuple[str, ...] = ()


def merge_rows(conn: sa.Connection, table: sa.Table, how: Merge, rows: Sequence[Row]) -> None:
    """Insert rows in the order of `how.columns`, or join them with those that are there; each has a key of
    its own."""
    if not rows:
        return
    sql = _merge_sql(conn.dialect.name, table, how)
    if conn.dialect.name == "sqlite":
        for part in _cut_by_size(rows):
            marks = _placeholders(len(how.columns), len(part))
            conn.exec_driver_sql(sql.replace("VALUES", f"VALUES {marks}"), tuple(chain.from_iterable(part)))
        return
    _run_with_rows(conn, sql, table, how.columns, rows)


def _run_with_rows(
    conn: sa.Connection, sql: str, table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row]
) -> None:
    """PostgreSQL gets its rows as one JSON text a statement, MariaDB and MySQL as literals."""
    if conn.dialect.name == "postgresql":
        for chunk in _cut_by_rows(rows):
            run_driver_sql(conn, sql, (_as_json(table, columns, chunk),))
        return
    before, _, after = sql.partition(_ROWS_HERE)
    between = " UNION ALL SELECT " if "SELECT" in before else "),("
    for lines in bulk_mysql.cut_lines(bulk_mysql.json_lines(rows)):
        run_driver_sql(conn, f"{before}{_values_clause(lines, between=between)}{after}")


def _as_json(table: sa.Table, columns: tuple[str, ...], rows: Sequence[Row]) -> str:
    documents = [place for place, name in enumerate(columns) if isinstance(table.c[name].type, JsonText)]
    if documents:
        rows = [_with_raw(row, documents) for row in rows]
    return msgspec.json.encode([dict(zip(columns, row, strict=True)) for row in rows]).decode()


def _with_raw(row: Row, documents: list[int]) -> list[Any]:
    """JSON inside JSON stands as it is: as a text it would become a JSON string."""
    made = list(row)
    for place in documents:
        if made[place] is not None:
            made[place] = msgspec.Raw(made[place].encode())
    return made


def of_jobs(conn: sa.Connection, source_id: int, ids: Sequence[str]) -> tuple[str, tuple[str, ...]]:
    """A WHERE for the jobs of these ids, and its parameters, for `run_driver_sql`."""
    return of_jobs_of_several(conn, (source_id,), ids)


def of_jobs_of_several(
    conn: sa.Connection, source_ids: Sequence[int], ids: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """A WHERE for the jobs of these ids in any of these sources, and its parameters.

    One parameter however many ids there are, so that SQLite and PostgreSQL prepare the statement once.
    """
    numbers = ", ".join(str(int(source_id)) for source_id in source_ids)
    of_source = f"source_id {f'= {numbers}' if len(source_ids) == 1 else f'IN ({numbers})'} AND job_id"
    ids = _storable_ids(ids)
    if conn.dialect.name == "sqlite":
        return of_source + " IN (SELECT value FROM json_each(?))", (_ids_as_json(ids),)  # noqa: S608
    if conn.dialect.name == "postgresql":
        return of_source + " = ANY(ARRAY(SELECT json_array_elements_text(%s::json)))", (_ids_as_json(ids),)
    return f"{of_source} IN ({_values_clause(bulk_mysql.json_lines([ids]))})", ()


def rows_to_come(conn: sa.Connection, table: sa.Table) -> tuple[str, tuple[str, ...]] | None:
    """A WHERE for the rows that this transaction will insert, where the database numbers its rows."""
    if conn.dialect.name != "sqlite":
        return None
    newest = conn.exec_driver_sql(f"SELECT coalesce(max(rowid), 0) FROM {table.name}").scalar_one()  # noqa: S608
    return f"rowid > {newest}", ()


def run_driver_sql(conn: sa.Connection, sql: str, parameters: tuple[str, ...] = ()) -> sa.CursorResult[Any]:
    """Execute the driver's own SQL; without parameters a percent sign is a percent sign."""
    options = {"no_parameters": not parameters}
    return conn.exec_driver_sql(sql, parameters, execution_options=options)


def _storable_ids(ids: Sequence[str]) -> Sequence[str]:
    """Among them may be a cursor; nearly always one look at them all is enough."""
    joined = "".join(ids)
    return ids if joined.isascii() and "\0" not in joined else [str(storable_text(each)) for each in ids]


def _ids_as_json(ids: Sequence[str]) -> str:
    return msgspec.json.encode(ids).decode()


def _as_tuples(rows: Iterable[Row]) -> list[tuple[Any, ...]]:
    return [row if type(row) is tuple else tuple(row) for row in rows]


def _values_clause(rows: Sequence[bytes], between: str = ",") -> str:
    return between.encode().join(rows).decode()


def _cut_by_rows(rows: Iterable[_T]) -> Iterator[list[_T]]:
    """Few enough rows that one statement's text stays small."""
    found = iter(rows)
    while chunk := list(islice(found, _ROWS)):
        yield chunk


def _insert_many_by_many(conn: sa.Connection, into: str, rows: Sequence[Row]) -> None:
    """Statements of many rows take a fifth off a first load: row by row, threads hand over Python's lock
    before and after each."""
    for part in _cut_by_size(rows):
        conn.exec_driver_sql(_insert_sql(into, len(part[0]), len(part)), tuple(chain.from_iterable(part)))


def _cut_by_size(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """Of few sizes: SQLite keeps a statement of each, and one of 500 rows takes 300 kB."""
    start = 0
    for size in (_ROWS, 100, 20, 5, 1):
        while len(rows) - start >= size:
            yield rows[start : start + size]
            start += size


def _insert_lines(conn: sa.Connection, into: str, rows: Sequence[bytes]) -> None:
    """Many rows in one statement. PyMySQL would take ten times as long to write the same text."""
    if bulk_mysql.load_data(conn, into, rows):
        return
    for chunk in bulk_mysql.cut_lines(rows):
        run_driver_sql(conn, f"INSERT INTO {into} VALUES ({_values_clause(chunk, between='),(')})")  # noqa: S608 (our own names)
    if len(rows) >= bulk_mysql.FEW:
        bulk_mysql.forgo_load_data(conn)


@lru_cache(maxsize=64)
def _insert_sql(into: str, columns: int, rows: int) -> str:
    # An error rolls all back anyway: SQLite need not keep what a statement of many rows changes.
    return f"INSERT OR FAIL INTO {into} VALUES {_placeholders(columns, rows)}"  # noqa: S608 (our own names)


def _placeholders(columns: int, rows: int) -> str:
    row = f"({', '.join('?' * columns)})"
    return ", ".join([row] * rows)


@lru_cache(maxsize=64)
def _insert_records_sql(table: sa.Table, columns: tuple[str, ...]) -> str:
    """PostgreSQL's INSERT of rows that come as one JSON text."""
    names = ", ".join(_quote_names("postgresql", columns))
    return f"INSERT INTO {table.name} ({names}) SELECT {names} FROM {_RECORDS.format(table.name)}"  # noqa: S608 (our own names)


@lru_cache(maxsize=64)
def _merge_sql(dialect: str, table: sa.Table, how: Merge) -> str:
    into = f"INSERT INTO {table.name} ({', '.join(_quote_names(dialect, how.columns))})"
    add, replace = _quote_names(dialect, how.add), _quote_names(dialect, how.replace)
    if dialect in ("mysql", "mariadb"):
        sets = [f"{name} = {name} + VALUES({name})" for name in add]
        sets += [f"{name} = VALUES({name})" for name in replace]
        return f"{into} VALUES ({_ROWS_HERE}) ON DUPLICATE KEY UPDATE {', '.join(sets)}"
    sets = [f"{name} = {table.name}.{name} + excluded.{name}" for name in add]
    sets += [f"{name} = excluded.{name}" for name in replace]
    found = f"ON CONFLICT ({', '.join(how.key)}) DO UPDATE SET {', '.join(sets)}"
    if dialect == "sqlite":
        return f"{into} VALUES {found}"
    return f"{_insert_records_sql(table, how.columns)} {found}"


@lru_cache(maxsize=64)
def _update_sql(dialect: str, table: sa.Table, columns: tuple[str, ...], keys: tuple[str, ...]) -> str:
    """PyMySQL and psycopg would send a statement for each row."""
    if dialect == "sqlite":
        sets, same = ([f"{name} = ?" for name in names] for names in (columns, keys))
        return f"UPDATE {table.name} SET {', '.join(sets)} WHERE {' AND '.join(same)}"  # noqa: S608
    same = [f"old.{name} = new.{name}" for name in keys]
    if dialect == "postgresql":
        sets = [f"{name} = new.{name}" for name in columns]
        given = f"FROM {_RECORDS.format(table.name)} AS new WHERE {' AND '.join(same)}"
        return f"UPDATE {table.name} AS old SET {', '.join(sets)} {given}"  # noqa: S608 (our own names)
    sets = [f"old.{name} = new.{name}" for name in columns]
    named = ", ".join(f"NULL AS {name}" for name in (*columns, *keys))
    given = f"(SELECT {named} FROM DUAL WHERE FALSE UNION ALL SELECT {_ROWS_HERE}) AS new"  # noqa: S608
    joined = f"STRAIGHT_JOIN {table.name} AS old ON {' AND '.join(same)}"
    return f"UPDATE {given} {joined} SET {', '.join(sets)}"  # noqa: S608 (our own names)


def _quote_names(dialect: str, names: Iterable[str]) -> list[str]:
    mark = "`" if dialect in ("mysql", "mariadb") else '"'
    return [f"{mark}{name}{mark}" for name in names]
