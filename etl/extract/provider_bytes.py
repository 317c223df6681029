"""The provider's own bytes, through the gateway's `/openai_passthrough`, dressed as the gateway lists jobs.

There a record that the gateway itself cannot decode can be read. Ids are the provider's own: they get the
suffix by which the gateway lists them, `<url-escaped native id>:<provider>`; all else stays as it came.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

import msgspec

from etl.extract.decode import Envelope, decode_members

#: Where it is, below base_url; it leads to the provider named here, whatever else the gateway serves.
PATH, PROVIDER = "/openai_passthrough/v1/videos", "openai"
#: What the page log says of a page that came this way: its answers carry no extra_fields.
EXTRA_FIELDS = b'{"request_type":"passthrough"}'
_IDS = ("id", "remixed_from_video_id")
_LISTED = frozenset(
    {"id", "object", "model", "status", "created_at", "completed_at", "expires_at", "prompt", "progress"}
    | {"size", "seconds", "remixed_from_video_id", "error"}
)
_UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)


def native_id(listed: str) -> str | None:
    """The provider's own id of a listed job; None when the gateway has not made it of one."""
    native, colon, owner = listed.rpartition(":")
    return unquote(native) if colon and owner == PROVIDER and native else None


def listed_id(native: str) -> str:
    return f"{quote(native, safe='')}:{PROVIDER}"


def dress_as_listed(page: Envelope) -> None:
    """The page's jobs and ends get the ids by which the gateway lists them."""
    page.items = [with_listed_ids(item) for item in page.items]
    for name in ("first_id", "last_id"):
        if isinstance(found := page.fields.get(name), str) and found:
            page.fields[name] = listed_id(found)
    page.extra_fields = EXTRA_FIELDS


def with_listed_ids(item: bytes) -> bytes:
    """The item with its ids as the list would show them; one without any stays as it is."""
    try:
        members = decode_members(item)
        values = {name: msgspec.json.decode(members[name]) for name in _IDS if name in members}
    except _UNREADABLE:
        return item
    named = {
        name: msgspec.json.encode(listed_id(str(value)))
        for name, value in values.items()
        if isinstance(value, str | int) and not isinstance(value, bool) and value != ""
    }
    return _join_members(members | named) if named else item


def as_listed(item: bytes) -> bytes:
    """The item with only those fields that the gateway's list shows, as it drops all others."""
    try:
        members = {name: raw for name, raw in decode_members(item).items() if name in _LISTED}
        error = msgspec.json.decode(members.get("error", b"null"))
    except _UNREADABLE:
        return item
    if isinstance(error, dict):
        members["error"] = msgspec.json.encode({k: v for k, v in error.items() if k in ("code", "message")})
    return _join_members(members)


def _join_members(members: dict[str, bytes]) -> bytes:
    pairs = [msgspec.json.encode(name) + b":" + raw for name, raw in members.items()]
    return b"{" + b",".join(pairs) + b"}"
