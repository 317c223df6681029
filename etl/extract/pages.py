"""Which page follows which: the one stop rule."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from etl.records import RawPage, Request


class _Id(msgspec.Struct):
    id: str


_DECODE = msgspec.json.Decoder(_Id)


def next_request(page: RawPage) -> Request | None:
    """What to ask after this page; None at the end of the list (gateway.md, "Page").

    No items, `has_more: false`, or, when has_more is absent, a page shorter than its limit end the list.
    """
    if not page.items or page.has_more is False:
        return None
    if page.has_more is None and len(page.items) < page.request.limit:
        return None
    cursor = page.last_id or _last_id(page.items)
    return None if cursor is None else replace(page.request, after=cursor)


def _last_id(items: tuple[bytes, ...]) -> str | None:
    """The id of the last item that has one."""
    for raw in reversed(items):
        try:
            return _DECODE.decode(raw).id
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            continue
    return None
