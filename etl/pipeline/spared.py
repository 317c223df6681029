"""What a scan has itself shown is not missing, wherever it is stored, nor is what stands in a stretch that
nobody could read.

A list whose ties moved, or that lied, has left jobs at places that contradict it: where one lane has shown
them, another one, or the same one begun anew, finds them unseen in the stretch that it passes.
"""

from __future__ import annotations

from etl.errors import SuspiciousScan
from etl.load import OpenGap, ties, unlisting
from etl.pipeline.run import Run
from etl.words import count_noun

#: Jobs that are looked up at once.
_CHUNK = 50_000
#: So many jobs may be shown and yet stored as older than the oldest one listed.
MOST = 1_000


def trust_what_was_shown(run: Run) -> None:
    """Suspects that were shown are suspects no more."""
    store, last = run.store, ""
    run_id = store.committed.run_id or 0
    while ids := _suspects(run, run_id, last):
        store.suspect(sorted(_shown(run, ids)), again=False)
        last = ids[-1]


def _suspects(run: Run, run_id: int, last: str) -> list[str]:
    store = run.store
    return store.read(lambda conn: unlisting.suspects_behind(conn, store.source_id, run_id, last, _CHUNK))


def leave_gaps_out(run: Run) -> None:
    """Suspects as old as what nobody could read stand in there, perhaps: nothing is said of them."""
    now = run.store.committed
    for gap in [gap for gap in now.gaps if gap.kind == "unreadable" and gap.id in now.met]:
        run.store.suspect(_as_old_as(run, gap), again=False)


def _as_old_as(run: Run, gap: OpenGap) -> list[str]:
    store, run_id = run.store, run.store.committed.run_id or 0
    return store.read(lambda conn: ties.suspects_between(conn, store.source_id, run_id, gap.low, gap.high))


def shown_below(run: Run, place: int | None) -> frozenset[str]:
    """Jobs that were shown and stand below `place`, where all else has aged out. Raises SuspiciousScan."""
    shown: set[str] = set()
    while place is not None and (below := _below(run, place)):
        shown |= _shown(run, [job_id for job_id, _ in below])
        place = below[-1][1]
        if len(shown) > MOST:
            raise SuspiciousScan(
                f"over {count_noun(MOST, 'job')} that the list shows are stored as older than its oldest one",
                hint="nothing was marked; try again later",
            )
    return frozenset(shown)


def _below(run: Run, place: int) -> list[tuple[str, int]]:
    store = run.store
    return store.read(lambda conn: unlisting.listed_below(conn, store.source_id, place, _CHUNK))


def _shown(run: Run, ids: list[str]) -> set[str]:
    return set() if run.sights is None else run.sights.among(ids)
