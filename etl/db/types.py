"""Column types that mean the same on SQLite, PostgreSQL and MariaDB/MySQL."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

from etl.records import as_utc


class UtcDateTime(sa.TypeDecorator[datetime]):
    """An instant in UTC, microseconds kept. Takes and gives aware datetimes; refuses naive ones.

    PostgreSQL: timestamptz. MariaDB: DATETIME(6). SQLite: text `YYYY-MM-DD HH:MM:SS.ffffff`, which sorts.
    """

    impl = sa.DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name in ("mysql", "mariadb"):
            from sqlalchemy.dialects import mysql

            return dialect.type_descriptor(mysql.DATETIME(fsp=6))
        return dialect.type_descriptor(sa.DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        moment = as_utc(value)
        return moment if dialect.name == "postgresql" else moment.replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: sa.Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class JsonText(sa.types.UserDefinedType[str]):
    """JSON handed over as text, already encoded. PostgreSQL: JSONB. Elsewhere: text (MariaDB's own JSON
    type refuses documents more than 32 levels deep)."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "TEXT"

    def result_processor(self, dialect: sa.Dialect, coltype: object) -> Any:
        """psycopg decodes JSONB by itself; give text back, as the other databases do."""
        import msgspec

        def text(value: Any) -> str | None:
            return value if value is None or isinstance(value, str) else msgspec.json.encode(value).decode()

        return text


@compiles(JsonText, "postgresql")
def _compile_jsonb(_type: JsonText, _compiler: Any, **_: Any) -> str:
    return "JSONB"


@compiles(JsonText, "mysql", "mariadb")
def _compile_longtext(_type: JsonText, _compiler: Any, **_: Any) -> str:
    return "LONGTEXT"


class Text(sa.TypeDecorator[str]):
    """Text of any length (MariaDB's TEXT ends at 64 KiB)."""

    # MySQL's dialect is imported where it is used: it would cost every command 0.03 s.
    impl = sa.Text
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name not in ("mysql", "mariadb"):
            return sa.Text()  # as it is: adapted to psycopg it would become VARCHAR
        from sqlalchemy.dialects import mysql

        return dialect.type_descriptor(mysql.LONGTEXT())


class Bytes(sa.TypeDecorator[bytes]):
    """Bytes of any length."""

    impl = sa.LargeBinary
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name not in ("mysql", "mariadb"):
            return dialect.type_descriptor(sa.LargeBinary())
        from sqlalchemy.dialects import mysql

        return dialect.type_descriptor(mysql.LONGBLOB())


#: A job's id: long enough for URL-escaped operation names, short enough for MariaDB's index.
JobId = sa.String(512)
#: 64-bit key; SQLite autoincrements only a column declared INTEGER.
BigKey = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Double: sa.Double[float] = sa.Double()
