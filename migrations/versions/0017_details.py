"""details: what only a read by id tells of a job that has ended"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import BigKey, Text, UtcDateTime

revision = "0017"
down_revision = "0016"

VIEWS = "438e41064dda848f"


def upgrade() -> None:
    op.create_table(
        "job_details",
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column(
            "job_id", sa.String(length=512), nullable=False, comment="The job, as video_jobs names it."
        ),
        sa.Column(
            "queued_at",
            UtcDateTime(),
            nullable=False,
            comment="When it was found to have ended, our clock (UTC).",
        ),
        sa.Column(
            "reads_left",
            sa.Integer(),
            nullable=False,
            comment="In how many runs it is still asked for by id; 0 when it was read or given up.",
        ),
        sa.Column(
            "outcome",
            sa.String(length=16),
            nullable=True,
            comment="read, gone (404) or unreadable; null while it is waited for.",
        ),
        sa.Column(
            "read_at", UtcDateTime(), nullable=True, comment="When it was last asked for, our clock (UTC)."
        ),
        sa.Column(
            "reported_cost",
            sa.Numeric(precision=14, scale=6),
            nullable=True,
            comment="Cost as the provider reports it, in the provider's unit.",
        ),
        sa.Column("outputs", sa.Integer(), nullable=True, comment="Videos in the answer."),
        sa.Column("variants", sa.Integer(), nullable=True, comment="Variants asked for."),
        sa.Column(
            "filtered_outputs",
            sa.Integer(),
            nullable=True,
            comment="Videos that the content filter has kept back.",
        ),
        sa.Column(
            "filter_reasons",
            Text(),
            nullable=True,
            comment="Why, in the provider's words; several parted by a semicolon.",
        ),
        sa.Column("run_id", BigKey, nullable=False, comment="The run that wrote this row."),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_job_details_source_id")),
        sa.PrimaryKeyConstraint("source_id", "job_id", name=op.f("pk_job_details")),
        comment="One row per ended job of a source with `details: true`: what only a read by id tells.",
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
        "ix_job_details_reads_left",
        "job_details",
        ["source_id", "reads_left", "queued_at"],
        unique=False,
        if_not_exists=True,
        sqlite_where=waiting,
        postgresql_where=waiting,
    )


def downgrade() -> None:
    op.drop_table("job_details", if_exists=True)
