"""A body is read piece by piece, so that neither its size, its compression nor its slowness is unbounded."""

from __future__ import annotations

import io
import zlib
from collections.abc import Callable
from typing import Any

from etl.errors import GarbledAnswer

_PIECE = 1 << 18
#: Pieces that a body may come in: each costs as much as kilobytes do.
_MAX_PIECES = 200_000
#: Members of a gzip body, one behind the other: what is left of a piece is copied for each.
_MAX_MEMBERS = 10_000
_GZIP = b"\x1f\x8b"
_GZIP_OR_ZLIB = 47  # zlib's window bits: tell the two apart by their first bytes
_BARE = -15  # neither: what many servers send as deflate
#: Compressions that are not asked for, and that some proxy may use all the same.
_OURS = ("gzip", "x-gzip", "deflate")
_FOREIGN = ("br", "zstd", "compress", "x-compress", "dcb", "dcz")


def read_body(raw: Any, limit: int, where: str, on_piece: Callable[[], None]) -> bytes:
    """The whole body of a urllib3 response, decompressed. Raises GarbledAnswer; `on_piece` may raise too.

    `read1` returns what has come: `read` would wait for a whole piece, past every deadline.
    """
    inflate = _make_inflater(raw.headers.get("Content-Encoding", ""), where)
    body = io.BytesIO()  # a list of small pieces would take many times their size
    pieces = sent = 0
    while piece := raw.read1(_PIECE, decode_content=False):
        on_piece()
        pieces, sent = pieces + 1, sent + len(piece)
        if pieces > _MAX_PIECES:
            raise GarbledAnswer(f"{where}: the body came in more than {_MAX_PIECES:,} pieces", hint=CUT)
        if inflate is not None:
            piece = inflate.feed(piece, limit - body.tell() + 1)
        body.write(piece)
        if max(body.tell(), sent) > limit:
            raise _too_large(limit, where)
    _check_complete(raw, where)
    if inflate is not None and pieces and not inflate.eof:
        raise GarbledAnswer(f"{where}: truncated: the compressed body ends early", hint=CUT)
    return body.getvalue()


CUT = "a proxy or the network cut the answer short; a smaller page_size may pass"


def _make_inflater(encoding: str, where: str) -> _Inflater | None:
    """None for a label that names no compression, such as `utf-8`: whether it is JSON, the body says."""
    names = [name.strip().lower() for name in encoding.split(",")]
    packed = [name for name in names if name in _OURS or name in _FOREIGN]
    if not packed:
        return None
    if packed[0] in _FOREIGN or len(packed) > 1:
        hint = "a proxy compresses in a way that was not asked for"
        raise GarbledAnswer(f"{where}: the body is encoded as {encoding[:40]}", hint=hint, hopeless=True)
    return _Inflater(where)


class _Inflater:
    """One compressed stream, or several gzip members one behind the other (RFC 1952, 2.2)."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._member: Any = None
        self._members = 0
        self._rest = b""  # what came behind the last whole member, perhaps the first byte of another

    @property
    def eof(self) -> bool:
        return bool(self._member is not None and self._member.eof)

    def feed(self, piece: bytes, room: int) -> bytes:
        """At most `room` bytes: a gzip bomb is noticed when it passes the limit, not when memory is full."""
        piece, self._rest = self._rest + piece, b""
        made = b""
        if piece and self._member is None:
            self._begin_member(piece[0])
        while piece and len(made) < room:
            if self._member.eof:
                if not piece.startswith(_GZIP[: len(piece)]):
                    break  # padding
                if len(piece) < len(_GZIP):
                    self._rest = piece
                    break
                self._begin_member(piece[0])
            made += self._inflate(piece, room - len(made))
            piece = self._member.unused_data
        return made

    def _begin_member(self, first: int) -> None:
        """`first` is its first byte: 8 is the method in the four bits on the right of zlib's."""
        self._members += 1
        if self._members > _MAX_MEMBERS:
            text = f"{self._where}: the compressed body has more than {_MAX_MEMBERS:,} parts"
            raise GarbledAnswer(text, hint="look at the proxy in front of the gateway", hopeless=True)
        framed = first == _GZIP[0] or first & 0x8F == 0x08
        self._member = zlib.decompressobj(_GZIP_OR_ZLIB if framed else _BARE)

    def _inflate(self, piece: bytes, room: int) -> bytes:
        try:
            made: bytes = self._member.decompress(piece, room)
        except zlib.error:
            text = f"{self._where}: the body is not compressed as its header says"
            raise GarbledAnswer(text, hint="look at the proxy in front of the gateway") from None
        return made


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
