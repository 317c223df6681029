"""One decoded item to one `JobRow`. The hot path: 100 items per page, so known shapes take the short way."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from typing import Any, TypeVar, get_args

import msgspec

from etl.log import EchoMask
from etl.records import GatewayStatus, JobRow, Unknown, is_settled, new_row
from etl.transform import parsers
from etl.transform.json_values import MAX_ID, Unusable, json_text, json_type
from etl.transform.privacy import Options, Scrubber

ParsedValue = TypeVar("ParsedValue")

MAX_PATH = 255
#: Names that one page may bring beside the contract's; what comes beyond them is counted as OTHER_NAMES.
MAX_NAMES, OTHER_NAMES = 500, "(other names)"

_NO_ERROR = (None, None, False)
_PLAIN_STATUSES = frozenset(get_args(GatewayStatus))
#: Members that have a column, or are dropped on purpose: `videos` may hold megabytes of base64.
_KNOWN = frozenset(
    {
        "id", "object", "provider", "model", "status", "progress", "prompt", "remixed_from_video_id",
        "seconds", "size", "created_at", "completed_at", "expires_at", "error", "videos", "extra_fields",
    }
)  # fmt: skip
_pack = msgspec.msgpack.Encoder().encode


@dataclass(slots=True)
class PageContext:
    """What the jobs of one page share. `provider` comes from the page or the source; `drift` adds up."""

    options: Options
    provider: str | None = None
    mask: EchoMask | None = None  # when the page echoes a credential
    scrubber: Scrubber | None = None  # when prompts are not stored
    _drift: dict[tuple[str, str, type], int] = field(default_factory=dict)

    def unknown(self, where: str, name: str, value: Any) -> None:
        key = (where, name, type(value))
        if len(self._drift) >= MAX_NAMES and key not in self._drift:
            key = (where, OTHER_NAMES, type(value))
        self._drift[key] = self._drift.get(key, 0) + 1

    @property
    def drift(self) -> dict[Unknown, int]:
        """Fields that the contract does not name, and how often each came."""
        total: Counter[Unknown] = Counter()
        for (where, name, kind), count in self._drift.items():
            total[Unknown(f"{where}.{name}"[:MAX_PATH], json_type(kind))] += count
        return dict(total)


def job_id(job: Any) -> str:
    """The item's id. Raises Unusable when it has none that could be a key."""
    if type(job) is not dict:
        raise Unusable(f"not an object but {json_type(type(job))}", job)
    found = job.get("id")
    if type(found) is int:
        found = str(found)
    if type(found) is not str or not found.strip():
        raise Unusable("no usable id", job)
    if len(found) > MAX_ID:
        raise Unusable(f"id longer than {MAX_ID} characters", job)
    return found


def job_row(job: dict[str, Any], context: PageContext) -> JobRow:
    """The row of an item with a usable id. Raises Unusable for no other reason than its id."""
    key = job_id(job)
    extra = {} if _KNOWN.issuperset(job) else without_column(job)
    count_unknown(extra, context)
    error = job.get("error")
    error_code, error_message, failed = _read_error(error, extra, context) if error else _NO_ERROR
    created_at = _parse_member(job, "created_at", parsers.parse_instant, extra)
    completed_at = _parse_member(job, "completed_at", parsers.parse_instant, extra)
    expires_at = _parse_member(job, "expires_at", parsers.parse_instant, extra)
    progress = _parse_member(job, "progress", parsers.parse_percent, extra)
    seconds = _parse_member(job, "seconds", parsers.parse_seconds, extra)
    reported, status = _read_status(job, extra, failed, completed_at, progress)
    if progress == 1 and status == "completed":
        progress = 100.0
    model = _read_text(job, "model", extra)
    remixed = _read_text(job, "remixed_from_video_id", extra)
    size = _read_size(job, extra)
    width, height = parsers.parse_dimensions(size)
    if job.get("object") not in ("video", None):
        extra["object"] = job["object"]
    prompt, provider = _read_text(job, "prompt", extra), _read_provider(job, key, context, extra)
    extra_text = json_text(extra) if extra else None
    content = (
        provider, model, status, reported, prompt, remixed, seconds, size, created_at, completed_at,
        expires_at, error_code, error_message, significant_extra(extra, extra_text) if extra_text else None,
    )  # fmt: skip
    row = (
        key, provider, model, status, reported, progress, prompt, remixed, seconds, size, width, height,
        created_at, completed_at, expires_at, error_code, error_message, extra_text,
        is_settled(status, ended=failed or completed_at is not None),
        content_hash(content),
    )  # fmt: skip
    return new_row(row)


