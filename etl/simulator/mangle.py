"""Faults that spoil an otherwise good answer: what was asked, the items, the envelope, or the bytes sent.

Every function is given the fault for its arguments. The items have a module of their own.
"""

import gzip
from collections.abc import Callable, Iterable
from typing import Any

from etl.simulator.fault import Fault
from etl.simulator.items import ITEMS, Items
from etl.simulator.wire import DASHBOARD, HTML, Ask, Response


def mangle_ask(faults: Iterable[Fault], ask: Ask, last_after: str | None, accounts: int) -> None:
    for fault in faults:
        if fault.name == "repeated_page" and ask.after:
            ask.after = last_after
        elif fault.name == "other_account" and accounts > 1:
            ask.account = ((ask.account or 0) + 1) % accounts
        elif fault.name in ASKS:
            ASKS[fault.name](fault, ask)


def mangle_items(faults: Iterable[Fault], items: Items) -> Items:
    for fault in faults:
        if fault.name in ITEMS and items:
            items = ITEMS[fault.name](fault, list(items))
    return items


def mangle_envelope(faults: Iterable[Fault], rest: dict[str, Any], items: Items, now: float) -> Items | None:
    """Spoils `rest` in place; returns the items, or None for a null list."""
    shown: Items | None = items
    for fault in faults:
        if fault.name in ENVELOPES:
            ENVELOPES[fault.name](fault, rest)
        if fault.name == "shrunk":
            shown = []
        elif fault.name == "null_data":
            shown = None
    return shown


def mangle_response(faults: Iterable[Fault], response: Response) -> Response:
    for fault in faults:
        if fault.name in RESPONSES:
            RESPONSES[fault.name](fault, response)
    return response


# what was asked


def _cursor_ignored(fault: Fault, ask: Ask) -> None:
    ask.after = None


def _repeated_page(fault: Fault, ask: Ask) -> None:
    """The same page as before; needs the gateway's memory, see mangle_ask."""


def _order_ignored(fault: Fault, ask: Ask) -> None:
    ask.order = fault.text("always", "desc")


def _limit_ignored(fault: Fault, ask: Ask) -> None:
    ask.limit = int(fault.number("limit", 20))


def _other_account(fault: Fault, ask: Ask) -> None:
    ask.twin = True


def _cached_answer(fault: Fault, ask: Ask) -> None:
    if fault.text("hit", "direct") != "miss":
        ask.now -= fault.number("age", 3600)


ASKS: dict[str, Callable[[Fault, Ask], None]] = {
    "cursor_ignored": _cursor_ignored,
    "repeated_page": _repeated_page,
    "order_ignored": _order_ignored,
    "limit_ignored": _limit_ignored,
    "other_account": _other_account,
    "cached": _cached_answer,
}

# the envelope


def _without_fields(*names: str) -> Callable[[Fault, dict[str, Any]], None]:
    def drop(fault: Fault, rest: dict[str, Any]) -> None:
        for name in names:
            if fault.text("as") == "null":
                rest[name] = None
            else:
                rest.pop(name, None)

    return drop


def _shrink_page(fault: Fault, rest: dict[str, Any]) -> None:
    rest["has_more"] = False
    rest.pop("first_id", None)
    rest.pop("last_id", None)


def _drift_envelope(fault: Fault, rest: dict[str, Any]) -> None:
    rest["next_page"] = {"cursor": "opaque"}
    if isinstance(rest.get("extra_fields"), dict):
        rest["extra_fields"]["routing"] = {"engine": "v2", "weights": [1, 2]}


def _cache_debug(fault: Fault, rest: dict[str, Any]) -> None:
    """hit: direct (the default), semantic, or miss (and then the page is fresh)."""
    hit = fault.text("hit", "direct")
    used = {"provider_used": "openai", "model_used": "text-embedding-3-small", "input_tokens": 12}
    debug: dict[str, Any] = {"cache_hit": False, **used}
    if hit != "miss":
        debug = {
            "cache_hit": True,
            "cache_id": "2f6c1a52-0000-4000-8000-000000000001",
            "hit_type": hit,
            "requested_provider": "openai",
            "requested_model": "sora-2",
        }
    if hit == "semantic":
        debug.update(used, threshold=0.8, similarity=0.93)
    extra = rest.setdefault("extra_fields", {})
    if "upstream_latency" in extra:
        debug["cache_hit_latency"] = 3
    extra["cache_debug"] = debug


