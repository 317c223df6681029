"""The provider's own bytes, as Bifrost passes them through: native ids, fields of any kind, text/plain."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from harness.worlds.answers import Answer, Sent, error
from harness.worlds.world import Job

if TYPE_CHECKING:
    from harness.worlds.gateway import Gateway

PATH = "/openai_passthrough/v1/videos"


def answer(gateway: Gateway, sent: Sent) -> Answer:
    """Of a gateway that has one; what cannot be decoded by the gateway is shown here."""
    offers = gateway.character.passthrough
    if offers == "none" or (offers == "list_only" and sent.path != PATH):
        return error(404, "not found")
    if sent.path == PATH:
        return _list(gateway, sent)
    name = sent.path.removeprefix(f"{PATH}/")
    jobs = [job for job in gateway.listed(gateway.now) if job.name == name and job.odd is None]
    if not jobs:
        return error(404, "video not found")
    return _said(gateway, sent, jobs, None)


def _list(gateway: Gateway, sent: Sent) -> Answer:
    jobs = gateway.listed(gateway.now)
    if gateway.order_of(sent.query.get("order", "desc")) == "desc":
        jobs = jobs[::-1]
    names = [job.name for job in jobs]
    after = sent.query.get("after")
    if after is not None and after not in names:
        return error(404, "no such cursor")
    start = 0 if after is None else names.index(after) + 1
    limit = min(int(sent.query.get("limit") or 20), gateway.cap or 100)
    return _said(gateway, sent, jobs[start : start + limit], start + limit < len(jobs))


def _said(gateway: Gateway, sent: Sent, jobs: list[Job], more: bool | None) -> Answer:
    """`more`: None for a single job."""
    sent.items = [gateway.shown(job, gateway.now) for job in jobs]
    items = [_native(gateway, job) for job in jobs]
    body: Any = items[0] if more is None else {"object": "list", "data": items, "has_more": more}
    return Answer(200, json.dumps(body).encode(), "text/plain")


def _native(gateway: Gateway, job: Job) -> Any:
    item = gateway.shown(job, gateway.now)
    if job.odd is not None:
        return item
    number = {"seconds": 8} if gateway.is_poison(job, gateway.now) else {}
    return {**item, **number, "id": job.name}
