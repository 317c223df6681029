"""request order: job_requests is delivered in the order in which its rows changed"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import BigKey

revision = "0018"
down_revision = "0017"

VIEWS = "438e41064dda848f"
_TABLE, _COLUMN, _INDEX = "job_requests", "request_seq", "ix_job_requests_request_seq"
_COMMENT = "Order of change; grows within a source, and a row that is told anew moves to its end."
_NUMBERED = (
    "SELECT source_id, request_id, ROW_NUMBER() OVER"
    " (PARTITION BY source_id ORDER BY requested_at, request_id) AS place FROM job_requests"
)
_SAME = "numbered.source_id = job_requests.source_id AND numbered.request_id = job_requests.request_id"


def upgrade() -> None:
    there = sa.inspect(op.get_bind())  # MariaDB keeps what a broken upgrade added
    if _COLUMN not in {column["name"] for column in there.get_columns(_TABLE)}:
        op.add_column(
            _TABLE, sa.Column(_COLUMN, BigKey, nullable=False, server_default="0", comment=_COMMENT)
        )
    joined, from_ = f"JOIN ({_NUMBERED}) AS numbered ON {_SAME}", f"FROM ({_NUMBERED}) AS numbered"
    if op.get_bind().dialect.name in ("mysql", "mariadb"):
        op.execute(f"UPDATE job_requests {joined} SET request_seq = numbered.place")  # noqa: S608
    else:
        op.execute(f"UPDATE job_requests SET request_seq = numbered.place {from_} WHERE {_SAME}")  # noqa: S608
    if _INDEX not in {index["name"] for index in there.get_indexes(_TABLE)}:
        op.create_index(_INDEX, _TABLE, ["source_id", _COLUMN], unique=True)


def downgrade() -> None:
    there = sa.inspect(op.get_bind())
    if _INDEX in {index["name"] for index in there.get_indexes(_TABLE)}:
        op.drop_index(_INDEX, _TABLE)
    if _COLUMN in {column["name"] for column in there.get_columns(_TABLE)}:
        op.drop_column(_TABLE, _COLUMN)
