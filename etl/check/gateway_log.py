"""Probing a gateway's log: does it answer, how far back does it reach, and does it say who made which job?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from etl.check.finding import Finding
from etl.config import Source
from etl.errors import GatewayError
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
    """At most three requests: the oldest rows, recent ones, and the detail of one that made a job."""
    try:
        oldest = _read_rows(gateway, None, options)
        recent = _read_rows(gateway, datetime.now(UTC) - _RECENT, options) or oldest
        made = [row for row in recent if row.makes and row.status == "success"]
        place = _where_jobs_are_named(gateway, made[-1], options) if made else None
    except GatewayError as exc:
        yield Finding("log", False, str(exc), exc.hint, source.name)
        return
    if not oldest:
        yield Finding("log", None, "answers, with no request for a video yet", source=source.name)
        return
    reach = f"answers, and reaches back to {oldest[0].at:%Y-%m-%d %H:%M} UTC"
    yield Finding("log", True, reach, source=source.name)
    good, detail, hint = _NAMED[place]
    needed = source.discover != "list"
    yield Finding("log names jobs", good if needed or good else None, detail, hint, source.name)


def _read_rows(gateway: GatewayClient, since: datetime | None, options: Options) -> list[LogRow]:
    rows = []
    for raw in gateway.logs.page(since, limit=100, attempts=2).rows:
        with suppress(Unusable):
            rows.append(log_row(raw, options))
    return rows


def _where_jobs_are_named(gateway: GatewayClient, row: LogRow, options: Options) -> str:
    if row.names_jobs != "detail":
        return row.names_jobs
    told = log_row(gateway.logs.row(row.request_id), options)
    return "detail" if told.job_id is not None else "hidden"
