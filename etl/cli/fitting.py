"""A table that fits the terminal: long texts are shortened, then whole columns left out.

Numbers and ids are never cut: half a number is another number, and half an id cannot be pasted.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

#: Left out first, in this order; then what stands farthest to the right, then the first column.
LEAST = (
    *("", "other_costs", "costs", "is_unlisted", "is_orphan", "is_cycle", "base_url", "vanished", "stopped"),
    *("unfinished", "uncosted_jobs", "p95", "fastest", "cost_state", "total_seconds", "is_stalled"),
    *("expected_at", "expected_seconds", "disabled_reason", "last_run_id", "last_run_kind"),
    *("last_run_started_at", "reconciled_at", "semantic_hits", "direct_hits", "input_tokens"),
    *("average_similarity", "completed", "seconds", "failed", "size", "created_at"),
    *("DRIFT", "OLDEST OPEN", "REJECTS", "NEWEST JOB"),
)
#: Beside an id these go next, so that what a list of jobs was asked for stays, such as their age.
LEAST_BESIDE_AN_ID = (
    *("prompt", "provider", "model", "completed_at", "expected", "is_late", "progress", "currency", "cost"),
    *("error_message", "error_code", "status", "source", "took"),
)
#: A text column may shrink to so many characters; what is shorter is shown whole.
SHORTEST = 24
_GAP = 2
_WHOLE = re.compile(r"(^|_)(id|key|hash|at)$", re.I)
_ID = re.compile(r"(^|_)job_id$", re.I)


@dataclass(frozen=True, slots=True)
class Fitted:
    """`columns` are the positions that are shown, `widths` how wide each may be; the rest is `left_out`."""

    columns: list[int]
    widths: list[int]
    left_out: list[str]

    @property
    def width(self) -> int:
        return _total_width(self.widths)

    def says_too_little(self, headings: Sequence[str]) -> bool:
        """Whether nothing but ids is left, or of a table without ids less than a third."""
        if _has_ids(headings):
            return bool(self.left_out) and not _telling(self.columns, headings)
        return len(self.left_out) > 2 * len(self.columns)


def fit_columns(
    headings: Sequence[str], cells: Sequence[Sequence[str]], right: Sequence[int], width: int
) -> Fitted:
    """`right` are the columns that hold numbers; `width` is the terminal's, in characters."""
    from rich.cells import cell_len

    full = [
        max(cell_len(heading), *(cell_len(row[n]) for row in cells)) for n, heading in enumerate(headings)
    ]
    least = [_least_width(heading, full[n], n in right) for n, heading in enumerate(headings)]
    shown = list(range(len(headings)))
    while _total_width(least[n] for n in shown) > width and (
        droppable := _droppable_columns(shown, headings)
    ):
        shown.remove(_first_to_go(droppable, headings))
    spare = width - _total_width(least[n] for n in shown)
    widths = []
    for n in shown:
        more = max(0, min(full[n] - least[n], spare))
        spare -= more
        widths.append(least[n] + more)
    left_out = [heading for n, heading in enumerate(headings) if n not in shown and heading]
    return Fitted(shown, widths, left_out)


def _least_width(heading: str, full: int, is_number: bool) -> int:
    return full if is_number or _WHOLE.search(heading) else min(full, max(SHORTEST, len(heading)))


def _total_width(widths: Iterable[int]) -> int:
    found = list(widths)
    return sum(found) + _GAP * (len(found) - 1)


def _droppable_columns(shown: Sequence[int], headings: Sequence[str]) -> list[int]:
    """Which columns may be left out: never the ids, and never the last one that there is."""
    return [] if len(shown) < 2 else [n for n in shown if not _ID.search(headings[n])]


def _has_ids(headings: Sequence[str]) -> bool:
    return any(_ID.search(heading) for heading in headings)


def _first_to_go(shown: Sequence[int], headings: Sequence[str]) -> int:
    """The first column names what a line is about, unless an id does: beside ids the last column that says
    something stays longer than the source."""
    by_id = _has_ids(headings)
    names = {headings[n].partition(" (")[0]: n for n in (shown if by_id else shown[1:])}
    telling = _telling(shown, headings)
    if by_id and len(telling) == 1 and "source" in names:
        return names["source"]
    for name in (*LEAST, *(LEAST_BESIDE_AN_ID if by_id else ())):
        if name in names:
            return names[name]
    return shown[-1]


def _telling(shown: Iterable[int], headings: Sequence[str]) -> list[int]:
    """What says something about a job, which its id and its source do not."""
    return [n for n in shown if headings[n] != "source" and not _ID.search(headings[n])]
