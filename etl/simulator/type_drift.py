"""The fault `poison_type`: a provider that sends a field as another type, from some job on or for all.

Bifrost cannot read such a job, nor any page that holds it; its passthrough and its cousins show it.
kind: KINDS. Which jobs: id or index (that one), since (unix seconds: those made from then on); else all.
"""

import json
import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from etl.simulator.fault import Fault
from etl.simulator.job_lives import Job
from etl.simulator.wire import dump_json


def _iso_time(seconds: Any) -> str:
    return datetime.fromtimestamp(float(seconds or 0), UTC).isoformat().replace("+00:00", "Z")


def _drift_error(job: Job) -> Job:
    found = job.get("error")
    return found if isinstance(found, dict) else {}


def _completed_value(job: Job) -> Any:
    return job.get("completed_at") or job["created_at"]


KINDS: dict[str, Callable[[Job], Job]] = {
    "seconds_number": lambda job: {"seconds": float(job.get("seconds") or 8)},
    "id_number": lambda job: {"id": int(str(job["id"]).encode().hex()[-12:], 16)},
    "code_number": lambda job: {"error": {**_drift_error(job), "code": 400, "message": "blocked"}},
    "created_float": lambda job: {"created_at": float(job["created_at"]) + 0.25},
    "created_text": lambda job: {"created_at": _iso_time(job["created_at"])},
    "completed_float": lambda job: {"completed_at": float(_completed_value(job)) + 0.5},
    "completed_text": lambda job: {"completed_at": _iso_time(_completed_value(job))},
    "error_text": lambda job: {"error": "Your request was blocked by our moderation system."},
    "progress_text": lambda job: {"progress": str(job.get("progress") or 0)},
}


def drift_types(faults: Iterable[Fault], id: str, index: Callable[[int], str], body: bytes) -> bytes:
    """The job's JSON as the provider sends it while these faults are in force.

    id: the job's, as the world names it. index: the id of the job drawn at this place.
    """
    for fault in faults:
        if fault.name == "poison_type" and _concerns_item(fault, id, index, body):
            job = json.loads(body)
            body = dump_json({**job, **KINDS[fault.text("kind", "seconds_number")](job)}, escape=False)
    return body


def _concerns_item(fault: Fault, id: str, index: Callable[[int], str], body: bytes) -> bool:
    if "id" in fault.args or "index" in fault.args:
        return id == (fault.text("id") or index(int(fault.number("index"))))
    created = json.loads(body).get("created_at")
    since = fault.number("since", float("-inf"))
    return (
        isinstance(created, int | float) and created >= math.floor(since) if "since" in fault.args else True
    )
