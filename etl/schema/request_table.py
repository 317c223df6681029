"""`job_requests`: who asked a gateway for which job, and what that cost, as the gateway's own log tells."""

from __future__ import annotations

import sqlalchemy as sa

from etl.db.types import BigKey, Double, JobId, Text, UtcDateTime
from etl.schema.table_columns import _make_table, _run_column, _source_column


def _owner_columns(kind: str, what: str) -> list[sa.Column[str]]:
    return [
        sa.Column(f"{kind}_id", Text, comment=f"Id of the {what}."),
        sa.Column(f"{kind}_name", Text, comment=f"Name of the {what}."),
    ]


job_requests = _make_table(
    "job_requests",
    _source_column(primary_key=True),
    sa.Column("request_id", JobId, primary_key=True, comment="Id of the row in the gateway's log."),
    sa.Column("job_id", JobId, comment="The job, as video_jobs names it; null when the log does not say."),
    sa.Column(
        "role",
        sa.String(8),
        comment="What it is to its job: made, settled or polled, one row each; null for all others.",
    ),
    sa.Column("request_type", sa.String(32), nullable=False, comment="video_generation, video_remix, …"),
    sa.Column(
        "requested_at", UtcDateTime, nullable=False, comment="Its time in the log, gateway's clock (UTC)."
    ),
    sa.Column(
        "first_seen_at", UtcDateTime, nullable=False, comment="When we first read it, our clock (UTC)."
    ),
    sa.Column("status", sa.String(16), nullable=False, comment="success, error or processing."),
    sa.Column("provider", Text, comment="Provider asked."),
    sa.Column("model", Text, comment="Model asked for."),
    *_owner_columns("virtual_key", "virtual key that asked"),
    *_owner_columns("team", "team it belongs to"),
    *_owner_columns("customer", "customer it belongs to"),
    *_owner_columns("user", "user who asked"),
    *_owner_columns("business_unit", "business unit it belongs to"),
    sa.Column("key_name", Text, comment="Name of the provider's key that the gateway took."),
    sa.Column(
        "parent_request_id", Text, comment="The request before it: a fallback's first, a settlement's maker."
    ),
    sa.Column("retries", sa.Integer, comment="Attempts of the gateway after the first."),
    sa.Column("fallback_index", sa.Integer, comment="0, or which of the fallbacks answered."),
    sa.Column("latency_ms", Double, comment="Milliseconds that the gateway took."),
    sa.Column("seconds", Double, comment="Length of the clip: asked for, or as settled."),
    sa.Column("size", Text, comment="Resolution: asked for, or as settled."),
    sa.Column("outputs", sa.Integer, comment="Videos made, as settled."),
    sa.Column("job_status", Text, comment="The job's status, as settled."),
    sa.Column("cost", sa.Numeric(14, 6), comment="Cost in USD, by the gateway's own price list."),
    sa.Column("error_code", Text, comment="Code or type of its error."),
    sa.Column("error_message", Text, comment="Message of its error; without prompts unless they are stored."),
    sa.Column(
        "reads_left",
        sa.Integer,
        nullable=False,
        server_default="0",
        comment="How often its job is still asked for by id until it counts as gone; 0 when it was read.",
    ),
    _run_column(),
    sa.Column(
        "request_seq",
        BigKey,
        nullable=False,
        server_default="0",
        comment="Order of change; grows within a source, and a row that is told anew moves to its end.",
    ),
    sa.Column("remixed_job_id", JobId, comment="The job that a remix was made from, as video_jobs names it."),
    sa.UniqueConstraint("source_id", "job_id", "role"),
    sa.Index("ix_job_requests_requested_at", "requested_at"),
    sa.Index("ix_job_requests_request_seq", "source_id", "request_seq", unique=True),
    sa.Index(
        "ix_job_requests_reads_left",
        "source_id",
        "reads_left",
        info={"where": dict.fromkeys(("sqlite", "postgresql"), "reads_left > 0")},
    ),
    comment="One row per gateway request that made, remixed or settled a job: who asked, what it cost.",
)
