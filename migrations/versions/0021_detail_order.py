"""detail order: job_details is delivered in the order in which answers came"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import BigKey

revision = "0021"
down_revision = "0020"

VIEWS = "687a1e7cd36cdd77"
_TABLE, _COLUMN, _INDEX = "job_details", "detail_seq", "ix_job_details_detail_seq"
_COMMENT = "Order in which answers came, within a source; null while one is waited for."
_NUMBERED = (
    "SELECT source_id, job_id, ROW_NUMBER() OVER (PARTITION BY source_id ORDER BY read_at, job_id) AS place"
    " FROM job_details WHERE outcome IS NOT NULL"
)
_SAME = "numbered.source_id = job_details.source_id AND numbered.job_id = job_details.job_id"


def upgrade() -> None:
    there = sa.inspect(op.get_bind())  # MariaDB keeps what a broken upgrade added
    if _COLUMN not in {column["name"] for column in there.get_columns(_TABLE)}:
        op.add_column(_TABLE, sa.Column(_COLUMN, BigKey, nullable=True, comment=_COMMENT))
    joined, from_ = f"JOIN ({_NUMBERED}) AS numbered ON {_SAME}", f"FROM ({_NUMBERED}) AS numbered"
    if op.get_bind().dialect.name in ("mysql", "mariadb"):
        op.execute(f"UPDATE job_details {joined} SET detail_seq = numbered.place")  # noqa: S608
    else:
        op.execute(f"UPDATE job_details SET detail_seq = numbered.place {from_} WHERE {_SAME}")  # noqa: S608
    if _INDEX not in {index["name"] for index in there.get_indexes(_TABLE)}:
        op.create_index(_INDEX, _TABLE, ["source_id", _COLUMN], unique=True)


def downgrade() -> None:
    there = sa.inspect(op.get_bind())
    if _INDEX in {index["name"] for index in there.get_indexes(_TABLE)}:
        op.drop_index(_INDEX, _TABLE)
    if _COLUMN in {column["name"] for column in there.get_columns(_TABLE)}:
        op.drop_column(_TABLE, _COLUMN)
