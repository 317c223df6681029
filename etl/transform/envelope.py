"""What a page says about itself: its `extra_fields`, its `cache_debug`, and members nobody told us about."""

from __future__ import annotations

from typing import Any

from etl.records import CacheLookup, PageFacts, RawPage
from etl.transform import parsers
from etl.transform.jobs import PageContext
from etl.transform.json_values import MAX_ID, Unusable, clean_text, decode_json, json_text

_PATH = "page.extra_fields"
#: Dropped without a trace: headers may hold cookies.
_DROPPED = frozenset({"provider_response_headers"})
_TEXTS = ("cache_id", "hit_type", "requested_provider", "requested_model", "provider_used", "model_used")
_NUMBERS = ("threshold", "similarity")
_CACHE_MEMBERS = frozenset({"cache_hit", "input_tokens", "cache_hit_latency", *_TEXTS, *_NUMBERS})
#: Of newer gateways: without a column of their own, and yet no news.
_WITHOUT_COLUMN = frozenset({"upstream_latency"})


def page_facts(page: RawPage, context: PageContext) -> tuple[PageFacts, CacheLookup | None]:
    """Facts and cache lookup; counts the envelope's unknown members."""
    for name, value in page.unknown.items():
        (shown,) = _hide_secrets({clean_text(name): None}, context)  # no value: it may be of any depth
        context.unknown("page", shown, value)
    account = _key_name(_hide_secrets(page.account, context))
    if page.extra_fields is None:
        return PageFacts(account=account), None
    try:
        fields = decode_json(page.extra_fields)
    except Unusable:
        fields = page.extra_fields.decode("utf-8", "replace")
    fields = _hide_secrets(fields, context)
    if type(fields) is dict:
        return _page_facts(fields, account, context), _cache_lookup(fields.get("cache_debug"), context)
    if fields is not None:
        context.unknown("page", "extra_fields", fields)
    return PageFacts(account=account), None


def _hide_secrets(value: Any, context: PageContext) -> Any:
    """The value without credentials, and without prompts where they are not stored."""
    if context.mask is not None:
        value = context.mask.value(value)
    return value if context.scrubber is None else context.scrubber.value(value)


def _page_facts(fields: dict[str, Any], account: str | None, context: PageContext) -> PageFacts:
    left = {name: value for name, value in fields.items() if name not in _DROPPED and name != "cache_debug"}
    raw_request, raw_response = left.pop("raw_request", None), left.pop("raw_response", None)
    keeps_raw = context.options.keeps_raw
    key, provider = _take_routing(left)
    return PageFacts(
        account=account or key,
        request_type=_take_text(left, "request_type"),
        provider=_take_text(left, "provider") or provider,
        model_requested=_either_text(left, "model_requested", "original_model_requested"),
        model_deployment=_either_text(left, "model_deployment", "resolved_model_used"),
        latency_ms=_take_number(left, "latency"),
        chunk_index=_take_int(left, "chunk_index"),
        raw_request=_raw_text(raw_request) if keeps_raw else None,
        raw_response=_raw_text(raw_response) if keeps_raw else None,
        extra=_rest_as_json(left, context),
    )


def _key_name(name: Any) -> str | None:
    """A key's name, of any length a header may have."""
    return clean_text(name)[:MAX_ID] or None if type(name) is str else None


def _take_routing(fields: dict[str, Any]) -> tuple[str | None, str | None]:
    """Key and provider that answered, taken out; what else it says stays behind for `extra`."""
    routing = fields.get("routing_info")
    if type(routing) is not dict:
        return None, None
    del fields["routing_info"]
    key, provider = _key_name(_take_text(routing, "key")), _take_text(routing, "provider")
    if routing:
        fields["routing_info"] = routing
    return key, provider


def _take_text(fields: dict[str, Any], name: str) -> str | None:
    """A text, taken out; another type stays behind for `extra`."""
    value = fields.get(name)
    if value is not None and type(value) is not str:
        return None
    return fields.pop(name, None) or None


def _either_text(fields: dict[str, Any], name: str, newer: str) -> str | None:
    first, second = _take_text(fields, name), _take_text(fields, newer)
    return first or second


def _take_number(fields: dict[str, Any], name: str) -> float | None:
    try:
        found = parsers.parse_number(fields.get(name))
    except ValueError:
        return None
    if found is not None and abs(found) > parsers.MAX_MILLISECONDS:
        return None
    fields.pop(name, None)
    return found


def _take_int(fields: dict[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if value is not None and (type(value) is not int or abs(value) > parsers.MAX_INT):
        return None
    fields.pop(name, None)
    return value


def _raw_text(value: Any) -> str | None:
    if not value:
        return None
    return value if type(value) is str else json_text(value)


def _rest_as_json(left: dict[str, Any], context: PageContext) -> str | None:
    """What has no column, as JSON."""
    for name, value in left.items():
        if name not in _WITHOUT_COLUMN:
            context.unknown(_PATH, name, value)
    return json_text(left) if left else None


def _cache_lookup(debug: Any, context: PageContext) -> CacheLookup | None:
    if debug is None:
        return None
    if type(debug) is not dict:
        context.unknown(_PATH, "cache_debug", debug)
        return None
    for name in debug.keys() - _CACHE_MEMBERS:
        context.unknown(f"{_PATH}.cache_debug", name, debug[name])
    texts: dict[str, Any] = {name: _as_text(debug.get(name)) for name in _TEXTS}
    numbers: dict[str, Any] = {name: _as_number(debug.get(name)) for name in _NUMBERS}
    hit = debug.get("cache_hit")
    return CacheLookup(
        cache_hit=hit if type(hit) is bool else texts["hit_type"] is not None,
        input_tokens=_as_tokens(debug.get("input_tokens")),
        **texts,
        **numbers,
    )


def _as_text(value: Any) -> str | None:
    return value or None if type(value) is str else None


def _as_number(value: Any) -> float | None:
    try:
        found = parsers.parse_number(value)
    except ValueError:
        return None
    return found if found is None or abs(found) <= parsers.MAX_SHARE else None


def _as_tokens(value: Any) -> int | None:
    return value if type(value) is int and abs(value) <= parsers.MAX_TOKENS else None
