"""text on PostgreSQL: between the first revision and this one, new databases were made with varchar"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

VIEWS = "09e47fea33d3e128"

_TABLES = (
    *("cache_lookups", "coverage_gaps", "daily_totals", "duration_totals", "leases", "list_pages"),
    *("rejected_items", "sources", "sync_runs", "sync_state", "video_job_versions", "video_jobs"),
)


def upgrade() -> None:
    """The two are stored alike: nothing is rewritten, only noted anew."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    asked = sa.text(
        "SELECT table_name, column_name FROM information_schema.columns "
        "WHERE table_schema = current_schema() AND table_name = ANY(:names) "
        "AND data_type = 'character varying' AND character_maximum_length IS NULL"
    )
    for table, column in connection.execute(asked, {"names": list(_TABLES)}).all():
        op.alter_column(table, column, type_=sa.TEXT())


def downgrade() -> None:
    """Nothing to alter: earlier revisions had either."""
