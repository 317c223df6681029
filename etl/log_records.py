"""Rows of the gateway's request log, and what single answers tell of a job."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from types import MappingProxyType
from typing import Literal, NamedTuple


class JobDetails(NamedTuple):
    """What only a read by id tells of a job. None: the answer does not say.

    `cost` is in the provider's own unit, to six digits after the point."""

    cost: Decimal | None = None
    outputs: int | None = None
    variants: int | None = None
    filtered: int | None = None
    reasons: tuple[str, ...] = ()


class LogRow(NamedTuple):
    """One row of the gateway's log, about a request that made, remixed, settled or read a job.

    `at` is its time by the gateway's clock. `job_id` is as `video_jobs` has it, or None where the row does
    not name it, `remixed_job_id` the job that a remix was made from; `names_jobs` tells where this gateway
    names jobs: in the `row`, in its `detail`, only in those of `polls`, or nowhere (`hidden`). `owner` holds
    the ids and names of virtual key, team, customer, user and business unit, by column. `cost` is in USD.
    Milliseconds and seconds as their names say.
    """

    request_id: str
    at: datetime
    request_type: str
    status: str
    names_jobs: Literal["row", "detail", "polls", "hidden"]
    job_id: str | None = None
    remixed_job_id: str | None = None
    settles: bool = False
    provider: str | None = None
    model: str | None = None
    owner: Mapping[str, str | None] = MappingProxyType({})
    key_id: str | None = None
    key_name: str | None = None
    parent_request_id: str | None = None
    retries: int | None = None
    fallback_index: int | None = None
    latency_ms: float | None = None
    seconds: float | None = None
    size: str | None = None
    outputs: int | None = None
    job_status: str | None = None
    cost: Decimal | None = None
    error_code: str | None = None
    error_message: str | None = None

    @property
    def wanted(self) -> str | None:
        """The job to look for: its own, or else the one that it remixes."""
        return self.job_id or self.remixed_job_id

    @property
    def makes(self) -> bool:
        """It asked for a new job."""
        return self.request_type in MAKING and not self.settles

    @property
    def remakes(self) -> bool:
        """It asked for a job made from another."""
        return self.request_type in REMAKING and not self.settles


#: Whom the log may name as a request's owner, and the columns of their ids and names.
OWNERS = ("virtual_key", "team", "customer", "user", "business_unit")


OWNER_COLUMNS = tuple(f"{owner}_{part}" for owner in OWNERS for part in ("id", "name"))


#: What a request that makes a job of another is called in the log, and one that asks for a new job at all.
REMAKING = ("video_remix", "video_edit")
MAKING = ("video_generation", *REMAKING)
