"""Faults in the items of a page: schema drift and items that are no jobs. Items are JSON bytes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from etl.simulator.fault import Fault
from etl.simulator.wire import dump_json

Items = list[bytes]


def _drift_items(fault: Fault, items: Items) -> Items:
    return [_with_drift(item) for item in items]


def _with_drift(item: bytes) -> bytes:
    job = json.loads(item)
    if not isinstance(job, dict):
        return item
    if isinstance(job.get("error"), dict):
        job["error"] = {**job["error"], "retryable": False}
    return dump_json({**job, "quality": "hd", "usage": {"gpu_seconds": 41.5, "region": {"name": "eu"}}})


def _bad_item(fault: Fault, items: Items) -> Items:
    """kind: INTRUDERS and `duplicate` are put in beside the good items, KINDS spoil one of them.

    at: the place on the page (default: the middle); `all` for every item.
    """
    kind, at = fault.text("kind", "null"), fault.text("at")
    if at == "all":
        return [_spoil_item(kind, item) for item in items]
    place = int(at) if at else len(items) // 2
    if kind in INTRUDERS:
        items.insert(place, INTRUDERS[kind])
    elif kind == "duplicate":
        items.insert(place, items[place])
    else:
        items[place] = _spoil_item(kind, items[place])
    return items


INTRUDERS = {
    "null": b"null",
    "string": b'"not a job"',
    "number": b"42",
    "list": b"[1,2]",
    "true": b"true",
    "empty": b"{}",
}


def _spoil_item(kind: str, item: bytes) -> bytes:
    if kind in INTRUDERS:
        return INTRUDERS[kind]
    job = json.loads(item)
    return KINDS[kind](job)


def _deep_item(job: dict[str, Any]) -> bytes:
    return dump_json(job)[:-1] + b',"deep":' + b"[" * 5000 + b"]" * 5000 + b"}"


def _absurd_item(job: dict[str, Any]) -> bytes:
    fields = b',"created_at":1e400,"progress":-1e308,"seconds":99999999999999999999999999,"size":"0x-1"}'
    return (
        dump_json({k: v for k, v in job.items() if k not in ("created_at", "progress", "seconds", "size")})[
            :-1
        ]
        + fields
    )


def _change_times(job: dict[str, Any], change: Callable[[int], Any]) -> bytes:
    names = ("created_at", "completed_at", "expires_at")
    return dump_json({k: change(v) if k in names and v is not None else v for k, v in job.items()})


def _iso_time(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


KINDS: dict[str, Callable[[dict[str, Any]], bytes]] = {
    "no_id": lambda job: dump_json({k: v for k, v in job.items() if k != "id"}),
    "empty_id": lambda job: dump_json({**job, "id": ""}),
    "number_id": lambda job: dump_json({**job, "id": 7}),
    "nul": lambda job: dump_json({**job, "prompt": "before\0after"}),
    "surrogate": lambda job: dump_json({**job, "prompt": "@"}).replace(b'"@"', rb'"half \ud83d pair"'),
    "absurd": _absurd_item,
    "deep": _deep_item,
    "ms": lambda job: _change_times(job, lambda seconds: seconds * 1000),
    "iso": lambda job: _change_times(job, _iso_time),
    "types": lambda job: dump_json({**job, "model": ["sora-2"], "prompt": {"text": "x"}, "status": 3}),
}
ITEMS: dict[str, Callable[[Fault, Items], Items]] = {"drift": _drift_items, "bad_item": _bad_item}
