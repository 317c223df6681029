"""What one transaction makes durable, and what a run knows of itself afterwards."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from etl.load.gaps import Gap, OpenGap
from etl.load.job_details import DetailsBatch
from etl.load.job_requests import LogBatch
from etl.load.placing import Lane
from etl.load.runs import RunEnd
from etl.load.state import SyncState, Trouble
from etl.load.unlisting import Scan
from etl.records import Counts, PageRows, Reject

#: A batch that says nothing of the checkpoint leaves it as it is.
KEEP: Any = object()


@dataclass(slots=True)
class CommitBatch:
    """What one transaction makes durable.

    `pages` are (lane, page) in the order they came. `distrusted` pages are logged, their jobs not believed.
    `glanced` pages were asked for beside a walk: what they show is stored, and no place follows from it.
    `by_id` are single jobs read by id, `gone` those answered 404, `reread` all that were asked for.
    `log` is what the gateway's log told, jobs that nobody knew among it; `details` what ended jobs told.
    `gaps` are stretches that nobody can read; `probed` the recorded ones that the gateway was asked for.
    `requests` and `retries` are the run's totals so far. `complete` says that everything listed is stored, or
    stands in a gap. `missing` are jobs that a window, which shows older ones, shows no longer. `trouble` is
    where and how the run failed, for the next one.
    """

    pages: list[tuple[str, PageRows]] = field(default_factory=list)
    distrusted: list[PageRows] = field(default_factory=list)
    glanced: list[PageRows] = field(default_factory=list)
    by_id: list[PageRows] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    reread: list[str] = field(default_factory=list)
    rejects: list[tuple[Reject, str | None, datetime]] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    probed: list[int] = field(default_factory=list)
    trouble: Trouble | None = None
    checkpoint: dict[str, Any] | None = KEEP
    requests: int = 0
    retries: int = 0
    complete: bool = False
    scan: Scan | None = None
    missing: list[str] = field(default_factory=list)
    log: LogBatch | None = None
    details: DetailsBatch | None = None
    end: RunEnd | None = None


@dataclass(slots=True)
class CommittedRun:
    """What a run knows of itself as of its last commit."""

    counts: Counts = field(default_factory=Counts)
    state: SyncState = field(default_factory=SyncState)
    lanes: dict[str, Lane] = field(default_factory=dict)
    run_id: int | None = None
    gaps: list[OpenGap] = field(default_factory=list)
    met: set[int] = field(default_factory=set)  # gaps that this run has met, or opened

    @property
    def open_gaps(self) -> list[OpenGap]:
        """What is not read, and nobody has accepted."""
        return [gap for gap in self.gaps if not gap.accepted]

    @property
    def lasting_gaps(self) -> frozenset[int]:
        """The open ones that no next run will read by going on where this one stopped."""
        return frozenset(gap.id for gap in self.open_gaps if gap.kind != "interrupted")

    def copy(self) -> CommittedRun:
        """One to change, until the transaction is durable."""
        lanes = {name: replace(lane) for name, lane in self.lanes.items()}
        own = {"counts": replace(self.counts), "state": replace(self.state), "met": set(self.met)}
        return replace(self, **own, lanes=lanes)  # type: ignore[arg-type]
