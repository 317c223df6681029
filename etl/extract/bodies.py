"""A body is read piece by piece, so that neither its size, its compression nor its slowness is unbounded."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Any

from etl.errors import GarbledAnswer

_PIECE = 1 << 18
_GZIP_OR_ZLIB = 47  # zlib's window bits: tell the two apart by their first bytes


def read_body(raw: Any, limit: int, where: str, on_piece: Callable[[], None]) -> bytes:
    """The whole body of a urllib3 response, decompressed. Raises GarbledAnswer; `on_piece` may raise too.

    `read1` returns what has come: `read` would wait for a whole piece, past every deadline.
    """
    inflate = _inflater(raw.headers.get("Content-Encoding", ""), where)
    pieces: list[bytes] = []
    size = 0
    while piece := raw.read1(_PIECE, decode_content=False):
        on_piece()
        if inflate is not None:
            piece = _inflated(inflate, piece, limit - size + 1, where)
        size += len(piece)
        if size > limit:
            raise _too_large(limit, where)
        pieces.append(piece)
    _check_complete(raw, where)
    if inflate is not None and pieces and not inflate.eof:
        raise GarbledAnswer(f"{where}: truncated: the compressed body ends early", hint=CUT)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


CUT = "a proxy or the network cut the answer short; a smaller page_size may pass"


def _inflater(encoding: str, where: str) -> Any:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name not in ("gzip", "x-gzip", "deflate"):
        hint = "a proxy compresses in a way that was not asked for"
        raise GarbledAnswer(f"{where}: the body is encoded as {name[:40]}", hint=hint, hopeless=True)
    return zlib.decompressobj(_GZIP_OR_ZLIB)


def _inflated(inflate: Any, piece: bytes, room: int, where: str) -> bytes:
    """At most `room` bytes: a gzip bomb is noticed when it passes the limit, not when memory is full."""
    try:
        inflated: bytes = inflate.decompress(piece, room)
    except zlib.error:
        text = f"{where}: the body is not compressed as its header says"
        raise GarbledAnswer(text, hint="look at the proxy in front of the gateway") from None
    return inflated


def _too_large(limit: int, where: str) -> GarbledAnswer:
    return GarbledAnswer(
        f"{where}: the body is larger than {limit:,} bytes",
        hint="raise max_body, or lower page_size",
        hopeless=True,
    )


def _check_complete(raw: Any, where: str) -> None:
    promised = raw.headers.get("Content-Length", "")
    if promised.isdigit() and not raw.chunked and raw.tell() != int(promised):
        raise GarbledAnswer(f"{where}: truncated: {raw.tell()} of {promised} bytes came", hint=CUT)
