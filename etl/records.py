"""The records that travel from the gateway to the database. Plain, frozen, shared by all layers.

All instants are timezone-aware UTC datetimes. A `RawPage` leaves extract, a `PageRows` leaves transform.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, Literal, NamedTuple

Order = Literal["asc", "desc"]
RunKind = Literal["incremental", "first", "reconcile"]
Op = Literal["insert", "update", "unlist", "relist", "erase"]

#: What Bifrost itself reports.
GatewayStatus = Literal["queued", "in_progress", "completed", "failed"]
#: A job in one of these states never changes again. `completed` and `failed` are the gateway's own;
#: the others are what custom providers report for a job that was stopped.
SETTLED_STATUSES = frozenset({"completed", "failed", "cancelled", "canceled", "expired", "rejected"})
OPEN_STATUSES = frozenset({"queued", "in_progress"})
#: What became of a job, as totals and reports count it: see `decide_outcome`.
Outcome = Literal["completed", "failed", "stopped", "open", "vanished"]


def is_settled(status: str, *, ended: bool) -> bool:
    """The job cannot change again. A status that nobody knows is believed to be an end when the job carries
    an error or a time of completion (`ended`)."""
    return status in SETTLED_STATUSES or (status not in OPEN_STATUSES and ended)


def decide_outcome(status: str, *, settled: bool, unlisted: bool) -> Outcome:
    """`stopped` ended in another way than the two usual ones; `vanished` left the list before it ended."""
    if status in ("completed", "failed"):
        return status  # type: ignore[return-value]
    if settled:
        return "stopped"
    return "vanished" if unlisted else "open"


def as_utc(moment: datetime) -> datetime:
    """The same instant in UTC; a naive datetime is a mistake and raises ValueError."""
    if moment.tzinfo is None:
        raise ValueError("naive datetime: every instant carries its time zone here")
    return moment.astimezone(UTC)


#: Clocks of several machines may differ by so much without a meaning.
SKEW = timedelta(minutes=1)


def time_elapsed(since: datetime | None, now: datetime) -> timedelta | None:
    """The time from `since` to `now`, both UTC; None when it never was, or lies ahead by more than SKEW.

    An instant of the future was written before a clock was put back: it is never fresh, no wait starts there.
    """
    return None if since is None or since > now + SKEW else max(now - since, timedelta())


@dataclass(frozen=True, slots=True)
class PageRequest:
    """One question to the list: jobs after this id, in this order, at most this many."""

    after: str | None = None
    order: Order = "asc"
    limit: int = 100


@dataclass(frozen=True, slots=True)
class RawPage:
    """One answer, with each item still undecoded (gateway.md, "Page").

    `items` are the verbatim bytes of each element of `data`. `extra_fields` is that object's bytes, or None.
    `has_more` is None when the answer did not say. `received_at` is our clock when the body was complete;
    `duration` is in seconds and covers the last attempt; `gateway_date` is the answer's Date header.
    `unknown` holds envelope members that the contract does not name. `full` is set where only its length says
    whether more follows: how long a full page is, as the gateway may cap the limit. `account` is the
    gateway's key that answered, where a header names it. `apart`: the list's cursors have other names than
    its items. `again`: its first item is the job that it was asked behind; `longer`: it was asked for with
    room for that job. `leads_to` is the cursor of what follows: the page's own end, whether or not anything
    does. `cached`: a cache between the gateway and us answered.
    """

    request: PageRequest
    items: tuple[bytes, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool | None
    extra_fields: bytes | None
    received_at: datetime
    http_status: int = 200
    attempts: int = 1
    duration: float = 0.0
    size: int = 0
    gateway_date: datetime | None = None
    unknown: Mapping[str, Any] = field(default_factory=dict)
    full: int | None = None
    account: str | None = None
    apart: bool = False
    again: bool = False
    longer: bool = False
    leads_to: str | None = None
    cached: bool = False

    @property
    def following(self) -> PageRequest | None:
        """What to ask after this page; None at the end of the list."""
        return None if self.ends or self.leads_to is None else replace(self.request, after=self.leads_to)

    @property
    def most(self) -> int:
        """How many items were asked for."""
        return self.request.limit + self.longer

    @property
    def has_room(self) -> bool:
        """The page could have held more items."""
        return len(self.items) < (self.full or self.most)

    @property
    def heeds_limit(self) -> bool:
        """It holds no more items than were asked for. Where no limit is heeded, no page is a full one."""
        return len(self.items) <= self.most

    @property
    def ends(self) -> bool:
        """The list ends here, says the page: the one stop rule (gateway.md, "Page").

        No items, `has_more: false`, or, when has_more is absent or says nothing, a page that is not full, or
        that shows nothing but the job that it was asked behind.
        """
        if not self.items or (self.has_more is False and self.full is None):
            return True
        alone = self.again and len(self.items) == 1
        return self.has_more is not True and (alone or self.has_room)


class JobRow(NamedTuple):
    """One job as the gateway showed it; the tracked columns of `video_jobs`, in this order.

    `status` is derived where the gateway sent none, `reported_status` is what it sent. `progress` is percent
    (0–100). `seconds` is the clip's length. `extra` is compact JSON text of every field without a column,
    keys sorted, or None. `content_hash` covers everything but `progress`: equal hash, equal job. `settled`
    says that the job will not change again.
    """

    job_id: str
    provider: str | None
    model: str | None
    status: str
    reported_status: str | None
    progress: float | None
    prompt: str | None
    remixed_from_job_id: str | None
    seconds: float | None
    size: str | None
    width: int | None
    height: int | None
    created_at: datetime | None
    completed_at: datetime | None
    expires_at: datetime | None
    error_code: str | None
    error_message: str | None
    extra: str | None
    settled: bool
    content_hash: str


#: A JobRow of a tuple with all its fields, in a fifth of the time of JobRow(...).
new_row: Callable[[tuple[Any, ...]], JobRow] = partial(tuple.__new__, JobRow)

#: Columns of `JobRow` that history records: all but the key, the flag and the hash.
TRACKED = tuple(f for f in JobRow._fields if f not in ("job_id", "settled", "content_hash"))


@dataclass(frozen=True, slots=True)
class Reject:
    """One item that could not be understood: verbatim bytes (or None), why, and where it stood.

    A poison record has no bytes: `after_id` and `before_id` are its known neighbours in creation order.
    """

    reason: str
    payload: bytes | None
    position: int | None = None
    job_id: str | None = None
    after_id: str | None = None
    before_id: str | None = None


@dataclass(frozen=True, slots=True)
class CacheLookup:
    """A page's `cache_debug`, as sent."""

    cache_hit: bool
    cache_id: str | None = None
    hit_type: str | None = None
    requested_provider: str | None = None
    requested_model: str | None = None
    provider_used: str | None = None
    model_used: str | None = None
    input_tokens: int | None = None
    threshold: float | None = None
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class PageFacts:
    """What a page's `extra_fields` say about the page itself. `latency_ms` is the last upstream attempt;
    `account` is the name of the gateway's key that answered."""

    request_type: str | None = None
    provider: str | None = None
    model_requested: str | None = None
    model_deployment: str | None = None
    latency_ms: float | None = None
    chunk_index: int | None = None
    raw_request: str | None = None
    raw_response: str | None = None
    extra: str | None = None
    account: str | None = None


