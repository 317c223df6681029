"""Is a source's upstream still there? What the mirror knows of it, before it is asked."""

from __future__ import annotations

from collections.abc import Iterator

from etl.analytics.retirement import retirement_evidence
from etl.analytics.status import SourceStatus
from etl.check.finding import Finding


def check_upstream(status: SourceStatus) -> Iterator[Finding]:
    """Nothing, unless the source is retired, or its upstream seems to be gone."""
    name = status.source
    if status.retired_at is not None:
        detail = (
            f"retired since {status.retired_at:%Y-%m-%d %H:%M} UTC, and not asked: {status.retired_reason}"
        )
        yield Finding("upstream", None, detail, f"to ask it again: bifrost-etl source revive {name}", name)
    elif evidence := retirement_evidence(status):
        hint = f"if it is gone for good: bifrost-etl source retire {name}"
        yield Finding("upstream", False, f"seems to be gone: {evidence}", hint, name)


def check_statuses(status: SourceStatus, rereads: int) -> Iterator[Finding]:
    """Nothing, unless a sync found out that jobs stand still in the list until they are read by id.
    `rereads`: so many are read by id in a run."""
    if status.moves_by_id:
        said = "a job moves in this list only when it is read by id"
        if rereads:
            detail = f"{said}: each sync reads up to {rereads} open ones so"
            yield Finding("statuses", True, detail, None, status.source)
        else:
            hint = "set rereads_per_run to about as many jobs as are open at a time"
            yield Finding("statuses", False, f"{said}, and rereads_per_run is 0", hint, status.source)
