"""outcomes: totals tell what became of jobs: what was stopped or vanished is not unfinished"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import Text

revision = "0009"
down_revision = "0008"

VIEWS = "539e5c8dfa986193"
_OUTCOME = sa.Column(
    "outcome", sa.String(length=16), nullable=False, comment="What became of them: see job_facts."
)


def upgrade() -> None:
    _create(_OUTCOME)


def downgrade() -> None:
    _create()


def _create(*outcome: sa.Column[str]) -> None:
    """Made anew, with its columns in the order in which rows are written; every upgrade counts the jobs
    afterwards (migrations/env.py), and views of earlier programs count them while the totals are empty."""
    op.drop_table("daily_totals", if_exists=True)
    op.create_table(
        "daily_totals",
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column("digest", sa.String(length=32), nullable=False, comment="Digest of what was counted."),
        sa.Column("day", sa.Date(), nullable=True, comment="UTC day of creation, gateway's clock."),
        sa.Column("provider", Text(), nullable=True, comment="Provider that made the video."),
        sa.Column("model", Text(), nullable=True, comment="Model as the gateway names it."),
        sa.Column("status", Text(), nullable=False, comment="Status: as reported, or derived when not sent."),
        *(column._copy() for column in outcome),
        sa.Column("seconds", sa.Double(), nullable=True, comment="Length of the clip in seconds."),
        sa.Column("size", Text(), nullable=True, comment="Resolution as sent, for example 1280x720."),
        sa.Column("width", sa.Integer(), nullable=True, comment="Pixels across, read from size."),
        sa.Column("height", sa.Integer(), nullable=True, comment="Pixels down, read from size."),
        sa.Column("jobs", sa.BigInteger(), nullable=False, comment="Jobs that are so."),
        sa.PrimaryKeyConstraint("source_id", "digest", name=op.f("pk_daily_totals")),
        comment="Jobs counted by day and kind, kept with every commit. Ask daily_jobs, which checks them.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
    )
