"""erasures: whose prompts were removed on request, so that no later write brings them back"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import BigKey, Text, UtcDateTime

revision = "0019"
down_revision = "0018"

VIEWS = "687a1e7cd36cdd77"
_ERASED = "When its prompt was erased on request, our clock (UTC)."
_HISTORY = "History: one row per change, append-only; only an erasure takes texts away."
_HISTORY_BEFORE = "History: one row per change, append-only, never rewritten."
_OPS = "insert, update, unlist, relist or erase."
_OPS_BEFORE = "insert, update, unlist or relist."


def upgrade() -> None:
    op.create_table(
        "erasures",
        sa.Column("id", BigKey, nullable=False, comment="Number of the erasure."),
        sa.Column(
            "source_id", sa.Integer(), nullable=False, comment="The source: one gateway, provider and key."
        ),
        sa.Column(
            "job_id", sa.String(length=512), nullable=False, comment="The job whose texts were removed."
        ),
        sa.Column("erased_at", UtcDateTime(), nullable=False, comment="When, our clock (UTC)."),
        sa.Column(
            "selected_by",
            sa.String(length=191),
            nullable=False,
            comment="Which options chose it; not their values.",
        ),
        sa.Column("reason", Text(), nullable=True, comment="Why, in the words of whoever asked for it."),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_erasures_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_erasures")),
        sa.UniqueConstraint("source_id", "job_id", name=op.f("uq_erasures_source_id_job_id")),
        comment="One row per job whose prompt was erased; its texts are dropped from all later writes.",
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
    op.create_index("ix_erasures_job_id", "erasures", ["job_id"], unique=False, if_not_exists=True)
    if "erased_at" not in _columns():
        op.add_column("video_jobs", sa.Column("erased_at", UtcDateTime(), nullable=True, comment=_ERASED))
    _describe(_HISTORY, _OPS)


def downgrade() -> None:
    _describe(_HISTORY_BEFORE, _OPS_BEFORE)
    if "erased_at" in _columns():
        op.drop_column("video_jobs", "erased_at")
    op.drop_table("erasures", if_exists=True)


def _describe(history: str, ops: str) -> None:
    """SQLite keeps no comments."""
    if op.get_bind().dialect.name == "sqlite":
        return
    op.create_table_comment("video_job_versions", history)
    kind = {"existing_type": sa.String(length=8), "existing_nullable": False}
    op.alter_column("video_job_versions", "op", comment=ops, **kind)


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("video_jobs")}
