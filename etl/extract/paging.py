"""Which page follows which."""

from __future__ import annotations

from dataclasses import replace

import msgspec

from etl.records import PageRequest, RawPage


class _Id(msgspec.Struct):
    id: str | int | None = None


_DECODE = msgspec.json.Decoder(_Id)


def next_request(page: RawPage) -> PageRequest | None:
    """What to ask after this page; None at the end of the list."""
    if page.ends:
        return None
    cursor = next_cursor(page)
    return None if cursor is None else replace(page.request, after=cursor)


def next_cursor(page: RawPage) -> str | None:
    """Where the page ends: the id of its last item, or `last_id` where that has none.

    They are the same; where they are not, `last_id` would skip what lies between, or show it again. An item
    that the page shows a second time does not end it: the list would be read again from its first place.
    """
    if not page.items:
        return page.last_id
    return _item_id(_last_item(page.items)) or page.last_id or _nearest_id(page.items)


def without_items(page: RawPage) -> RawPage:
    """The page after its transform: its items are counted and the last one names its end, the rest is freed.

    A hundred pages wait or are being stored at once: 4.5 MB.
    """
    if not page.items or _item_id(last := _last_item(page.items)) is None:
        return page
    return replace(page, items=(b"",) * (len(page.items) - 1) + (last,))


def item_ids(page: RawPage) -> list[str]:
    """The ids of the page's items, of those that have one."""
    return [found for found in map(_item_id, page.items) if found]


def _last_item(items: tuple[bytes, ...]) -> bytes:
    """The last item but for those that the page has shown before, byte by byte."""
    if items.index(items[-1]) == len(items) - 1:
        return items[-1]  # nearly always
    return next(item for place, item in reversed([*enumerate(items)]) if items.index(item) == place)


def _nearest_id(items: tuple[bytes, ...]) -> str | None:
    """The id of the last item that has one."""
    return next((found for found in map(_item_id, reversed(items)) if found), None)


def _item_id(item: bytes) -> str | None:
    try:
        found = _DECODE.decode(item).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if found is None else str(found)
