"""What a view or a report is made of: columns that know what they hold, and the SQL that fills them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from etl.schema.views.dialects import Dialect

ValueKind = Literal[
    "text", "integer", "number", "seconds", "money", "amounts", "ratio", "instant", "day", "flag", "any"
]


_ALL = "1 = 1"


@dataclass(frozen=True, slots=True)
class Column:
    """`kind` tells how a value is read and shown: `seconds` is a length, `ratio` 0 to 1, `amounts`
    is money in several currencies as text, `any` unknown."""

    name: str
    kind: ValueKind
    comment: str


@dataclass(frozen=True, slots=True)
class CountedDays:
    """The part of a range that stands in totals of whole UTC days: `days` is a condition on those, `edges`
    one on the jobs of the rest, None where there is no rest. Both are on j."""

    days: str
    edges: str | None = None


@dataclass(frozen=True, slots=True)
class MovedHours:
    """SQL for a row j of daily_totals: how many of its jobs a time zone of whole hours puts on another day
    than UTC does, and on which; both None where it puts none."""

    jobs: str | None = None
    day: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Which jobs a view reads. `where` is a condition on video_jobs j; `day` and `hour` give a moment's.

    The view itself reads all, by UTC days. A report puts in its range, which an index answers, and its
    time zone. `whole`: all times. `kept`: totals by UTC days will do, and `which` is `where` without times.
    `moved` holds for the jobs that the time zone's clocks put on another day than UTC's; None: for none.
    `hours` says the same of totals; None where hours of the zone are not UTC's. `unowned`: no gateway's log
    was read, so no job has an owner or a cost that is settled.
    """

    where: str
    day: Callable[[str], str]
    hour: Callable[[str], str]
    whole: bool = False
    which: str = _ALL
    kept: CountedDays | None = None
    moved: str | None = None
    hours: MovedHours | None = MovedHours()
    unowned: bool = False

    @property
    def unbounded(self) -> bool:
        """It leaves no job out."""
        return self.where == _ALL

    def only(self, condition: str) -> Scope:
        """The part of it where this holds, too."""
        return replace(self, where=f"{self.where} AND {condition}")


@dataclass(frozen=True, slots=True)
class View:
    """A view: `sql(dialect, scope)` selects `columns`, in this order and by these names."""

    name: str
    comment: str
    columns: tuple[Column, ...]
    sql: Callable[[Dialect, Scope], str]


def scope_of_all_jobs(d: Dialect) -> Scope:
    """The scope of the views themselves."""
    return Scope(_ALL, d.day, d.hours, whole=True, kept=CountedDays(_ALL))
