"""An HTTP answer that is not a page becomes a named error (gateway.md, "Errors"). The status decides."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from etl.errors import (
    BadRequest,
    DeadCursor,
    Forbidden,
    GatewayError,
    NotFound,
    RateLimited,
    Retriable,
    ServerFault,
    TimedOut,
    Unauthorized,
    Unparseable,
    Unsupported,
)

#: The gateway answers 400 although the same request may succeed in a moment.
TRANSIENT = (
    "network error occurred while connecting to provider api",
    "failed to execute http request to provider api",
    "html response received from provider",
    "request dropped: queue is full",
    "provider is shutting down",
)
_UNSUPPORTED = (
    "failed to get config for provider",
    "is not supported by",
    "no keys found",
    "no supported key found",
)
#: What a 400 or 422 to a request with a cursor may blame instead. Any other is about the cursor, whatever it
#: says, be it nothing: at worst that costs a walk from the newest job, which is refused without one as well.
_OTHER_BLAME = ("limit", "order", "provider", "virtual key", "header")
CLIP = 300
_READ = 4000  # of a message; more is not looked at
_CURSOR_GONE = "the job that the cursor names is gone from the list; a walk from the newest job finds the way"
_TROUBLE = "the gateway or its provider is in trouble"
_REDIRECT = "redirects are not followed, so that the key goes nowhere else: set base_url to the final address"


class Answer(NamedTuple):
    """What is needed to judge it. `where` names request and source for the message; `inside` says that the
    error stands in the body of a 200."""

    status: int
    body: bytes
    retry_after: float | None
    where: str
    after: str | None
    by_id: bool = False
    inside: bool = False


class Complaint(NamedTuple):
    """What an error body says. `param` is the parameter it blames."""

    message: str
    kind: str = ""
    code: str = ""
    param: str = ""
    is_json: bool = True


def error_of(answer: Answer, redact: Callable[[str], str]) -> GatewayError:
    """The error that an answer with a status other than 200 means."""
    said = complaint(answer.body)
    status = "HTTP 200 with an error in it" if answer.inside else f"HTTP {answer.status}"
    text = f"{answer.where}: {status}: {_shown(said, redact)}"
    error = _judged(text, answer, said)
    if isinstance(error, Retriable) and answer.retry_after is not None:
        error.retry_after = answer.retry_after
    return error


def _judged(text: str, answer: Answer, said: Complaint) -> GatewayError:
    if answer.status in _BY_STATUS:
        return _BY_STATUS[answer.status](text, answer, said)
    if answer.status >= 500 or answer.status < 200:
        return ServerFault(text, status=answer.status, hint=_TROUBLE)
    if 300 <= answer.status < 400:
        return BadRequest(text, status=answer.status, hint=_REDIRECT)
    return BadRequest(text, status=answer.status, hint="the gateway refused what was asked")


def complaint(body: bytes) -> Complaint:
    """What an error body says: Bifrost's, plain OpenAI's, a proxy's HTML, or nothing."""
    try:
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return Complaint(body[:_READ].decode("utf-8", "replace"), is_json=False)
    if not isinstance(parsed, dict):
        return Complaint(str(parsed))
    error = parsed.get("error")
    if not isinstance(error, dict):
        error = {"message": error if error is not None else parsed.get("message") or parsed.get("detail")}
    kind = " ".join(str(part) for part in (parsed.get("type"), error.get("type")) if part)
    code, param = str(error.get("code") or ""), str(error.get("param") or "")
    return Complaint(str(error.get("message") or ""), kind, code, param)


def _shown(said: Complaint, redact: Callable[[str], str]) -> str:
    """Clipped for a log line, after masking: half a key would not be recognised."""
    kind = f" ({said.kind})" if said.kind and said.kind not in said.message else ""
    sound = f"{said.message[:_READ]}{kind}".encode("utf-8", "replace").decode()
    text = " ".join(redact(sound).split())
    return (text if len(text) <= CLIP else text[:CLIP] + "…") or "no message"


