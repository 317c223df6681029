"""The error table of the gateway: every row by name, with the exact marks it is known by."""

from email.utils import formatdate
from typing import Any
from urllib.parse import unquote

from etl.simulator.error_body import ErrorContext, Mistake, render_error
from etl.simulator.fault import Fault
from etl.simulator.versions import Version
from etl.simulator.wire import HTML, Response

LIMITS = {
    "x-ratelimit-limit-requests": "100",
    "x-ratelimit-remaining-requests": "0",
    "x-ratelimit-reset-requests": "7s",
}
INVALID = "invalid_request_error"


def _governance_refusal(status: int, type: str, message: str) -> Mistake:
    """The gateway's own governance says no: a type at the top, and nothing of the provider's."""
    return Mistake(status, message, "governance", top_type=type)


def _upstream_error(status: int, message: str, **marks: Any) -> Mistake:
    return Mistake(status, message, "upstream", **marks)


def _core_error(status: int, message: str, **marks: Any) -> Mistake:
    return Mistake(status, message, "core", **marks)


TABLE: dict[str, Mistake] = {
    # the request is wrong: 400 for good
    "provider_missing": Mistake(400, "provider query parameter is required"),
    "invalid_limit": Mistake(400, "invalid limit parameter"),
    "provider_not_configured": Mistake(400, "failed to get config for provider: not found"),
    "unsupported_operation": _core_error(
        400, "video_list is not supported by {provider} provider", code="unsupported_operation"
    ),
    "no_keys": _core_error(400, "no keys found for provider: {provider} and model: "),
    "unknown_key": _core_error(400, 'no supported key found with name "x" for provider: {provider}'),
    "missing_headers": _governance_refusal(
        400, "missing_required_headers", "missing required headers: x-team"
    ),
    # who asks
    "unauthorized": Mistake(401, "Unauthorized"),
    "virtual_key_required": _governance_refusal(
        401, "virtual_key_required", "virtual key is required. Provide a virtual key via the x-bf-vk header."
    ),
    "budget_exceeded": _governance_refusal(402, "budget_exceeded", "budget exceeded: 10.02 of 10.00 dollars"),
    "virtual_key_not_found": _governance_refusal(403, "virtual_key_not_found", "Virtual key not found"),
    "virtual_key_blocked": _governance_refusal(403, "virtual_key_blocked", "Virtual key is inactive"),
    "provider_blocked": _governance_refusal(
        403, "provider_blocked", "Provider '{provider}' is not allowed for this virtual key"
    ),
    "model_blocked": _governance_refusal(
        403, "model_blocked", "Model '' is not allowed for this virtual key"
    ),
    "not_found": _upstream_error(404, "Video not found.", type=INVALID),
    # limits
    "rate_limited": _governance_refusal(429, "rate_limited", "rate limits exceeded"),
    "token_limited": _governance_refusal(429, "token_limited", "token limit exceeded"),
    "request_limited": _governance_refusal(429, "request_limited", "request limit exceeded"),
    "upstream_429": _upstream_error(
        429, "Rate limit reached for requests", type="requests", code="rate_limit_exceeded", headers=LIMITS
    ),
    # upstream
    "upstream_400": _upstream_error(
        400, "Invalid value for 'after'.", type=INVALID, code="invalid_value", param="after"
    ),
    "upstream_401": _upstream_error(401, "Incorrect API key provided.", type=INVALID, code="invalid_api_key"),
    "upstream_500": _upstream_error(
        500,
        "The server had an error while processing your request.",
        type="server_error",
        code="server_error",
    ),
    "upstream_503": _upstream_error(503, "The engine is currently overloaded.", type="server_error"),
    "request_timed_out": _core_error(
        504, "request timed out (default is {timeout} seconds)", type="request_timed_out"
    ),
    "empty_response": _core_error(500, "empty response received from provider"),
    "unmarshal": _core_error(500, "failed to unmarshal response from provider API"),
    # transient, but answered 400
    "network_error": _core_error(400, "network error occurred while connecting to provider API"),
    "http_failed": _core_error(400, "failed to execute HTTP request to provider API"),
    "html_upstream": _core_error(400, "HTML response received from provider"),
    "queue_full": _core_error(400, "request dropped: queue is full"),
    "shutting_down": _core_error(400, "provider is shutting down"),
}
_UNREACHABLE = {"status": 502, "type": "provider_connection_failed"}
#: What a row became, from which version on.
VARIANTS: dict[str, tuple[tuple[Version, dict[str, Any]], ...]] = {
    "virtual_key_not_found": (
        (Version(1, 5), {"status": 401}),
        (Version(2, 1), {"top_type": "access_not_found"}),
    ),
    "virtual_key_blocked": ((Version(2, 1), {"top_type": "access_blocked"}),),
    "network_error": ((Version(2, 0), _UNREACHABLE),),
    "http_failed": ((Version(2, 0), _UNREACHABLE),),
}
PROXY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1>nginx</body></html>"


