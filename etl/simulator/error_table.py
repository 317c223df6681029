"""The error table of the gateway: every row by name, with the exact marks it is known by."""

from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

from etl.simulator.fault import Fault
from etl.simulator.wire import HTML, Response, mistake

LIMITS = {
    "x-ratelimit-limit-requests": "100",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "7s",
}


def _row(status: int, message: str, **marks: Any) -> tuple[int, str, dict[str, Any]]:
    return status, message, marks


TABLE: dict[str, tuple[int, str, dict[str, Any]]] = {
    # the request is wrong: 400 for good
    "provider_missing": _row(400, "provider query parameter is required"),
    "invalid_limit": _row(400, "invalid limit parameter"),
    "provider_not_configured": _row(400, "failed to get config for provider: not found"),
    "unsupported_operation": _row(
        400, "video_list is not supported by {provider} provider", code="unsupported_operation", own=True
    ),
    "no_keys": _row(400, "no keys found for provider: {provider} and model: ", own=True),
    "unknown_key": _row(400, 'no supported key found with name "x" for provider: {provider}', own=True),
    "missing_headers": _row(
        400, "missing required headers: x-team", top_type="missing_required_headers", own=True
    ),
    # who asks
    "unauthorized": _row(401, "Unauthorized"),
    "virtual_key_required": _row(
        401,
        "virtual key is required. Provide a virtual key via the x-bf-vk header.",
        top_type="virtual_key_required",
        own=True,
    ),
    "budget_exceeded": _row(
        402, "budget exceeded: 10.02 of 10.00 dollars", top_type="budget_exceeded", own=True
    ),
    "virtual_key_not_found": _row(403, "Virtual key not found", top_type="virtual_key_not_found", own=True),
    "virtual_key_blocked": _row(403, "Virtual key is inactive", top_type="virtual_key_blocked", own=True),
    "provider_blocked": _row(
        403,
        "Provider '{provider}' is not allowed for this virtual key",
        top_type="provider_blocked",
        own=True,
    ),
    "model_blocked": _row(
        403, "Model 'sora-2' is not allowed for this virtual key", top_type="model_blocked", own=True
    ),
    "not_found": _row(404, "Video not found.", type="invalid_request_error"),
    # limits
    "rate_limited": _row(429, "rate limits exceeded", top_type="rate_limited", own=True),
    "token_limited": _row(429, "token limit exceeded", top_type="token_limited", own=True),
    "request_limited": _row(429, "request limit exceeded", top_type="request_limited", own=True),
    "upstream_429": _row(
        429, "Rate limit reached for requests", type="requests", code="rate_limit_exceeded", headers=LIMITS
    ),
    # upstream
    "upstream_400": _row(
        400, "Invalid value for 'after'.", type="invalid_request_error", code="invalid_value", param="after"
    ),
    "upstream_401": _row(
        401, "Incorrect API key provided.", type="invalid_request_error", code="invalid_api_key"
    ),
    "upstream_500": _row(
        500,
        "The server had an error while processing your request.",
        type="server_error",
        code="server_error",
    ),
    "upstream_503": _row(503, "The engine is currently overloaded.", type="server_error"),
    "request_timed_out": _row(
        504, "request timed out (default is 30 seconds)", top_type="request_timed_out", own=True
    ),
    "empty_response": _row(500, "empty response received from provider", own=True),
    "unmarshal": _row(500, "failed to unmarshal response from provider API", own=True),
    # transient, but answered 400
    "network_error": _row(400, "network error occurred while connecting to provider API", own=True),
    "http_failed": _row(400, "failed to execute HTTP request to provider API", own=True),
    "html_upstream": _row(400, "HTML response received from provider", own=True),
    "queue_full": _row(400, "request dropped: queue is full", own=True),
    "shutting_down": _row(400, "provider is shutting down", own=True),
}
PROXY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1>nginx</body></html>"


def named(name: str, shape: str, provider: str = "openai") -> Response:
    status, message, marks = TABLE[name]
    known = {"provider": provider, **marks}
    return mistake(status, message.format(provider=provider), shape=shape, **known)


def plain(status: int, message: str, shape: str) -> Response:
    return mistake(status, message, shape=shape)


def answer(fault: Fault, shape: str, provider: str) -> Response | None:
    """The whole answer that a fault of this kind gives; None when it only mangles one.

    Arguments: retry_after (seconds), retry_at (seconds from now, sent as an HTTP date), provider.
    """
    if fault.name == "proxy_502":
        response = Response(502, PROXY, HTML)
    elif fault.name == "proxy_503":
        response = Response(503, b"", "text/plain")
    elif fault.name in TABLE:
        response = named(fault.name, shape, fault.text("provider", provider))
    else:
        return None
    if "retry_after" in fault.args:
        response.headers = {**response.headers, "Retry-After": fault.text("retry_after")}
    elif "retry_at" in fault.args:
        date = formatdate(fault.moment(fault.number("retry_at")), usegmt=True)
        response.headers = {**response.headers, "Retry-After": date}
    return response


def missing(id: str, shape: str, provider: str) -> Response:
    message = f"Video with id '{unquote(id)}' not found."
    return mistake(404, message, shape=shape, provider=provider, type="invalid_request_error")


def dead_cursor(after: str, status: int, shape: str, provider: str) -> Response:
    message = f"No video found with id '{after}'." if status == 404 else f"Invalid 'after': '{after}'."
    return mistake(
        status, message, shape=shape, provider=provider, type="invalid_request_error", param="after"
    )


def upstream_limits(limit: int, order: str, shape: str, provider: str) -> Response | None:
    """What the provider says to a limit or an order that the gateway let through."""
    if limit > 100:
        word, code, than = "above maximum", "integer_above_max_value", "<= 100"
    elif limit < 1:
        word, code, than = "below minimum", "integer_below_min_value", ">= 1"
    elif order not in ("asc", "desc"):
        message = f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'."
        return _upstream(message, "order", "invalid_value", shape, provider)
    else:
        return None
    message = f"Invalid 'limit': integer {word} value. Expected a value {than}, but got {limit} instead."
    return _upstream(message, "limit", code, shape, provider)


def _upstream(message: str, param: str, code: str, shape: str, provider: str) -> Response:
    return mistake(
        400,
        message,
        shape=shape,
        provider=provider,
        type="invalid_request_error",
        param=param,
        code=code,
    )
