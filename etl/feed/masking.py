"""What a destination does not get to see of prompts (`mask`): a keyed digest stands for them, or nothing.

Where nobody can tell a prompt from anything else, nothing is handed on: unknown members, messages of
failures, raw bodies, and items that could not be understood.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import TYPE_CHECKING

from etl.config import Mask

if TYPE_CHECKING:
    import pyarrow as pa

_WITHHELD = {"extra", "error_message", "raw_request", "raw_response", "payload"}
#: Tables whose error_message is of our own making.
_OURS = {"sync_runs"}


def masked_columns(table: str) -> set[str]:
    """Columns of `table` that differ where one delivery had another mask than the other."""
    return set() if table in _OURS else {"prompt", *_WITHHELD}


def mask_rows(table: str, rows: pa.Table, mask: Mask) -> pa.Table:
    """The rows of `table`, with the columns that may hold prompts as `mask` wants them."""
    import pyarrow as pa

    if mask.prompt == "keep" or not masked_columns(table):
        return rows
    for at, field in enumerate(rows.schema):
        if field.name in _WITHHELD or (field.name == "prompt" and mask.prompt == "drop"):
            rows = rows.set_column(at, field, pa.nulls(rows.num_rows, field.type))
        elif field.name == "prompt":
            digests = [_digest_prompt(text, mask) for text in rows["prompt"].to_pylist()]
            rows = rows.set_column(at, field, pa.array(digests, field.type))
    return rows


def _digest_prompt(text: str | None, mask: Mask) -> str | None:
    """Equal prompts have equal digests; without the key nobody can try out what a prompt may have been."""
    assert mask.key is not None
    if text is None:
        return None
    key, said = mask.key.reveal().encode(), text.encode("utf-8", "surrogatepass")
    return f"hmac:{hmac.new(key, said, hashlib.sha256).hexdigest()}"
