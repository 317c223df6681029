"""indexes: where a source's history, pages and lookups end, so that the feed asks each table itself"""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"

VIEWS = "09e47fea33d3e128"
INDEXES = {"video_job_versions": "change_seq", "list_pages": "id", "cache_lookups": "id"}


def upgrade() -> None:
    for table, key in INDEXES.items():
        op.create_index(_name(table), table, ["source_id", key], if_not_exists=True)


def downgrade() -> None:
    for table in INDEXES:
        if op.get_context().dialect.name in ("mysql", "mariadb") and table != "video_job_versions":
            # InnoDB wants one for the foreign key; its own went when a better one came.
            op.create_index(f"fk_{table}_source_id", table, ["source_id"], if_not_exists=True)
        op.drop_index(_name(table), table, if_exists=True)


def _name(table: str) -> str:
    return f"ix_{table}_source_id_{INDEXES[table]}"
