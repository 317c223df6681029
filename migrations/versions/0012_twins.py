"""twins: a job that two sources of one gateway have is counted once"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

VIEWS = "b89ed343a36da8b6"
_INDEX = "ix_video_jobs_twins"
#: A table that is changed cannot be asked in the same statement on MariaDB, but through one more SELECT.
_MARK = """
UPDATE video_jobs SET twin_source_id = :other
WHERE source_id = :source AND twin_source_id IS NULL AND job_id IN (
  SELECT job_id FROM (
    SELECT m.job_id FROM video_jobs m
    JOIN video_jobs o ON o.source_id = :other AND o.job_id = m.job_id AND o.twin_source_id IS NULL
    WHERE m.source_id = :source AND COALESCE(m.provider, '') = COALESCE(o.provider, '')
  ) doubled
)"""


def upgrade() -> None:
    """The totals are counted anew after every upgrade (migrations/env.py)."""
    if "twin_source_id" not in _columns():
        comment = "Source that counts this job; null: this one does."
        op.add_column("video_jobs", sa.Column("twin_source_id", sa.Integer(), nullable=True, comment=comment))
    condition = sa.text("twin_source_id IS NOT NULL")
    op.create_index(
        _INDEX,
        "video_jobs",
        ["twin_source_id", "source_id"],
        if_not_exists=True,
        sqlite_where=condition,
        postgresql_where=condition,
    )
    conn = op.get_bind()
    pairs = "SELECT a.id, b.id FROM sources a JOIN sources b ON b.base_url = a.base_url AND b.id < a.id"
    for source, other in conn.execute(sa.text(f"{pairs} ORDER BY 1, 2")).all():
        conn.execute(sa.text(_MARK), {"source": source, "other": other})


def downgrade() -> None:
    op.drop_index(_INDEX, "video_jobs", if_exists=True)
    if "twin_source_id" in _columns():
        op.drop_column("video_jobs", "twin_source_id")


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns("video_jobs")}