def _has_more(fault: Fault, rest: dict[str, Any]) -> None:
    rest["has_more"] = fault.text("value", "true") == "true"


def _wrong_last_id(fault: Fault, rest: dict[str, Any]) -> None:
    rest["last_id"] = fault.text("value", rest.get("first_id") or "video_nowhere:openai")


ENVELOPES: dict[str, Callable[[Fault, dict[str, Any]], None]] = {
    "no_has_more": _without_fields("has_more"),
    "no_ids": _without_fields("first_id", "last_id"),
    "no_extra_fields": _without_fields("extra_fields"),
    "has_more": _has_more,
    "wrong_last_id": _wrong_last_id,
    "shrunk": _shrink_page,
    "null_data": _shrink_page,
    "drift": _drift_envelope,
    "cached": _cache_debug,
    "upstream_null": lambda fault, rest: None,  # the whole answer of another shape: see Videos
}

# the bytes sent


def _change_body(change: Callable[[bytes], bytes]) -> Callable[[Fault, Response], None]:
    def apply(fault: Fault, response: Response) -> None:
        response.body = change(response.body)

    return apply


def _gzip_body(fault: Fault, response: Response) -> None:
    response.headers = {**response.headers, "Content-Encoding": "gzip"}
    response.body = gzip.compress(response.body, 1, mtime=0)


def _lying_gzip(fault: Fault, response: Response) -> None:
    response.headers = {**response.headers, "Content-Encoding": "gzip"}


def _gzip_cut(fault: Fault, response: Response) -> None:
    _gzip_body(fault, response)
    response.body = response.body[: len(response.body) // 2]


def _dashboard_page(fault: Fault, response: Response) -> None:
    response.body, response.kind = DASHBOARD, HTML


def _wrong_type(fault: Fault, response: Response) -> None:
    response.kind = fault.text("type", "text/plain; charset=utf-8")


def _redirect_answer(fault: Fault, response: Response) -> None:
    response.status, response.body = int(fault.number("status", 302)), b""
    response.headers = {
        **response.headers,
        "Location": fault.text("to", "https://elsewhere.example/v1/videos"),
    }


def _no_content(fault: Fault, response: Response) -> None:
    """The gateway passes an upstream's 204 on as it is."""
    response.status, response.body = 204, b""


def _huge_body(fault: Fault, response: Response) -> None:
    filler = b"x" * int(fault.number("mb", 64) * 1_000_000)
    response.body = b'{"object":"list","filler":"' + filler + b'",' + response.body[1:]


def _set_delivery(how: str) -> Callable[[Fault, Response], None]:
    def apply(fault: Fault, response: Response) -> None:
        response.delivery, response.amount = how, fault.number("seconds", 0.0)

    return apply


def _skew_date(fault: Fault, response: Response) -> None:
    response.skew = fault.number("seconds", 600)


RESPONSES: dict[str, Callable[[Fault, Response], None]] = {
    "empty_body": _change_body(lambda body: b""),
    "invalid_json": _change_body(lambda body: body[: len(body) // 2]),
    "not_object": _change_body(lambda body: b"[]"),
    "non_utf8": _change_body(lambda body: body.replace(b'"video"', b'"vid\xff\xfe\x80o"', 1)),
    "gzip": _gzip_body,
    "lying_gzip": _lying_gzip,
    "gzip_cut": _gzip_cut,
    "html": _dashboard_page,
    "wrong_type": _wrong_type,
    "redirect": _redirect_answer,
    "no_content": _no_content,
    "huge": _huge_body,
    "truncated": _set_delivery("truncated"),
    "reset": _set_delivery("reset"),
    "stall": _set_delivery("stall"),
    "drip": _set_delivery("drip"),
    "slow": _set_delivery("slow"),
    "clock_skew": _skew_date,
}
