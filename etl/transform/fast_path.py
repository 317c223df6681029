"""The short way for items that are just what the contract says, or that and members it does not name: decoded
straight into typed fields.

A whole page takes a third of the time of the long way (jobs.py), one item by itself half of it. Rows are the
same; where there is none, the long way decides.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import repeat
from operator import attrgetter
from typing import Annotated, Any, Literal, get_args

import msgspec

from etl.json_parts import exceeds_parts
from etl.records import GatewayStatus, JobRow, is_settled, new_row
from etl.transform import parsers
from etl.transform.jobs import (
    PageContext,
    content_hash,
    count_unknown,
    derived_status,
    provider_of,
    significant_extra,
    without_column,
)
from etl.transform.json_values import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_ID,
    MAX_PARTS,
    deeper_than,
    has_escaped_nul,
    json_text,
)

_Moment = Annotated[int, msgspec.Meta(gt=0, lt=parsers.LATEST)]


class _Error(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    code: str | None = None
    message: str | None = None


class _OrdinaryJob(msgspec.Struct, gc=False):
    """The reference page shows no status, and a gateway whose provider sent none an empty one."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_ID)]
    status: GatewayStatus | Literal[""] | None = None
    object: Literal["video"] = "video"
    provider: str | None = None
    model: str | None = None
    progress: int | float | None = None
    prompt: str | None = None
    remixed_from_video_id: str | None = None
    seconds: str | float | None = None
    size: str | None = None
    created_at: _Moment | None = None
    completed_at: _Moment | None = None
    expires_at: _Moment | None = None
    error: _Error | None = None


class _StrictJob(_OrdinaryJob, forbid_unknown_fields=True, gc=False):
    """A job without other members."""


_decode_page = msgspec.json.Decoder(list[_StrictJob]).decode
_decode_strict = msgspec.json.Decoder(_StrictJob).decode
_decode = msgspec.json.Decoder(_OrdinaryJob).decode
_decode_members = msgspec.json.Decoder(dict[str, Any]).decode
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)
_NONE: dict[str, Any] = {}
#: By each status that a row of this way may have; a look into it is a call less for each job.
_SETTLED: dict[str, bool] = {status: is_settled(status, ended=True) for status in get_args(GatewayStatus)}
_Times = tuple[datetime | None, datetime | None, datetime | None]
#: What has no column: as JSON text, and as the content hash covers it.
_Extra = tuple[str | None, str | None]
_NO_EXTRA: _Extra = (None, None)
_id = attrgetter("id")
#: Bytes of a page that are looked at in one piece.
AT_ONCE = 1 << 20


def ordinary_rows(items: Sequence[bytes], context: PageContext) -> list[JobRow | None]:
    """A row for each item; None where anything about it is out of the ordinary. Prompts must be stored as
    sent. Members that the contract does not name are counted as drift."""
    jobs = _decoded_at_once(items)
    if jobs is not None:
        try:
            return list(map(_make_row, jobs, _read_times(jobs), repeat(_NO_EXTRA), repeat(context)))
        except ValueError:
            pass
    found = [_decode_job(item) for item in items]
    times = _read_times([each[0] for each in found if each is not None])
    return [None if each is None else _row_of(*each, next(times), context) for each in found]


def _decoded_at_once(items: Sequence[bytes]) -> list[_StrictJob] | None:
    if sum(map(len, items)) > AT_ONCE:
        return None  # a copy of megabytes
    text = b"[%b]" % b",".join(items)
    if has_escaped_nul(text):
        return None
    try:
        jobs = _decode_page(text)
    except _UNREADABLE:
        return None
    return jobs if len(jobs) == len(items) and all(map(str.strip, map(_id, jobs))) else None


def _decode_job(item: bytes) -> tuple[_OrdinaryJob, dict[str, Any]] | None:
    """The job, and its members without a column."""
    if has_escaped_nul(item) or len(item) > MAX_BYTES:
        return None
    try:
        return _name_job(_decode_strict(item), _NONE)
    except msgspec.ValidationError:
        pass
    except _UNREADABLE:
        return None
    if exceeds_parts(item, MAX_PARTS):
        return None
    try:
        members = _decode_members(item)
        return None if deeper_than(members, MAX_DEPTH) else _name_job(_decode(item), without_column(members))
    except _UNREADABLE:
        return None


def _name_job(job: _OrdinaryJob, others: dict[str, Any]) -> tuple[_OrdinaryJob, dict[str, Any]] | None:
    return (job, others) if job.id.strip() else None


def _row_of(job: _OrdinaryJob, others: dict[str, Any], times: _Times, context: PageContext) -> JobRow | None:
    try:
        row = _make_row(job, times, _make_extra(others), context)
    except ValueError:
        return None
    count_unknown(others, context)
    return row


def _make_extra(members: dict[str, Any]) -> _Extra:
    if not members:
        return _NO_EXTRA
    text = json_text(members)
    return text, significant_extra(members, text)


def _read_times(jobs: Sequence[_OrdinaryJob]) -> Iterator[_Times]:
    """When each was created and completed, and will expire; made at once, in a seventh of the time."""
    unix = [moment for job in jobs for moment in (job.created_at, job.completed_at, job.expires_at)]
    utc = iter(msgspec.convert(unix, list[datetime | None], strict=False))
    return zip(utc, utc, utc, strict=True)


def _make_row(job: _OrdinaryJob, times: _Times, extra: _Extra, context: PageContext) -> JobRow:
    """Raises ValueError for a number out of range."""
    key, size, error = job.id, job.size or None, job.error
    progress, seconds = parsers.parse_percent(job.progress), parsers.parse_seconds(job.seconds)
    code, message = (None, None) if error is None else (error.code or None, error.message or None)
    reported = job.status or None
    status = reported or derived_status(bool(code or message), times[1], progress)
    if progress == 1 and status == "completed":
        progress = 100.0
    provider = job.provider or context.provider or provider_of(key)
    model, prompt, remixed = job.model or None, job.prompt or None, job.remixed_from_video_id or None
    content = (
        provider, model, status, reported, prompt, remixed, seconds, size, *times, code, message, extra[1],
    )  # fmt: skip
    row = (
        key, provider, model, status, reported, progress, prompt, remixed, seconds, size,
        *parsers.parse_dimensions(size), *times, code, message, extra[0],
        _SETTLED[status], content_hash(content),
    )  # fmt: skip
    return new_row(row)
