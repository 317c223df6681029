"""alerts: what people were told of spend, failures and durations, so that each is told once"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import Text, UtcDateTime

revision = "0020"
down_revision = "0019"

VIEWS = "687a1e7cd36cdd77"


def upgrade() -> None:
    op.create_table(
        "alerts",
        sa.Column("digest", sa.String(length=64), nullable=False, comment="Digest of threshold and subject."),
        sa.Column("threshold", sa.String(length=32), nullable=False, comment="Name of the setting: alerts.…"),
        sa.Column(
            "subject", Text(), nullable=False, comment="The budget, model or currency that is over it."
        ),
        sa.Column("value", sa.Double(), nullable=False, comment="What it was when it was told."),
        sa.Column("limit_value", sa.Double(), nullable=False, comment="The threshold then."),
        sa.Column("raised_at", UtcDateTime(), nullable=False, comment="When it was told, our clock (UTC)."),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_alerts")),
        comment="What is over a threshold and was told; a row goes when it is well again and that was told.",
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
    op.drop_table("alerts", if_exists=True)
