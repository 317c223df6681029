"""Single values as each database holds them: instants, bytes, texts that a gateway sends unseen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from etl.load import bulk_mysql, bulk_postgres


def moment_literal(at: datetime) -> str:
    """An instant as every database reads it in the text of a statement."""
    return f"'{_instant_text(at)}'"


def as_binary(dialect: str, data: bytes | None) -> Any:
    """Bytes as rows for `merge_rows` hold them."""
    if data is None or dialect == "sqlite":
        return data
    return f"\\x{data.hex()}" if dialect == "postgresql" else bulk_mysql.Literal(f"X'{data.hex()}'")


def storable_text(text: str | None) -> str | None:
    """The text as every database takes it: cursors and messages come from the gateway unseen."""
    return None if text is None else text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def instant_writer(dialect: str) -> Callable[[datetime], Any]:
    """An instant as rows for this database hold it; on SQLite its text, as stored."""
    return _as_is if dialect == "postgresql" else _instant_text


def write_instants(dialect: str, moments: Sequence[datetime | None]) -> Sequence[Any]:
    """Many at once, for `prepare_rows`."""
    return bulk_postgres.copyable_instants(moments) if dialect == "postgresql" else _instant_texts(moments)


def _as_is(moment: datetime) -> datetime:
    return moment


def _instant_text(moment: datetime) -> str:
    # Fixed width, so that SQLite's text sorts as time; what SQLAlchemy's own type writes.
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(" ", "microseconds")


def _instant_texts(moments: Sequence[datetime | None]) -> Sequence[str | None]:
    """Instants as JSON's texts, in a third of the time of writing each, as long as they are whole seconds of
    UTC: those that a gateway sends are."""
    text = msgspec.json.encode(moments)
    if text.count(b'Z"') + moments.count(None) < len(moments) or b"." in text:
        return [None if moment is None else _instant_text(moment) for moment in moments]
    return _decode_texts(text.replace(b"T", b" ").replace(b'Z"', b'.000000"'))


_decode_texts = msgspec.json.Decoder(list[str | None]).decode
