"""What a page was asked for: the range and the filters in its address."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from etl.analytics.browsing import Choice
from etl.analytics.queries import Filter
from etl.analytics.ranges import moment
from etl.config import Reporting
from etl.errors import ConfigError

DEFAULT = "7d"
EVERYTHING = "all"
_LONGEST = 500
_LAST_PAGE = 100_000


@dataclass(frozen=True, slots=True)
class Query:
    """As written in the address; nothing is judged yet. `since` is "all" for no beginning."""

    since: str = DEFAULT
    until: str = ""
    source: tuple[str, ...] = ()
    model: tuple[str, ...] = ()
    status: tuple[str, ...] = ()
    failure: str = ""
    code: str = ""
    page: int = 1

    @staticmethod
    def of(given: QueryParams) -> Query:
        def several(name: str) -> tuple[str, ...]:
            return tuple(value[:_LONGEST] for value in given.getlist(name) if value)

        def one(name: str) -> str:
            return given.get(name, "").strip()[:_LONGEST]

        page = one("page")
        return Query(
            since=one("since") or DEFAULT,
            until=one("until"),
            source=several("source"),
            model=several("model"),
            status=several("status"),
            failure=one("failure"),
            code=one("code"),
            page=min(_LAST_PAGE, max(1, int(page))) if page.isascii() and page.isdigit() else 1,
        )

    def url(self, path: str, **changes: Any) -> str:
        """The address of `path` with the same filters, but for `changes`."""
        there = replace(self, **({"page": 1} | changes))
        pairs: Mapping[str, Any] = {
            "since": there.since if there.since != DEFAULT else "",
            "until": there.until,
            "source": there.source,
            "model": there.model,
            "status": there.status,
            "failure": there.failure,
            "code": there.code,
            "page": there.page if there.page > 1 else "",
        }
        found = urlencode({name: value for name, value in pairs.items() if value}, doseq=True)
        return f"{path}?{found}" if found else path

    def chosen(self, now: datetime, reporting: Reporting, limit: int | None = None) -> Filter:
        """For the reports. Raises ConfigError for a range that cannot be read or is empty."""
        zone = reporting.timezone
        start = None if self.since == EVERYTHING else moment(self.since, now, zone)
        end = moment(self.until, now, zone, end=True) if self.until else None
        if start is not None and end is not None and end <= start:
            raise ConfigError("the range is empty: its end is not after its start")
        return Filter(
            now, start, end, self.source, self.model, zone, reporting.currency, limit, statuses=self.status
        )

    def choice(self, now: datetime, reporting: Reporting) -> Choice:
        """For the list of jobs. Raises ConfigError as `chosen` does."""
        return Choice(self.chosen(now, reporting), self.failure, self.code)
