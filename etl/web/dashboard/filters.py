"""What a page was asked for: the range and the filters in its address."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from datetime import datetime
from math import isfinite
from typing import Any, get_args
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from etl import times
from etl.analytics.filters import Filter
from etl.analytics.grouped import GROUPED
from etl.analytics.jobs import SORTS, Choice, Only
from etl.analytics.ranges import parse_moment
from etl.config import Reporting
from etl.errors import ConfigError
from etl.schema.views.owners import DIMENSIONS
from etl.web.dashboard.buckets import start_of_bar

DEFAULT = "7d"
EVERYTHING = "all"
SLOWEST = "-total_seconds"
_LONGEST = 500
_LAST_PAGE = 100_000
#: What narrows the list of jobs beyond the form; other pages do not know it.
_DRILL = ("text", "owner", "failure", "code", "only", "slower", "sort")


@dataclass(frozen=True, slots=True)
class PageQuery:
    """As written in the address; nothing is judged yet. `since` is "all" for no beginning."""

    since: str = DEFAULT
    until: str = ""
    source: tuple[str, ...] = ()
    provider: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    failure: str = ""
    code: str = ""
    only: str = ""
    slower: str = ""
    text: str = ""
    owner: str = ""
    sort: str = ""
    by: str = ""
    page: int = 1

    @staticmethod
    def of(given: QueryParams) -> PageQuery:
        def several(name: str) -> tuple[str, ...]:
            return tuple(dict.fromkeys(value[:_LONGEST] for value in given.getlist(name) if value))

        def one(name: str) -> str:
            return given.get(name, "").strip()[:_LONGEST]

        page = one("page")
        number = int(page) if page.isascii() and page.isdigit() and len(page) < 9 else 1
        return PageQuery(
            since=one("since") or DEFAULT,
            until=one("until"),
            source=several("source"),
            provider=several("provider"),
            model=several("model"),
            status=several("status"),
            failure=one("failure"),
            code=one("code"),
            only=one("only"),
            slower=one("slower"),
            text=one("text"),
            owner=one("owner"),
            sort=SLOWEST if one("sort") == "slowest" else one("sort"),  # as addresses of before had it
            by=one("by"),
            page=min(_LAST_PAGE, max(1, number)),
        )

    def url(self, path: str, **changes: Any) -> str:
        """The address of `path` with the same range and filters, but for `changes`."""
        forgotten = {"page": 1} | ({} if path.startswith("/jobs") else dict.fromkeys(_DRILL, ""))
        if path.removeprefix("/tables/").partition(".")[0] not in GROUPED:
            forgotten["by"] = ""
        there = replace(self, **(forgotten | changes))
        pairs = {field.name: getattr(there, field.name) for field in fields(there)}
        pairs["since"] = "" if there.since == DEFAULT else there.since
        pairs["page"] = there.page if there.page > 1 else ""
        found = urlencode({name: value for name, value in pairs.items() if value}, doseq=True)
        return f"{path}?{found}" if found else path

    @property
    def narrowed(self) -> bool:
        """Whether there is anything to reset."""
        return self != PageQuery(page=self.page)

    def chips(self) -> Iterator[tuple[str, str]]:
        """What the form does not show: in words, and the name of what takes it away."""
        if self.text:
            yield f"id or prompt: {self.text}", "text"
        if self.owner:
            kind, _, name = self.owner.partition(":")
            yield f"{kind.replace('_', ' ')}: {name}", "owner"
        if self.failure:
            yield f"failure class: {self.failure}", "failure"
        if self.code:
            yield f"error code: {self.code}", "code"
        if self.only:
            yield f"only {self.only}", "only"
        if self.slower:
            yield f"took at least {self.slower} s", "slower"
        if self.sort:
            name = self.sort.removeprefix("-").replace("_", " ")
            yield f"sorted by {name}{', greatest first' if self.sort[0] == '-' else ''}", "sort"

    def drilled(self) -> dict[str, str]:
        """What the form must carry along."""
        return {name: getattr(self, name) for name in _DRILL if getattr(self, name)}

    def chosen(self, now: datetime, reporting: Reporting, limit: int | None = None) -> Filter:
        """For the reports. A range that counts back from now begins with a whole minute, hour or day. Raises
        ConfigError for a range that cannot be read or is empty."""
        zone = reporting.timezone
        start = None if self.since == EVERYTHING else parse_moment(self.since, now, zone)
        if start is not None and _is_length(self.since):
            start = start_of_bar(start, now, zone)
        end = parse_moment(self.until, now, zone, end=True) if self.until else None
        if start is not None and end is not None and end <= start:
            raise ConfigError("the range is empty: its end is not after its start")
        return Filter(
            now, start, end, self.source, self.model, zone, reporting.currency, limit,
            statuses=self.status, providers=self.provider,
        )  # fmt: skip

    def choice(self, now: datetime, reporting: Reporting) -> Choice:
        """For the list of jobs. Raises ConfigError as `chosen` does, and for a filter that is none."""
        if self.only not in get_args(Only):
            raise ConfigError(
                f"there is no filter {self.only!r}", hint=f"one of: {', '.join(get_args(Only)[1:])}"
            )
        if self.sort and self.sort.removeprefix("-") not in SORTS:
            raise ConfigError(f"jobs cannot be sorted by {self.sort!r}", hint=f"one of: {', '.join(SORTS)}")
        chosen, slower = self.chosen(now, reporting), _parse_seconds(self.slower)
        only: Any = self.only
        return Choice(
            chosen, self.failure, self.code, slower, only, self.text, self.sort, _parse_owner(self.owner)
        )


def _parse_owner(text: str) -> tuple[str, str] | None:
    """`team:Red`."""
    kind, parted, name = text.partition(":")
    if text and not (parted and kind in DIMENSIONS):
        raise ConfigError(f"{text!r} is no owner", hint=f"one of {', '.join(DIMENSIONS)}, a colon, and whose")
    return (kind, name) if text else None


def _is_length(text: str) -> bool:
    try:
        times.parse_length(text)
    except times.NoTime:
        return False
    return True


def _parse_seconds(text: str) -> float:
    try:
        found = float(text or 0)
    except ValueError:
        found = float("nan")
    if not isfinite(found) or found < 0:
        raise ConfigError(f"{text!r} is not a number of seconds")
    return found
