"""Probing a gateway's log: does it answer, how far back does it reach, and does it say who made which job?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from etl.check.finding import Finding
from etl.config import Source
from etl.errors import GatewayError, NotFound
from etl.extract import GatewayClient
from etl.log_records import LogRow
from etl.transform import Options, Unusable, log_row

#: Rows of the log that tell how this gateway names jobs today.
_RECENT = timedelta(days=7)
_SEE = 'see docs/gateway-log.md, "What each version tells"'
#: By where the log names jobs: good, what to say, and what to do.
_NAMED: dict[str | None, tuple[bool | None, str, str | None]] = {
    None: (None, "not checked: no request for a video lately", None),
    "row": (True, "in each row (Bifrost 2.1 and later)", None),
    "detail": (True, "in each row's detail (Bifrost 2.0): one request more for each new job", None),
    "polls": (
        None,
        "only in requests that read a job by id (Bifrost up to 1.5.1): a job that nobody reads is not found",
        _SEE,
    ),
    "hidden": (
        False,
        "no: the gateway logs no content, so nobody can tell which request made which job",
        f"set disable_content_logging: false in the gateway, or use discover: list; {_SEE}",
    ),
}


def check_log(source: Source, gateway: GatewayClient, options: Options) -> Iterator[Finding]:
    """At most four requests: the oldest rows, recent ones, the detail of one that made a job, and the job."""
    told: LogRow | None = None
    try:
        oldest = _read_rows(gateway, None, options)
        recent = _read_rows(gateway, datetime.now(UTC) - _RECENT, options) or oldest
        made = [row for row in recent if row.makes and row.status == "success"]
        told = _read_detail(gateway, made[-1], options) if made else None
    except GatewayError as exc:
        yield Finding("log", False, str(exc), exc.hint, source.name)
        return
    if not oldest:
        yield Finding("log", None, "answers, with no request for a video yet", source=source.name)
        return
    reach = f"answers, and reaches back to {oldest[0].at:%Y-%m-%d %H:%M} UTC"
    yield Finding("log", True, reach, source=source.name)
    good, detail, hint = _NAMED[_where_jobs_are_named(told)]
    needed = source.discover != "list"
    yield Finding("log names jobs", good if needed or good else None, detail, hint, source.name)
    if source.discover == "logs":
        yield _check_job(source, gateway, told)


def _read_rows(gateway: GatewayClient, since: datetime | None, options: Options) -> list[LogRow]:
    rows = []
    for raw in gateway.logs.page(since, limit=100, attempts=2).rows:
        with suppress(Unusable):
            rows.append(log_row(raw, options))
    return rows


def _read_detail(gateway: GatewayClient, row: LogRow, options: Options) -> LogRow:
    """The row with what only its detail tells, where this gateway keeps the job's id there."""
    return row if row.names_jobs != "detail" else log_row(gateway.logs.row(row.request_id), options)


def _where_jobs_are_named(told: LogRow | None) -> str | None:
    if told is None:
        return None
    return "hidden" if told.names_jobs == "detail" and told.job_id is None else told.names_jobs


def _check_job(source: Source, gateway: GatewayClient, told: LogRow | None) -> Finding:
    """The list's credentials, which the log does not need: jobs are read with them, one by one."""
    if told is None or told.job_id is None:
        return Finding("credentials", None, "not checked: the log names no job to read", source=source.name)
    try:
        gateway.job(told.job_id)
    except NotFound:
        return Finding("credentials", True, "accepted; the newest job is gone already", source=source.name)
    except GatewayError as exc:
        return Finding("credentials", False, str(exc), exc.hint, source.name)
    return Finding("credentials", True, "accepted: the newest job was read by id", source=source.name)
