"""`job_details`: what only a read by id tells of a job that has ended, and which jobs are yet to be read."""

from __future__ import annotations

import sqlalchemy as sa

from etl.db.types import BigKey, JobId, Text, UtcDateTime
from etl.schema.table_columns import _make_table, _run_column, _source_column

job_details = _make_table(
    "job_details",
    _source_column(primary_key=True),
    sa.Column("job_id", JobId, primary_key=True, comment="The job, as video_jobs names it."),
    sa.Column(
        "queued_at", UtcDateTime, nullable=False, comment="When it was found to have ended, our clock (UTC)."
    ),
    sa.Column(
        "reads_left",
        sa.Integer,
        nullable=False,
        comment="In how many runs it is still asked for by id; 0 when it was read or given up.",
    ),
    sa.Column(
        "outcome", sa.String(16), comment="read, gone (404) or unreadable; null while it is waited for."
    ),
    sa.Column("read_at", UtcDateTime, comment="When it was last asked for, our clock (UTC)."),
    sa.Column(
        "reported_cost", sa.Numeric(14, 6), comment="Cost as the provider reports it, in the provider's unit."
    ),
    sa.Column("outputs", sa.Integer, comment="Videos in the answer."),
    sa.Column("variants", sa.Integer, comment="Variants asked for."),
    sa.Column("filtered_outputs", sa.Integer, comment="Videos that the content filter has kept back."),
    sa.Column("filter_reasons", Text, comment="Why, in the provider's words; several parted by a semicolon."),
    _run_column(),
    sa.Column(
        "detail_seq",
        BigKey,
        comment="Order in which answers came, within a source; null while one is waited for.",
    ),
    sa.Index("ix_job_details_detail_seq", "source_id", "detail_seq", unique=True),
    sa.Index(
        "ix_job_details_reads_left",
        "source_id",
        "reads_left",
        "queued_at",
        info={"where": dict.fromkeys(("sqlite", "postgresql"), "reads_left > 0")},
    ),
    comment="One row per ended job of a source with `details: true`: what only a read by id tells.",
)
