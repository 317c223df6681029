"""remixed job: job_requests says which job a remix was made from"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import JobId

revision = "0022"
down_revision = "0021"

VIEWS = "bfe177656932ca34"
_TABLE, _COLUMN = "job_requests", "remixed_job_id"
_COMMENT = "The job that a remix was made from, as video_jobs names it."


def upgrade() -> None:
    if _COLUMN not in _columns():  # MariaDB keeps what a broken upgrade added
        op.add_column(_TABLE, sa.Column(_COLUMN, JobId, nullable=True, comment=_COMMENT))


def downgrade() -> None:
    if _COLUMN in _columns():
        op.drop_column(_TABLE, _COLUMN)


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(_TABLE)}
