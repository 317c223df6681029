"""requests: who asked for a job and what it cost, from the gateway's log; sources that are archives"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import BigKey, JsonText, Text, UtcDateTime

revision = "0015"
down_revision = "0014"

VIEWS = "6d53c3e05ebae33d"
_STATE = (
    ("retired_at", UtcDateTime(), "Since when it is an archive, our clock (UTC)."),
    ("retired_reason", Text(), "The evidence that its upstream is gone, or who said so."),
    ("log_until", UtcDateTime(), "The gateway's log is read so far, gateway's clock (UTC)."),
    ("log_polls", JsonText(), "Rows of it that were looked at and are not kept, by id."),
)


def upgrade() -> None:
    op.create_table(
        "job_requests",
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column(
            "request_id", sa.String(length=512), nullable=False, comment="Id of the row in the gateway's log."
        ),
        sa.Column(
            "job_id",
            sa.String(length=512),
            nullable=True,
            comment="The job, as video_jobs names it; null when the log does not say.",
        ),
        sa.Column(
            "role",
            sa.String(length=8),
            nullable=True,
            comment="What it is to its job: made, settled or polled, one row each; null for all others.",
        ),
        sa.Column(
            "request_type", sa.String(length=32), nullable=False, comment="video_generation, video_remix, …"
        ),
        sa.Column(
            "requested_at",
            UtcDateTime(),
            nullable=False,
            comment="Its time in the log, gateway's clock (UTC).",
        ),
        sa.Column(
            "first_seen_at", UtcDateTime(), nullable=False, comment="When we first read it, our clock (UTC)."
        ),
        sa.Column("status", sa.String(length=16), nullable=False, comment="success, error or processing."),
        sa.Column("provider", Text(), nullable=True, comment="Provider asked."),
        sa.Column("model", Text(), nullable=True, comment="Model asked for."),
        sa.Column("virtual_key_id", Text(), nullable=True, comment="Id of the virtual key that asked."),
        sa.Column("virtual_key_name", Text(), nullable=True, comment="Name of the virtual key that asked."),
        sa.Column("team_id", Text(), nullable=True, comment="Id of the team it belongs to."),
        sa.Column("team_name", Text(), nullable=True, comment="Name of the team it belongs to."),
        sa.Column("customer_id", Text(), nullable=True, comment="Id of the customer it belongs to."),
        sa.Column("customer_name", Text(), nullable=True, comment="Name of the customer it belongs to."),
        sa.Column("user_id", Text(), nullable=True, comment="Id of the user who asked."),
        sa.Column("user_name", Text(), nullable=True, comment="Name of the user who asked."),
        sa.Column(
            "business_unit_id", Text(), nullable=True, comment="Id of the business unit it belongs to."
        ),
        sa.Column(
            "business_unit_name", Text(), nullable=True, comment="Name of the business unit it belongs to."
        ),
        sa.Column(
            "key_name", Text(), nullable=True, comment="Name of the provider's key that the gateway took."
        ),
        sa.Column(
            "parent_request_id",
            Text(),
            nullable=True,
            comment="The request before it: a fallback's first, a settlement's maker.",
        ),
        sa.Column("retries", sa.Integer(), nullable=True, comment="Attempts of the gateway after the first."),
        sa.Column(
            "fallback_index", sa.Integer(), nullable=True, comment="0, or which of the fallbacks answered."
        ),
        sa.Column("latency_ms", sa.Double(), nullable=True, comment="Milliseconds that the gateway took."),
        sa.Column(
            "seconds", sa.Double(), nullable=True, comment="Length of the clip: asked for, or as settled."
        ),
        sa.Column("size", Text(), nullable=True, comment="Resolution: asked for, or as settled."),
        sa.Column("outputs", sa.Integer(), nullable=True, comment="Videos made, as settled."),
        sa.Column("job_status", Text(), nullable=True, comment="The job's status, as settled."),
        sa.Column(
            "cost",
            sa.Numeric(precision=14, scale=6),
            nullable=True,
            comment="Cost in USD, by the gateway's own price list.",
        ),
        sa.Column("error_code", Text(), nullable=True, comment="Code or type of its error."),
        sa.Column(
            "error_message",
            Text(),
            nullable=True,
            comment="Message of its error; without prompts unless they are stored.",
        ),
        sa.Column(
            "reads_left",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="How often its job is still asked for by id until it counts as gone; 0 when it was read.",
        ),
        sa.Column("run_id", BigKey, nullable=False, comment="The run that wrote this row."),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_job_requests_source_id")),
        sa.PrimaryKeyConstraint("source_id", "request_id", name=op.f("pk_job_requests")),
        sa.UniqueConstraint(
            "source_id", "job_id", "role", name=op.f("uq_job_requests_source_id_job_id_role")
        ),
        comment="One row per gateway request that made, remixed or settled a job: who asked, what it cost.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )
    waiting = sa.text("reads_left > 0")
    op.create_index(
        "ix_job_requests_reads_left",
        "job_requests",
        ["source_id", "reads_left"],
        unique=False,
        if_not_exists=True,
        sqlite_where=waiting,
        postgresql_where=waiting,
    )
    op.create_index(
        "ix_job_requests_requested_at", "job_requests", ["requested_at"], unique=False, if_not_exists=True
    )
    there = _columns()
    for name, kind, comment in _STATE:
        if name not in there:  # MariaDB keeps what a broken upgrade added
            op.add_column("sync_state", sa.Column(name, kind, nullable=True, comment=comment))


def downgrade() -> None:
    there = _columns()
    for name, _, _ in _STATE:
        if name in there:
            op.drop_column("sync_state", name)
    op.drop_table("job_requests", if_exists=True)


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("sync_state")}
