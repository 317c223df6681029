"""The bodies of errors: Bifrost's, with the marks that tell who refused, and those of its cousins."""

from typing import Any, NamedTuple

from etl.simulator.profiles import PROFILES
from etl.simulator.versions import CONTRACT, Version
from etl.simulator.wire import Response, dump_json, routing_info

#: From 2.1, `extra_fields.error_type` says whose fault it is.
ERROR_TYPES = {
    "gateway": "caller_invalid_request",
    "governance": "policy_denied",
    "core": "bifrost_internal",
    "upstream": "provider_error",
}


class ErrorContext(NamedTuple):
    """What an error is an answer to. `key`: the account that was asked, once one was."""

    shape: str = "bifrost"
    version: Version = CONTRACT
    provider: str = "openai"
    request_type: str = "video_list"
    key: str | None = None


class Mistake(NamedTuple):
    """origin: gateway (what it checks itself) | governance | core (it failed) | upstream (passed on)."""

    status: int
    message: str
    origin: str = "gateway"
    type: str | None = None
    top_type: str | None = None
    code: str | None = None
    param: str | None = None
    headers: dict[str, str] = {}  # noqa: RUF012 (a NamedTuple's default; nobody changes it)


def render_error(mistake: Mistake, context: ErrorContext) -> Response:
    """The answer that a client of this kind of gateway gets."""
    style = PROFILES[context.shape].errors
    if style == "bifrost":
        body = _bifrost_body(mistake, context)
    elif style == "detail":
        body = {"detail": mistake.message}
    else:
        body = upstream_body(mistake)
    status = 422 if style == "detail" and mistake.status in (400, 404) else mistake.status
    return Response(status, dump_json(body), headers=dict(mistake.headers))


def upstream_body(mistake: Mistake) -> dict[str, Any]:
    """Plain OpenAI's error."""
    kind = mistake.type or mistake.top_type or "invalid_request_error"
    detail = {"message": mistake.message, "type": kind, "param": mistake.param, "code": mistake.code}
    return {"error": detail}


def _bifrost_body(mistake: Mistake, context: ErrorContext) -> dict[str, Any]:
    # Its own refusals of a request carry no status; a failure of its own does neither, but is called its own.
    told = mistake.origin in ("governance", "upstream") or mistake.status in (502, 504)
    detail = {"type": mistake.type, "code": mistake.code, "message": mistake.message, "param": mistake.param}
    body = {
        "type": mistake.top_type,
        "is_bifrost_error": mistake.origin == "core" and mistake.status == 500,
        "status_code": mistake.status if told else None,
        "error": _known_fields(detail),
        "extra_fields": _extra_fields(mistake, context),
    }
    return _known_fields(body)


def _extra_fields(mistake: Mistake, context: ErrorContext) -> dict[str, Any]:
    extra: dict[str, Any] = {}
    if mistake.origin in ("core", "upstream"):
        if context.version.names_accounts and context.key:
            extra["routing_info"] = routing_info(context.provider, context.key)
        extra.update(provider=context.provider, request_type=context.request_type)
    if mistake.origin == "upstream":
        extra["raw_response"] = upstream_body(mistake)
    if context.version.classifies_errors:
        extra["error_type"] = ERROR_TYPES[mistake.origin]
    return extra


def _known_fields(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}


class Refused(Exception):
    """The request ends here, with this answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"{response.status}")
        self.response = response


def refuse_request(mistake: Mistake, context: ErrorContext) -> Refused:
    return Refused(render_error(mistake, context))
