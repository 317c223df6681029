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
