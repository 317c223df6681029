"""How runs ended: a line per source, or the JSON document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from etl.cli import feed
from etl.cli.errors import Redact, error_document, exit_code, print_error
from etl.cli.output import BAD, DIM, GOOD, WARN, print_line, say_json, show_instant, show_span
from etl.errors import SourceRetired
from etl.records import RunResult
from etl.words import count_noun

if TYPE_CHECKING:
    from etl.feed.delivery import FeedResult

_MARKS = {
    "ok": ("✓", GOOD),
    "blind": ("!", WARN),
    "failed": ("✗", BAD),
    "interrupted": ("–", WARN),
    "skipped": ("–", DIM),
}


def show_results(
    results: Sequence[RunResult], redact: Redact, *, as_json: bool, delivered: Sequence[FeedResult] = ()
) -> int:
    """Print every result and return the exit code."""
    if as_json:
        fed = (
            {"destinations": [feed.delivery_document(result, redact) for result in delivered]}
            if delivered
            else {}
        )
        say_json({"sources": [result_document(result, redact) for result in results], **fed})
    else:
        for result in results:
            _show_one(result, redact)
        for delivery in delivered:
            feed.show_one(delivery, redact)
    return exit_code([*results, *delivered])


def result_document(result: RunResult, redact: Redact) -> dict[str, Any]:
    """The stable JSON form of a result; counts are named as the columns of `sync_runs`."""
    return {
        "source": result.source,
        "kind": result.kind,
        "status": result.status,
        "run_id": result.run_id,
        "started_at": show_instant(result.started_at),
        "finished_at": show_instant(result.finished_at),
        **asdict(result.counts),
        "gaps": result.gaps,
        "gaps_opened": result.gaps_opened,
        "gaps_closed": result.gaps_closed,
        "error": error_document(result.error, redact),
    }


def _show_one(result: RunResult, redact: Redact) -> None:
    mark, style = _MARKS["blind" if result.blind else result.status]
    print_line(f"{mark} {result.source}: {summarise_result(result)}", style)
    if result.gaps:
        print_line("  what is listed there is not stored: `bifrost-etl gaps` says where and why", WARN)
    if result.error is not None and result.status == "failed":
        print_error(result.source, result.error, redact)


def summarise_result(result: RunResult) -> str:
    """What a run did, in one line."""
    if result.status == "skipped":
        is_retired = isinstance(result.error, SourceRetired)
        return str(result.error) if is_retired else "skipped: another process is working on it"
    counts = result.counts
    parts = [
        f"{counts.jobs_inserted:,} new",
        f"{counts.jobs_updated:,} updated",
        f"{counts.jobs_unchanged:,} unchanged",
        f"{counts.jobs_rejected:,} rejected",
        *([f"{counts.jobs_unlisted:,} unlisted"] if counts.jobs_unlisted else []),
        *([f"{count_noun(result.gaps, 'coverage gap')} OPEN"] if result.gaps else []),
        count_noun(counts.requests, "request"),
        *([f"{counts.retries:,} retried"] if counts.retries else []),
    ]
    how = "" if result.status == "ok" else f"{result.status}, "
    return f"{how}{result.kind}, {', '.join(parts)} in {_time_taken(result)}"


def _time_taken(result: RunResult) -> str:
    length = result.finished_at - result.started_at
    seconds = length.total_seconds()
    return f"{seconds:.1f}s" if seconds < 60 else show_span(length)
