"""A row of the gateway's log into a `LogRow`. What it holds of prompts stays behind.

Where the job's id stands differs by version: from 2.1 in the row itself (`video_debug`), in 2.0 in its detail
only (`video_generation_output`), and up to 1.5.1 only in the details of requests that read a job.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal
from urllib.parse import quote

from etl.log_records import OWNER_COLUMNS, REMAKING, LogRow
from etl.transform import parsers
from etl.transform.json_values import MAX_ID, Unusable, clean_text, decode_json
from etl.transform.privacy import Options, Scrubber, find_prompts

#: What Go's url.PathEscape leaves as it is, besides letters and digits.
_UNESCAPED = "$&+=:@-_.~"
#: No cost of one request has more digits before its point.
_MOST = Decimal(10) ** 8


def log_row(raw: bytes, options: Options) -> LogRow:
    """The row. Raises Unusable for one that is no object, or has no id or time."""
    row = decode_json(raw)
    if type(row) is not dict:
        raise Unusable("a row of the log that is no object")
    request_id, at = row.get("id"), _parse_moment(row.get("timestamp"))
    if type(request_id) is not str or not request_id or len(request_id) > MAX_ID or at is None:
        raise Unusable("a row of the log without a usable id or timestamp")
    debug, accounting = _object_at(row, "video_debug"), _object_at(row, "video_debug", "accounting")
    kind, params = _as_word(row.get("object")) or "", _object_at(row, "params")
    asked = accounting or params
    code, message = _read_error(row, options)
    return LogRow(
        request_id=request_id,
        at=at,
        request_type=kind[:32],
        status=(_as_word(row.get("status")) or "success")[:16],
        names_jobs=_where_job_id(row),
        job_id=_job_id(row, kind, debug, params),
        remixed_job_id=_remixed_id(row, kind, params),
        settles=bool(accounting),
        provider=_as_word(row.get("provider")),
        model=_as_word(row.get("model")),
        owner={name: _as_word(row.get(name)) or _as_words(row.get(f"{name}s")) for name in OWNER_COLUMNS},
        key_id=_as_word(row.get("selected_key_id")),
        key_name=_as_word(row.get("selected_key_name")),
        parent_request_id=_as_word(row.get("parent_request_id")),
        retries=_as_whole(row.get("number_of_retries")),
        fallback_index=_as_whole(row.get("fallback_index")),
        latency_ms=_as_figure(row.get("latency")),
        seconds=_parse_figure(parsers.parse_seconds, asked.get("seconds")),
        size=_as_word(asked.get("size")),
        outputs=_as_whole(accounting.get("output_count")),
        job_status=_as_word(debug.get("status")) if accounting else None,
        cost=_as_cost(row.get("cost")),
        error_code=code,
        error_message=message,
    )


def asked_for(raw: bytes) -> dict[str, Any]:
    """What a request asked for, as members of a job: for those whose answer by id leaves them out.

    `created_at` is the provider's own where the row shows its answer, else the request's time. Empty when
    nothing can be read. It may hold the prompt: whoever asks hands it to `transform_page` and forgets it.
    """
    try:
        row = decode_json(raw)
    except Unusable:
        return {}
    if type(row) is not dict:
        return {}
    output, params = _object_at(row, "video_generation_output"), _object_at(row, "params")
    at = _parse_moment(row.get("timestamp"))
    told = {
        "created_at": output.get("created_at") or (at and int(at.timestamp())),
        "model": row.get("model") or output.get("model"),
        "prompt": _object_at(row, "video_generation_input").get("prompt"),
        "seconds": output.get("seconds") or params.get("seconds"),
        "size": output.get("size") or params.get("size"),
    }
    return {name: value for name, value in told.items() if value}


def _where_job_id(row: dict[str, Any]) -> Literal["row", "detail", "polls", "hidden"]:
    if row.get("content_hidden") is True:
        return "hidden"
    if _object_at(row, "video_debug").get("video_id"):
        return "row"
    return "detail" if "content_hidden" in row else "polls"


def _job_id(row: dict[str, Any], kind: str, debug: dict[str, Any], params: dict[str, Any]) -> str | None:
    shown = debug.get("video_id")
    for output in ("video_generation_output", "video_retrieve_output"):
        shown = shown or _object_at(row, output).get("id")
    if type(shown) is str and 0 < len(shown) <= MAX_ID:
        return _with_suffix(shown, row)
    return _native_id(row, params) if kind == "video_retrieve" else None


def _remixed_id(row: dict[str, Any], kind: str, params: dict[str, Any]) -> str | None:
    """The only job that a remix names up to 1.5.1."""
    shown = _object_at(row, "video_generation_output").get("remixed_from_video_id")
    if type(shown) is str and 0 < len(shown) <= MAX_ID:
        return _with_suffix(shown, row)
    return _native_id(row, params) if kind in REMAKING else None


def _with_suffix(shown: str, row: dict[str, Any]) -> str:
    """An id that names no provider, as the gateway calls the job elsewhere."""
    return shown if ":" in shown else _native_id(row, {"video_id": shown}) or shown


def _native_id(row: dict[str, Any], params: dict[str, Any]) -> str | None:
    """The job that a request was about, as the gateway calls it elsewhere."""
    native = params.get("video_id")
    if type(native) is not str or not native:
        return None
    provider = _as_word(row.get("provider"))
    found = quote(native, safe=_UNESCAPED) + (f":{provider}" if provider else "")
    return found if len(found) <= MAX_ID else None


def _read_error(row: dict[str, Any], options: Options) -> tuple[str | None, str | None]:
    error = _object_at(row, "error_details", "error")
    message = _as_word(error.get("message"))
    if message is not None and options.prompts != "store":
        message = Scrubber(find_prompts(row), options).message(message)
    return _as_word(error.get("code")) or _as_word(error.get("type")), message


def _object_at(row: dict[str, Any], *path: str) -> dict[str, Any]:
    found: Any = row
    for name in path:
        found = found.get(name) if type(found) is dict else None
    return found if type(found) is dict else {}


def _as_word(value: Any) -> str | None:
    return clean_text(value) if type(value) is str and value else None


def _as_words(values: Any) -> str | None:
    """Several teams, customers or units of one request are one owner, so that its job counts once."""
    return ", ".join(filter(None, map(_as_word, values))) or None if type(values) is list else None


def _as_whole(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**31 else None


def _as_figure(value: Any) -> float | None:
    is_number = type(value) in (int, float) and math.isfinite(value)
    return float(value) if is_number else None


def _as_cost(value: Any) -> Decimal | None:
    """The amount as USD with six digits after the point; None for what is no amount."""
    if type(value) not in (int, float) or not math.isfinite(value):
        return None
    amount = Decimal(str(value))
    return round(amount, 6) if abs(amount) < _MOST else None


def _parse_figure(parse: Callable[[Any], float | None], value: Any) -> float | None:
    try:
        return parse(value) if value else None
    except (ValueError, OverflowError):
        return None


def _parse_moment(value: Any) -> datetime | None:
    """RFC 3339 with up to nine digits after the second, cut to microseconds."""
    try:
        found = datetime.fromisoformat(value) if type(value) is str else None
    except ValueError:
        return None
    if found is None or found.tzinfo is None:
        return None
    return found.astimezone(UTC) if 1971 < found.year < 9998 else None
