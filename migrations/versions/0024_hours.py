"""hours: totals know the hour of creation and the time taken, so that reports by any zone come from them"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import Text

revision = "0024"
down_revision = "0023"

VIEWS = "bfe177656932ca34"
_HOURS = tuple(f"hour_{hour:02}" for hour in range(24))


def upgrade() -> None:
    """Made anew, with its columns in the order in which rows are written; every upgrade counts the jobs
    afterwards (migrations/env.py), and views of earlier programs count them while the totals are empty."""
    _create(
        _count("timed_jobs", "Of these completed, no sooner than created."),
        _count("milliseconds", "Time that those took, from creation to completion."),
        *(_count(name, f"Of the jobs, created in the UTC hour {name[-2:]}.") for name in _HOURS),
    )


def downgrade() -> None:
    _create()


def _count(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=False, comment=comment)


def _create(*more: sa.Column[int]) -> None:
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
        sa.Column("outcome", sa.String(16), nullable=False, comment="What became of them: see job_facts."),
        sa.Column("seconds", sa.Double(), nullable=True, comment="Length of the clip in seconds."),
        sa.Column("size", Text(), nullable=True, comment="Resolution as sent, for example 1280x720."),
        sa.Column("width", sa.Integer(), nullable=True, comment="Pixels across, read from size."),
        sa.Column("height", sa.Integer(), nullable=True, comment="Pixels down, read from size."),
        _count("jobs", "Jobs that are so."),
        *more,
        sa.PrimaryKeyConstraint("source_id", "digest", name=op.f("pk_daily_totals")),
        comment="Jobs counted by day and kind, kept with every commit. Ask daily_jobs, which checks them.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
    )