def error_row(name: str, context: ErrorContext) -> Mistake:
    """A row of the table, as this version has it."""
    mistake = TABLE[name]
    for since, change in VARIANTS.get(name, ()):
        if context.version >= since:
            mistake = mistake._replace(**change)
    timeout = 300 if context.version >= (2, 0) else 30
    return mistake._replace(message=mistake.message.format(provider=context.provider, timeout=timeout))


def named_error(name: str, context: ErrorContext = ErrorContext()) -> Response:  # noqa: B008 (it is immutable)
    return render_error(error_row(name, context), context)


def fault_answer(fault: Fault, context: ErrorContext) -> Response | None:
    """The whole answer that a fault of this kind gives; None when it only mangles one.

    Arguments: retry_after (seconds), retry_at (seconds from now, sent as an HTTP date), provider.
    """
    if fault.name == "proxy_502":
        response = Response(502, PROXY, HTML)
    elif fault.name == "proxy_503":
        response = Response(503, b"", "text/plain")
    elif fault.name in TABLE:
        response = named_error(
            fault.name, context._replace(provider=fault.text("provider", context.provider))
        )
    else:
        return None
    if "retry_after" in fault.args:
        response.headers = {**response.headers, "Retry-After": fault.text("retry_after")}
    elif "retry_at" in fault.args:
        date = formatdate(fault.moment(fault.number("retry_at")), usegmt=True)
        response.headers = {**response.headers, "Retry-After": date}
    return response


def missing_job(id: str, context: ErrorContext) -> Response:
    return render_error(
        _upstream_error(404, f"Video with id '{unquote(id)}' not found.", type=INVALID), context
    )


def dead_cursor(after: str, status: int, context: ErrorContext) -> Response:
    message = f"Invalid 'after': '{after}'." if status == 400 else f"No video found with id '{after}'."
    return render_error(_upstream_error(status, message, type=INVALID, param="after"), context)


def gone_list(status: int, context: ErrorContext) -> Response:
    """What may be left of an upstream whose list has ended for good."""
    message = "The Videos API has been retired." if status == 410 else "Unknown request URL: /v1/videos."
    return render_error(_upstream_error(status, message, type=INVALID, code="endpoint_retired"), context)


def upstream_limits(limit: int, order: str, context: ErrorContext) -> Response | None:
    """What the provider says to a limit or an order that the gateway let through."""
    if limit > 100:
        word, code, than = "above maximum", "integer_above_max_value", "<= 100"
    elif limit < 1:
        word, code, than = "below minimum", "integer_below_min_value", ">= 1"
    elif order not in ("asc", "desc"):
        message = f"Invalid value: '{order}'. Supported values are: 'asc' and 'desc'."
        return render_error(
            _upstream_error(400, message, type=INVALID, param="order", code="invalid_value"), context
        )
    else:
        return None
    message = f"Invalid 'limit': integer {word} value. Expected a value {than}, but got {limit} instead."
    return render_error(_upstream_error(400, message, type=INVALID, param="limit", code=code), context)
