"""What goes over the wire: requests, answers, and jobs in the shapes of Bifrost and its cousins."""

import json
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import quote

from etl.simulator.job_lives import Job

SHAPES = ("bifrost", "reference", "openai", "litellm")
NULLABLE = ("completed_at", "expires_at", "progress", "remixed_from_video_id", "error")
JSON = "application/json"
HTML = "text/html; charset=utf-8"
DASHBOARD = (
    b"<!doctype html><html><head><title>Bifrost</title></head>"
    b'<body><div id="root">The gateway\'s dashboard</div></body></html>'
)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Request(NamedTuple):
    method: str
    path: str  # percent-decoded, without the query
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case


@dataclass
class Response:
    status: int = 200
    body: bytes = b""
    kind: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    delivery: str = "whole"  # whole | truncated | reset | stall | drip
    amount: float = 0.0  # of the delivery: seconds
    skew: float = 0.0  # seconds added to the Date header


@dataclass
class Ask:
    """What a list request asks for, after the gateway has understood it."""

    account: int | None
    after: str | None
    order: str
    limit: int
    now: float
    twin: bool = False  # answer from a stranger's world


def dump(value: Any, escape: bool = True) -> bytes:
    """JSON as Go writes it: `<`, `>` and `&` escaped; plain otherwise."""
    text = _encode(value)
    if escape:
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text.encode("utf-8", "surrogatepass")


def wire_id(native: str, provider: str, shape: str) -> str:
    if shape in ("openai", "litellm"):
        return native
    # Quoting is slow, and most ids have nothing to quote.
    return f"{quote(native, safe='') if '/' in native else native}:{provider}"


def dress(job: Job, provider: str, shape: str) -> Job:
    """A provider's job as a gateway of this shape lists it."""
    dressed = dict(job, id=wire_id(job["id"], provider, shape))
    if source := job.get("remixed_from_video_id"):
        dressed["remixed_from_video_id"] = wire_id(source, provider, shape)
    return dressed if shape == "bifrost" else finish(dressed, shape)


def finish(job: Job, shape: str) -> Job:
    """Settle what is null and what is left out; ids are taken as they are."""
    if shape == "bifrost":
        return {key: value for key, value in job.items() if value is not None or key not in NULLABLE}
    full = {**dict.fromkeys(NULLABLE), **job}
    if shape == "reference":
        full.pop("status", None)
        full["error"] = full["error"] or {"code": None, "message": None}
    return full


def extra_fields(request_type: str, provider: str, latency: float) -> dict[str, Any]:
    return {
        "request_type": request_type,
        "provider": provider,
        "latency": round(latency * 1000) + 41,
        "chunk_index": 0,
        "provider_response_headers": {"Openai-Version": "2020-10-01", "X-Request-Id": "req_simulated"},
    }


def reference_fields(provider: str, latency: float) -> dict[str, Any]:
    """The extra fields as the reference page shows them."""
    return {
        "request_type": "video_list",
        "provider": provider,
        "model_requested": "sora-2",
        "model_deployment": "sora-2",
        "latency": round(latency * 1000) + 41,
        "chunk_index": 0,
        "raw_request": {},
        "raw_response": {},
        "cache_debug": None,
    }


def page_body(items: list[bytes] | None, rest: dict[str, Any], escape: bool = True) -> bytes:
    """The envelope around items that are already bytes; None is a null list."""
    data = b"null" if items is None else b"[" + b",".join(items) + b"]"
    tail = dump(rest, escape)[1:]
    return b'{"object":"list","data":' + data + (b"," if rest else b"") + tail


def mistake(
    status: int,
    message: str,
    *,
    shape: str = "bifrost",
    type: str | None = None,
    top_type: str | None = None,
    code: str | None = None,
    param: str | None = None,
    own: bool = False,
    provider: str | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    """An error in the gateway's shape, or plain OpenAI's. `own`: the gateway's, not the provider's."""
    if shape in ("openai", "litellm"):
        kind = type or top_type or "invalid_request_error"
        body: dict[str, Any] = {"error": {"message": message, "type": kind, "param": param, "code": code}}
    else:
        detail = {"type": type, "code": code, "message": message, "param": param}
        extra = {"provider": provider, "request_type": "video_list" if provider else None}
        body = {
            "type": top_type,
            "is_bifrost_error": own,
            "status_code": status,
            "error": _known(detail),
            "extra_fields": _known(extra),
        }
        body = _known(body)
    return Response(status, dump(body), headers=headers or {})


def _known(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value is not None}
