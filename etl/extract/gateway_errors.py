"""An HTTP answer that is not a page becomes a named error (gateway.md, "Errors"). The status decides."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from etl.errors import (
    BadRequest,
    DeadCursor,
    Forbidden,
    GarbledAnswer,
    GatewayError,
    Intercepted,
    NotFound,
    ProviderRefused,
    RateLimited,
    Retriable,
    ServerFault,
    TimedOut,
    Unauthorized,
    Unparseable,
    Unsupported,
)
from etl.json_parts import exceeds_parts

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
#: What a refusal of a request with a cursor may blame instead. Any other is about the cursor, whatever it
#: says, be it nothing: at worst that costs a walk from the newest job, which meets it again without one.
_OTHER_BLAME = ("limit", "order", "provider", "virtual key", "header")
#: Where an error stands in bodies that have no `error`, and where its text stands in there.
_ELSEWHERE = ("message", "detail", "errors", "error_description", "title")
_TEXTS = ("message", "msg", "detail", "reason", "error", "title")
CLIP = 300
_MAX_PARTS = 250_000  # members and elements: no error has so many
_READ = 4000  # of a message; more is not looked at
_CURSOR_GONE = "the job that the cursor names is gone from the list; a walk from the newest job finds the way"
_LIST_GONE = (
    "whoever answers says that this list is gone for good; if the provider has ended it: "
    "bifrost-etl source retire NAME keeps what is stored as an archive"
)
_PAGE_TOO_LONG = "the gateway serves no pages as long as were asked for: lower `page_size` to what it allows"
_TROUBLE = "the gateway or its provider is in trouble"
_REDIRECT = (
    "redirects are not followed, so that the key goes nowhere else: set base_url to the final address, or, "
    "if that is a page to log in, give what the proxy before the gateway wants under `headers`"
)
_NO_PAGE = "an answer without a list; this may pass"
_TITLE = re.compile(r"<(?:title|h1)[^>]*>(.*?)</", re.IGNORECASE | re.DOTALL)


class ErrorReply(NamedTuple):
    """What is needed to judge it. `where` names request and source for the message; `inside` says that the
    error stands in the body of a 200; `location`: where a redirect leads."""

    status: int
    body: bytes
    retry_after: float | None
    where: str
    after: str | None
    by_id: bool = False
    inside: bool = False
    location: str = ""


class Complaint(NamedTuple):
    """What an error body says. `param` is the parameter it blames; `upstream`: it is the provider's word."""

    message: str
    kind: str = ""
    code: str = ""
    param: str = ""
    is_json: bool = True
    upstream: bool = False


def error_of(answer: ErrorReply, redact: Callable[[str], str]) -> GatewayError:
    """The error that an answer with a status other than 200 means."""
    said = read_complaint(answer.body)
    status = "HTTP 200 with an error in it" if answer.inside else f"HTTP {answer.status}"
    text = f"{answer.where}: {status}{_way(answer.location)}: {_show_complaint(said, redact)}"
    error = _judge_message(text, answer, said)
    if isinstance(error, Retriable) and answer.retry_after is not None:
        error.retry_after = answer.retry_after
    return error


def _judge_message(text: str, answer: ErrorReply, said: Complaint) -> GatewayError:
    if answer.status in _BY_STATUS:
        return _BY_STATUS[answer.status](text, answer, said)
    if answer.status >= 500 or answer.status < 200:
        return ServerFault(text, status=answer.status, hint=_TROUBLE)
    if 300 <= answer.status < 400:
        return BadRequest(text, status=answer.status, hint=_REDIRECT)
    if 200 <= answer.status < 300:
        return GarbledAnswer(text, status=answer.status, hint=_NO_PAGE)
    if answer.status == 410 and (answer.by_id or answer.after is None):
        return _not_found(text, answer, said)
    return _refused_request(text, answer, said)


def read_complaint(body: bytes) -> Complaint:
    """What an error body says: Bifrost's, plain OpenAI's, a proxy's HTML, or nothing."""
    try:
        if exceeds_parts(body, _MAX_PARTS):
            raise ValueError("too much to decode")
        parsed = json.loads(body)
    except (ValueError, RecursionError):
        return Complaint(body[:_READ].decode("utf-8", "replace"), is_json=False)
    if not isinstance(parsed, dict):
        return Complaint(str(parsed))
    error = parsed.get("error")
    if not isinstance(error, dict):
        error = {"message": error}
    kind = " ".join(str(part) for part in (parsed.get("type"), error.get("type")) if part)
    message, param = _find_words(error.get("message")), str(error.get("param") or "")
    for name in _ELSEWHERE:
        message = message or _find_words(parsed.get(name))
    fields = parsed.get("extra_fields")
    upstream = isinstance(fields, dict) and bool(fields.get("raw_response"))
    param = param or _blamed_parameter(parsed.get("detail"))
    return Complaint(message, kind, str(error.get("code") or ""), param, upstream=upstream)


def _find_words(value: Any) -> str:
    """The text in whatever shape servers give it: a text, an object around one, or a list of these."""
    if isinstance(value, list):
        return "; ".join(words for part in value[:5] if (words := _find_words(part)))
    if not isinstance(value, dict):
        return "" if value is None else str(value)
    text = next((words for name in _TEXTS if (words := _find_words(value.get(name)))), "")
    place = value.get("loc")
    return f"{'.'.join(map(str, place))}: {text}" if isinstance(place, list) else text


def _blamed_parameter(detail: Any) -> str:
    """The query parameter that a list of validation errors names (FastAPI's 422)."""
    first = detail[0] if isinstance(detail, list) and detail else None
    place = first.get("loc") if isinstance(first, dict) else None
    return str(place[-1]) if isinstance(place, list) and place else ""


