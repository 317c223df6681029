"""index order: indexes of columns that are nearly always null follow the list

MariaDB and MySQL have no partial indexes. Among equal keys InnoDB orders by the table's own key, and ids come
in random order: each new job changed a random page of either index.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"

VIEWS = "2cc59bb59cd79e88"
_INDEXES = {
    "ix_video_jobs_twins": ["twin_source_id", "source_id"],
    "ix_video_jobs_suspect_run_id": ["suspect_run_id"],
}


def upgrade() -> None:
    for name, columns in _INDEXES.items():
        _make(name, [*columns, "list_position"])


def downgrade() -> None:
    for name, columns in _INDEXES.items():
        _make(name, columns)


def _make(name: str, columns: list[str]) -> None:
    condition = sa.text(f"{columns[0]} IS NOT NULL")
    op.drop_index(name, "video_jobs", if_exists=True)
    op.create_index(
        name,
        "video_jobs",
        columns,
        if_not_exists=True,
        sqlite_where=condition,
        postgresql_where=condition,
    )