class Unknown(NamedTuple):
    """A field that the contract does not name: dotted path and JSON type."""

    path: str
    type: str


@dataclass(frozen=True, slots=True)
class PageRows:
    """A page, transformed. `jobs` keeps the page's order; jobs + rejects account for every item.

    A job that stands twice on one page is kept once in `jobs` (its last appearance) and counted in
    `duplicates`. `ready` may hold, by id, what `etl.load` has made ready of a job before it is stored.
    """

    page: RawPage
    jobs: tuple[JobRow, ...]
    rejects: tuple[Reject, ...] = ()
    unknown: Mapping[Unknown, int] = field(default_factory=dict)
    cache: CacheLookup | None = None
    facts: PageFacts = field(default_factory=PageFacts)
    duplicates: int = 0
    ready: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stale(self) -> bool:
        """True when a cache served the page, the gateway's or one on the way: recorded, never believed."""
        return self.page.cached or (self.cache is not None and self.cache.cache_hit)


@dataclass(slots=True)
class Counts:
    """What a run did so far, named as in `sync_runs`. seen = inserted + updated + unchanged + rejected."""

    pages: int = 0
    requests: int = 0
    retries: int = 0
    jobs_seen: int = 0
    jobs_inserted: int = 0
    jobs_updated: int = 0
    jobs_unchanged: int = 0
    jobs_rejected: int = 0
    jobs_unlisted: int = 0


@dataclass(frozen=True, slots=True)
class RunResult:
    """How one source's run ended. `status`: ok, failed, interrupted (asked to stop) or skipped (lease held
    elsewhere; then `run_id` is None). `error` is set unless ok. Instants are UTC.

    `gaps` counts the stretches of the list that are not read and that nobody has accepted, as of the run's
    end; `gaps_opened` and `gaps_closed` those that came and went with this run, but for what only an
    unfinished walk has left."""

    source: str
    kind: RunKind
    status: Literal["ok", "failed", "interrupted", "skipped"]
    run_id: int | None
    started_at: datetime
    finished_at: datetime
    counts: Counts
    error: Exception | None = None
    gaps: int = 0
    gaps_opened: int = 0
    gaps_closed: int = 0

    @property
    def blind(self) -> bool:
        """It succeeded, but something listed is not stored."""
        return self.status == "ok" and self.gaps > 0


def never_began(
    source: str,
    kind: RunKind,
    status: Literal["failed", "interrupted", "skipped"],
    begun: datetime,
    ended: datetime,
    error: Exception | None = None,
) -> RunResult:
    """The result of a run that stored nothing, not even that it began."""
    return RunResult(source, kind, status, None, begun, ended, Counts(), error)