def _bad_request(text: str, answer: Answer, said: Complaint) -> GatewayError:
    lower = said.message.lower()
    if any(mark in lower for mark in TRANSIENT):
        return ServerFault(
            text, status=answer.status, hint="the gateway had no luck with its provider; it may pass"
        )
    if said.code == "unsupported_operation" or any(mark in lower for mark in _UNSUPPORTED):
        hint = "check `provider` and `key_name`; only OpenAI, Azure and OpenAI-shaped providers list videos"
        return Unsupported(text, status=answer.status, hint=hint)
    if "missing_required_headers" in said.kind:
        return BadRequest(text, status=answer.status, hint="add the header under `headers:` of this source")
    if "video_id must be" in lower:
        return BadRequest(text, status=answer.status, hint="this id does not belong to this gateway")
    if answer.after is not None and not answer.by_id and _blames_cursor(lower, said.param):
        return DeadCursor(text, status=answer.status, hint=_CURSOR_GONE)
    return BadRequest(
        text, status=answer.status, hint="the gateway refused what was asked; see `bifrost-etl check`"
    )


def _blames_cursor(message: str, param: str) -> bool:
    if param:
        return param == "after"
    return "after" in message or "cursor" in message or not any(word in message for word in _OTHER_BLAME)


def _not_found(text: str, answer: Answer, said: Complaint) -> GatewayError:
    if answer.by_id:
        return NotFound(
            text,
            status=answer.status,
            json_body=said.is_json,
            hint="this job is gone, or belongs to another key",
        )
    if answer.after is not None and said.is_json:
        return DeadCursor(text, status=answer.status, hint=_CURSOR_GONE)
    return NotFound(
        text,
        status=answer.status,
        json_body=said.is_json,
        hint="is `base_url` right? /v1/videos is not there",
    )


def _server_error(text: str, answer: Answer, said: Complaint) -> GatewayError:
    if "failed to unmarshal" in said.message.lower():
        return Unparseable(
            text, status=500, hint="a record on this page breaks the gateway; it will be narrowed"
        )
    return ServerFault(text, status=500, hint=_TROUBLE)


def _forbidden(text: str, answer: Answer, said: Complaint) -> GatewayError:
    spent = answer.status == 402
    hint = "the budget is spent" if spent else "this key may not read this provider: ask who runs the gateway"
    return Forbidden(text, status=answer.status, hint=hint)


_Maker = Callable[[str, Answer, Complaint], GatewayError]
_BY_STATUS: dict[int, _Maker] = {
    400: _bad_request,
    401: lambda text, a, s: Unauthorized(
        text, status=401, hint="check api_key, or virtual_key if one is needed"
    ),
    402: _forbidden,
    403: _forbidden,
    404: _not_found,
    410: _not_found,
    422: _bad_request,
    408: lambda text, a, s: TimedOut(
        text, status=408, hint="the request did not arrive in time; it may pass"
    ),
    409: lambda text, a, s: ServerFault(text, status=409, hint=_TROUBLE),
    425: lambda text, a, s: ServerFault(text, status=425, hint=_TROUBLE),
    429: lambda text, a, s: RateLimited(text, hint="wait, or lower requests_per_second"),
    500: _server_error,
    504: lambda text, a, s: TimedOut(text, status=504, hint="the provider was too slow for the gateway"),
}


def embedded_status(members: dict[str, Any]) -> int | None:
    """The status of a 200 whose body is an error after all; None when it is none.

    An empty or null-valued `error` is no error, and a job's own `error` is not the answer's.
    """
    error = members.get("error")
    blamed = any(error.values()) if isinstance(error, dict) else bool(error)
    if members.get("is_bifrost_error") is not True and not blamed:
        return None
    status = members.get("status_code")
    return status if type(status) is int and 400 <= status < 600 else 502
