"""What goes over the wire: requests, answers, and jobs in the shapes of Bifrost and its cousins."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, unquote

from etl.simulator.job_lives import Job
from etl.simulator.profiles import PROFILES
from etl.simulator.versions import Version

NULLABLE = ("completed_at", "expires_at", "progress", "remixed_from_video_id", "error")
UPSTREAM_HEADERS = {
    "Openai-Processing-Ms": "12",
    "X-Ratelimit-Limit-Requests": "5000",
    "X-Request-Id": "req_simulated",
}
JSON = "application/json"
HTML = "text/html; charset=utf-8"
DASHBOARD = (
    b"<!doctype html><html><head><title>Bifrost</title></head>"
    b'<body><div id="root">The gateway\'s dashboard</div></body></html>'
)
_VIDEOS = re.compile(r"(?:/(openai|openai_passthrough))?/v1/videos(?:/(.+))?", re.DOTALL)
_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


class Request(NamedTuple):
    method: str
    path: str  # percent-decoded, without the query
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case

    @classmethod
    def to(cls, target: str, headers: Mapping[str, str] | None = None, method: str = "GET") -> "Request":
        """A request to a target such as `/v1/videos?provider=openai`."""
        path, _, query = target.partition("?")
        pairs = parse_qsl(query, keep_blank_values=True) if query else ()
        named = {name.lower(): value for name, value in (headers or {}).items()}
        return cls(method, unquote(path) if "%" in path else path, dict(pairs), named)


class VideoPath(NamedTuple):
    through: str  # "" | "openai" | "openai_passthrough": which door of the gateway
    id: str  # "": the list


def video_path(path: str) -> VideoPath | None:
    """What is asked for, when it is videos at all."""
    match = _VIDEOS.fullmatch(path)
    return VideoPath(match[1] or "", match[2] or "") if match else None


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


def dump_json(value: Any, escape: bool = True) -> bytes:
    """JSON as Go writes it: `<`, `>` and `&` escaped; plain otherwise."""
    text = _encode(value)
    if escape:
        text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return text.encode("utf-8", "surrogatepass")


def wire_id(native: str, provider: str, shape: str) -> str:
    profile = PROFILES[shape]
    if profile.suffixed:
        # Quoting is slow, and most ids have nothing to quote.
        return f"{quote(native, safe='') if '/' in native else native}:{provider}"
    if profile.wrapped:
        inner = f"litellm:custom_llm_provider:{provider};model_id:None;video_id:{native}"
        return "video_" + base64.b64encode(inner.encode()).decode()
    return native


def native_id(id: str, provider: str, shape: str) -> str | None:
    """The provider's own id of a job as this shape names it; None for a name of another make."""
    profile = PROFILES[shape]
    if profile.suffixed:
        native, _, owner = id.rpartition(":")
        return unquote(native) if owner == provider else None
    if profile.wrapped and id.startswith("video_bGl0ZWxsb"):
        inner = base64.b64decode(id.removeprefix("video_") + "===").decode("utf-8", "replace")
        return inner.rpartition(";video_id:")[2]
    return id


def dress_job(job: Job, provider: str, shape: str) -> Job:
    """A provider's job as a gateway of this shape lists it."""
    dressed = dict(job, id=wire_id(job["id"], provider, shape))
    if source := job.get("remixed_from_video_id"):
        dressed["remixed_from_video_id"] = wire_id(source, provider, shape)
    return dressed if shape == "bifrost" else finish_job(dressed, shape)


def finish_job(job: Job, shape: str) -> Job:
    """Settle what is null and what is left out; ids are taken as they are."""
    if shape == "bifrost":
        return {key: value for key, value in job.items() if value is not None or key not in NULLABLE}
    full = {**dict.fromkeys(NULLABLE), **job}
    if shape == "reference":
        full.pop("status", None)
        full["error"] = full["error"] or {"code": None, "message": None}
    return full


def as_upstream(body: bytes, provider: str) -> bytes:
    """A job as the provider itself writes it: its own ids, and null for what is not there."""
    try:
        job = json.loads(body)
    except ValueError:
        return body
    if not isinstance(job, dict):
        return body
    for name in ("id", "remixed_from_video_id"):
        if isinstance(job.get(name), str):
            job[name] = unquote(job[name].removesuffix(f":{provider}"))
    return dump_json({**dict.fromkeys(NULLABLE), **job}, escape=False)


def extra_fields(
    request_type: str, provider: str, latency: float, version: Version, key: str
) -> dict[str, Any]:
    took = round(latency * 1000) + 41
    named = version.names_accounts
    return {
        "request_type": request_type,
        **({"routing_info": routing_info(provider, key)} if named else {}),
        "provider": provider,
        "latency": took,
        **({"upstream_latency": took} if named else {}),
        "chunk_index": 0,
        "provider_response_headers": dict(UPSTREAM_HEADERS),
    }


def routing_info(provider: str, key: str) -> dict[str, str]:
    """The account that answered, as Bifrost says from 2.0 on."""
    return {"provider": provider, "key": key}


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
    tail = dump_json(rest, escape)[1:]
    return b'{"object":"list","data":' + data + (b"," if rest else b"") + tail
