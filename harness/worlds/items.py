"""What a page shows of a job: as the contract says, or odd."""

from __future__ import annotations

from harness.worlds.answers import Item
from harness.worlds.world import START, Job


def contract_item(job: Job, at: float, job_id: str, skew: int) -> Item:
    """The job at that time; `skew` is how far the gateway's clock is ahead, in seconds."""
    status, progress, since = _state(job, at)
    item: Item = {"id": job_id, "object": "video", "model": "sora-2", "status": status}
    item |= {"progress": progress, "prompt": f"take {job.name[-4:]}", "size": "1280x720", "seconds": "8"}
    created = START + int(job.born) + skew
    if job.dated:
        item["created_at"] = created
    if status == "completed":
        item |= {"completed_at": created + 1 + int(since - job.born)}
    if status == "failed":
        item["error"] = {"code": "moderation_blocked", "message": "blocked"}
    return item


def _state(job: Job, at: float) -> tuple[str, int, float]:
    """Status, progress, and since when."""
    current = job.steps[0]
    for step in job.steps:
        if step[0] <= at:
            current = step
    return current[1], current[2], current[0]


def odd_item(job: Job) -> Item:
    return {"null": None, "number": 7, "no_id": {"object": "video", "prompt": job.name}, "list": [job.name]}[
        str(job.odd)
    ]


def odd_id(job: Job) -> str:
    return f"{job.name} itself" if job.odd else job.name


def id_of_item(item: Item) -> str | None:
    return item.get("id") if isinstance(item, dict) else None
