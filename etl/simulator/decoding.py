"""Bifrost decodes what the provider lists, and it decodes strictly.

One field of another type makes the whole page unreadable. What it does not know is dropped, and what is not
there becomes the zero of its type.
"""

import json
from collections.abc import Callable
from typing import Any


class Unreadable(ValueError):
    """This job cannot be decoded."""


def _is_integer(value: Any) -> bool:
    return type(value) is int


def _is_number(value: Any) -> bool:
    return type(value) in (int, float)


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


CHECKS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(
        ("id", "object", "model", "status", "prompt", "seconds", "size", "remixed_from_video_id"), _is_text
    ),
    **dict.fromkeys(("created_at", "completed_at", "expires_at"), _is_integer),
    "progress": _is_number,
    "error": lambda value: isinstance(value, dict) and all(_is_text(value.get(k) or "") for k in value),
}
ZEROES = {"id": "", "object": "", "model": "", "status": "", "created_at": 0, "prompt": "", "size": ""}
LISTED = (
    *("id", "object", "model", "status", "created_at", "completed_at", "expires_at", "progress", "prompt"),
    *("remixed_from_video_id", "seconds", "size", "error"),
)
SINGLE = (
    *("id", "completed_at", "created_at", "error", "expires_at", "model", "object", "progress", "prompt"),
    *("remixed_from_video_id", "seconds", "size", "status"),
)


def decode_request(body: bytes) -> dict[str, Any]:
    """The fields that Bifrost knows. Raises Unreadable."""
    try:
        job = json.loads(body)
    except ValueError as exc:
        raise Unreadable(str(exc)) from None
    if job is None:
        return {}
    if not isinstance(job, dict):
        raise Unreadable("a job is an object")
    for name, fits in CHECKS.items():
        if job.get(name) is not None and not fits(job[name]):
            raise Unreadable(f"{name} has another type")
    known = {name: job[name] for name in CHECKS if job.get(name) is not None}
    if "error" in known:
        error = known["error"]
        known["error"] = {key: error[key] for key in ("code", "message") if error.get(key)}
    return known


def as_listed(body: bytes) -> dict[str, Any]:
    """A job as Bifrost lists it. Raises Unreadable."""
    job = {**ZEROES, "seconds": None, **decode_request(body)}
    return {name: job[name] for name in LISTED if name in job}


def as_single(body: bytes) -> dict[str, Any]:
    """A job as Bifrost gives it by id: what is zero is left out. Raises Unreadable."""
    job = decode_request(body)
    kept = {name: job[name] for name in SINGLE if name in job}
    if kept.get("created_at") == 0:
        del kept["created_at"]
    return {name: value for name, value in kept.items() if value not in ("", {})}
