"""totals: jobs counted by day, and by the time they took, so that views need not read a whole history"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import Text

revision = "0005"
down_revision = "0004"

VIEWS = "235d01dfa22a7c9b"


def upgrade() -> None:
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
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )
    op.create_table(
        "duration_totals",
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column("digest", sa.String(length=32), nullable=False, comment="Digest of what was counted."),
        sa.Column("provider", Text(), nullable=True, comment="Provider that made the video."),
        sa.Column("model", Text(), nullable=True, comment="Model as the gateway names it."),
        sa.Column("milliseconds", sa.BigInteger(), nullable=False, comment="completed_at - created_at."),
        sa.Column("jobs", sa.BigInteger(), nullable=False, comment="Completed jobs that took so long."),
        sa.PrimaryKeyConstraint("source_id", "digest", name=op.f("pk_duration_totals")),
        comment="Completed jobs counted by time taken, kept with every commit. Ask latency_percentiles.",
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


def downgrade() -> None:
    op.drop_table("duration_totals", if_exists=True)
    op.drop_table("daily_totals", if_exists=True)
