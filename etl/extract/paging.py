"""Which page follows which: where a page ends, by the ids of its items."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from etl.records import RawPage

#: Parts of members that servers of other make tell their pages by.
PAGING = ("page", "offset", "total", "count", "skip", "start", "cursor", "next", "limit")


class _Id(msgspec.Struct):
    id: str | int | None = None


_DECODE = msgspec.json.Decoder(_Id)


def find_end(items: Sequence[bytes], last_id: str | None) -> str | None:
    """Where a page ends: the id of its last item, or `last_id` where that has none.

    They are the same; where they are not, `last_id` would skip what lies between, or show it again. An item
    that the page shows a second time does not end it: the list would be read again from its first place.
    """
    if not items:
        return last_id
    return _item_id(_last_item(items)) or last_id or _nearest_id(items)


def other_paging(page: RawPage) -> str:
    """What the answer says of pages, where it tells of them in members that nothing here asks by; else ""."""
    named = sorted(name[:40] for name in page.unknown if any(part in name.lower() for part in PAGING))
    return f" (its answers name {', '.join(named[:5])}: perhaps it pages by these)" if named else ""


def item_ids(page: RawPage) -> list[str]:
    """The ids of the page's items, of those that have one."""
    return [found for found in map(_item_id, page.items) if found]


def first_item_id(page: RawPage) -> str | None:
    """The id of the page's first item, if it has one."""
    return _item_id(page.items[0]) if page.items else None


def _last_item(items: Sequence[bytes]) -> bytes:
    """The last item but for those that the page has shown before, byte by byte."""
    if items.index(items[-1]) == len(items) - 1:
        return items[-1]  # nearly always
    return next(item for place, item in reversed([*enumerate(items)]) if items.index(item) == place)


def _nearest_id(items: Sequence[bytes]) -> str | None:
    """The id of the last item that has one."""
    return next((found for found in map(_item_id, reversed(items)) if found), None)


def _item_id(item: bytes) -> str | None:
    try:
        found = _DECODE.decode(item).id
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if found is None else str(found)