def _show_complaint(said: Complaint, redact: Callable[[str], str]) -> str:
    """Clipped for a log line, after masking: half a key would not be recognised."""
    kind = f" ({said.kind})" if said.kind and said.kind not in said.message else ""
    message = _name_web_page(said.message) if _is_web_page(said) else said.message[:_READ]
    sound = f"{message}{kind}".encode("utf-8", "replace").decode()
    text = " ".join(redact(sound).split())
    return (text if len(text) <= CLIP else text[:CLIP] + "…") or "no message"


def _name_web_page(page: str) -> str:
    """By its title: the rest is markup, and who asked from where."""
    title = _TITLE.search(page)
    words = " ".join(html.unescape(title[1]).split()) if title else ""
    return f"a web page: {words}" if words else "a web page"


def _way(location: str) -> str:
    """Where a redirect leads, without what may be secret about it."""
    try:
        parts = urlsplit(location)
        place = (
            f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}" if parts.netloc else parts.path
        )
    except ValueError:
        return ""
    shown = " ".join(place[:CLIP].encode("utf-8", "replace").decode().split())
    return f", to {shown}" if shown else ""


def _refused_request(text: str, answer: ErrorReply, said: Complaint) -> GatewayError:
    """A 4xx without a meaning of its own: about the cursor, where there is one and nothing else is blamed."""
    has_cursor = answer.after is not None and not answer.by_id
    if has_cursor and not _is_web_page(said) and _blames_cursor(said.message.lower(), said.param):
        return DeadCursor(text, status=answer.status, hint=_CURSOR_GONE)
    hint = (
        _PAGE_TOO_LONG if _blames_limit(said) else "the gateway refused the request; see `bifrost-etl check`"
    )
    return BadRequest(text, status=answer.status, hint=hint)


def _blames_limit(said: Complaint) -> bool:
    words = said.message.lower()
    return said.param == "limit" or (not said.param and "limit" in words and "rate" not in words)


def _bad_request(text: str, answer: ErrorReply, said: Complaint) -> GatewayError:
    lower = said.message.lower()
    if any(mark in lower for mark in TRANSIENT):
        return ServerFault(
            text, status=400, hint="the gateway could not get an answer from its provider; this may pass"
        )
    if said.code == "unsupported_operation" or any(mark in lower for mark in _UNSUPPORTED):
        hint = "check `provider` and `key_name`; only OpenAI, Azure and OpenAI-shaped providers list videos"
        return Unsupported(text, status=400, hint=hint)
    if "missing_required_headers" in said.kind:
        return BadRequest(text, status=400, hint="add the header under `headers:` of this source")
    if "video_id must be" in lower:
        return BadRequest(text, status=400, hint="this id does not belong to this gateway")
    return _refused_request(text, answer, said)


def _blames_cursor(message: str, param: str) -> bool:
    if param:
        return param == "after"
    return "after" in message or "cursor" in message or not any(word in message for word in _OTHER_BLAME)


def _not_found(text: str, answer: ErrorReply, said: Complaint) -> GatewayError:
    if answer.by_id:
        return NotFound(text, json_body=said.is_json, hint="this job is gone, or belongs to another key")
    if answer.after is not None and said.is_json:
        return DeadCursor(text, status=404, hint=_CURSOR_GONE)
    if answer.status == 410:
        return NotFound(text, json_body=said.is_json, hint=_LIST_GONE)
    return NotFound(text, json_body=said.is_json, hint="is `base_url` right? /v1/videos is not there")


def _server_error(text: str, answer: ErrorReply, said: Complaint) -> GatewayError:
    if "failed to unmarshal" in said.message.lower():
        return Unparseable(
            text, status=500, hint="a record on this page breaks the gateway; it will be narrowed"
        )
    return ServerFault(text, status=500, hint=_TROUBLE)


def _unauthorized_key(text: str, answer: ErrorReply, said: Complaint) -> GatewayError:
    hint = "check api_key, or virtual_key if one is needed"
    return _third_party(text, answer, said) or Unauthorized(text, status=401, hint=hint)


def _third_party(text: str, answer: ErrorReply, said: Complaint) -> GatewayError | None:
    """The refusal of somebody else: the provider's, passed on, or a proxy's web page."""
    if said.upstream:
        hint = "the provider refused the gateway's own key: ask who runs the gateway, or wait; it may pass"
        return ProviderRefused(text, status=answer.status, hint=hint)
    if _is_web_page(said):
        hint = "a proxy or firewall before the gateway answered, not the gateway; it may pass"
        return Intercepted(text, status=answer.status, hint=hint)
    return None


def _is_web_page(said: Complaint) -> bool:
    return not said.is_json and said.message.lstrip().startswith("<")


def _forbidden_access(text: str, answer: ErrorReply, said: Complaint) -> GatewayError:
    if answer.status == 403 and (other := _third_party(text, answer, said)):
        return other
    spent = answer.status == 402
    hint = "the budget is spent" if spent else "this key may not read this provider: ask who runs the gateway"
    return Forbidden(text, status=answer.status, hint=hint)


_Maker = Callable[[str, ErrorReply, Complaint], GatewayError]
_BY_STATUS: dict[int, _Maker] = {
    400: _bad_request,
    401: _unauthorized_key,
    402: _forbidden_access,
    403: _forbidden_access,
    404: _not_found,
    408: lambda text, a, s: TimedOut(
        text, status=408, hint="the request did not reach the gateway in time; this may pass"
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
