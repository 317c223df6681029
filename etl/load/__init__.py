"""Rows into SQL: upsert with history, page log, run log, lease and sync state."""

from etl.load.awaited import (
    Candidate,
    jobs_to_reread,
    open_jobs,
    reread_candidates,
    unplaced_jobs,
    unplaced_open,
)
from etl.load.batch import KEEP, CommitBatch
from etl.load.gaps import Gap, OpenGap
from etl.load.job_requests import (
    LogBatch,
    known_requests,
    maker_of,
    newest_request,
    parents_of,
    read_log_state,
    waiting_jobs,
)
from etl.load.lease import Lease, worker_name
from etl.load.lookup import Known, count_between, count_listed, find_neighbour, listed_between, newest_known
from etl.load.placing import Lane
from etl.load.positions import TOP
from etl.load.runs import RunEnd
from etl.load.state import SyncState, Trouble, find_source, may_be_joined, register_source
from etl.load.store import Store
from etl.load.unlisting import Boundary, Scan, find_boundary

__all__ = [
    "KEEP",
    "TOP",
    "Boundary",
    "Candidate",
    "CommitBatch",
    "Gap",
    "Known",
    "Lane",
    "Lease",
    "LogBatch",
    "OpenGap",
    "RunEnd",
    "Scan",
    "Store",
    "SyncState",
    "Trouble",
    "count_between",
    "count_listed",
    "find_boundary",
    "find_neighbour",
    "find_source",
    "jobs_to_reread",
    "known_requests",
    "listed_between",
    "maker_of",
    "may_be_joined",
    "newest_known",
    "newest_request",
    "open_jobs",
    "parents_of",
    "read_log_state",
    "register_source",
    "reread_candidates",
    "unplaced_jobs",
    "unplaced_open",
    "waiting_jobs",
    "worker_name",
]