def content_hash(content: tuple[Any, ...]) -> str:
    """The content hash: 32 hexadecimal digits."""
    return blake2b(_pack(content), digest_size=16).hexdigest()


def without_column(job: dict[str, Any]) -> dict[str, Any]:
    """Members that have no column."""
    return {name: value for name, value in job.items() if name not in _KNOWN}


def count_unknown(extra: dict[str, Any], context: PageContext) -> None:
    """Members without a column are drift."""
    for name, value in extra.items():
        context.unknown("job", name, value)


def _parse_member(
    job: dict[str, Any], name: str, parse: Callable[[Any], ParsedValue | None], extra: dict[str, Any]
) -> ParsedValue | None:
    """What `parse` makes of a member; the original goes to `extra` when it makes nothing of it."""
    value = job.get(name)
    if value is None:
        return None
    try:
        return parse(value)
    except (ValueError, OverflowError):
        extra[name] = value
        return None


def _read_text(job: dict[str, Any], name: str, extra: dict[str, Any]) -> str | None:
    """A text column; another type is kept twice, as text and as it came."""
    value = job.get(name)
    if type(value) is str:
        return value or None
    if value is None:
        return None
    extra[name] = value
    return json_text(value) if value else None


def _read_size(job: dict[str, Any], extra: dict[str, Any]) -> str | None:
    size = job.get("size")
    if type(size) is str:
        return size or None
    if size:
        extra["size"] = size
    return None


def _read_provider(job: dict[str, Any], key: str, context: PageContext, extra: dict[str, Any]) -> str | None:
    own = job.get("provider")
    if own is not None and type(own) is not str:
        extra["provider"] = own
    elif own:
        return str(own)
    return context.provider or provider_of(key)


def provider_of(key: str) -> str | None:
    """The provider that an id's suffix names."""
    _, colon, suffix = key.rpartition(":")
    return suffix if colon and suffix else None


def _read_status(
    job: dict[str, Any],
    extra: dict[str, Any],
    failed: bool,
    completed_at: datetime | None,
    progress: float | None,
) -> tuple[str | None, str]:
    """(exactly as sent, normalised or derived)."""
    reported = job.get("status")
    if type(reported) is str and reported in _PLAIN_STATUSES:
        return reported, reported
    if type(reported) is not str:
        if reported is not None:
            extra["status"] = reported
        reported = None
    status = reported.strip().lower() if reported else ""
    if status:
        return reported, parsers.STATUS_ALIASES.get(status, status)
    return reported or None, derived_status(failed, completed_at, progress)


def derived_status(failed: bool, completed_at: datetime | None, progress: float | None) -> str:
    """What a job's other members say of it."""
    if failed:
        return "failed"
    if completed_at is not None or (progress or 0) >= 100:
        return "completed"
    return "in_progress" if progress else "queued"


def _read_error(
    error: Any, extra: dict[str, Any], context: PageContext
) -> tuple[str | None, str | None, bool]:
    """(code, message, whether it is an error at all): the reference page shows an empty one on every job."""
    if type(error) is str:
        return None, error, bool(error.strip())
    if type(error) is not dict:
        extra["error"] = error
        return None, json_text(error), True
    code, message = error.get("code"), error.get("message")
    others = {name: value for name, value in error.items() if name not in ("code", "message")}
    for name, value in others.items():
        context.unknown("job.error", name, value)
    if others:
        extra["error"] = others
    return _as_word(code), _as_word(message), bool(_without_zero_values(error))


def _as_word(value: Any) -> str | None:
    if not value:
        return None
    return value if type(value) is str else json_text(value)


def _without_zero_values(value: Any) -> Any:
    """The value without zeros, which an answer by id leaves out: both shapes of a job must hash the same."""
    if type(value) is not dict:
        return value
    return {name: kept for name, child in value.items() if (kept := _without_zero_values(child))}


def _has_zero(members: dict[str, Any]) -> bool:
    for child in members.values():  # noqa: SIM110 - as in text.deeper_than
        if not child or (type(child) is dict and _has_zero(child)):
            return True
    return False


def significant_extra(extra: dict[str, Any], text: str) -> str | None:
    """What of `extra`, JSON text `text`, the hash covers: all but zero values and a strange progress."""
    if "progress" not in extra and not _has_zero(extra):
        return text
    kept = _without_zero_values({name: value for name, value in extra.items() if name != "progress"})
    return json_text(kept) if kept else None
