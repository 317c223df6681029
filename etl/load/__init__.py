"""Rows into SQL: upsert with history, page log, run log, lease and sync state."""

from etl.load.batch import Batch
from etl.load.gaps import Gap, OpenGap
from etl.load.job_requests import LogBatch, known_requests, maker_of, read_log_state, waiting_jobs
from etl.load.lease import Lease, worker_name
from etl.load.lookup import (
    Known,
    count_between,
    count_listed,
    long_open,
    neighbour,
    newest_known,
    open_jobs,
    rereadable,
    unplaced_jobs,
    unplaced_open,
)
from etl.load.placing import Lane
from etl.load.positions import TOP
from etl.load.runs import RunEnd
from etl.load.state import State, Trouble, may_be_joined, register, registered
from etl.load.store import Store
from etl.load.unlisting import Boundary, Scan, boundary

__all__ = [
    "TOP",
    "Batch",
    "Boundary",
    "Gap",
    "Known",
    "Lane",
    "Lease",
    "LogBatch",
    "OpenGap",
    "RunEnd",
    "Scan",
    "State",
    "Store",
    "Trouble",
    "boundary",
    "count_between",
    "count_listed",
    "known_requests",
    "long_open",
    "maker_of",
    "may_be_joined",
    "neighbour",
    "newest_known",
    "open_jobs",
    "read_log_state",
    "register",
    "registered",
    "rereadable",
    "unplaced_jobs",
    "unplaced_open",
    "waiting_jobs",
    "worker_name",
]
