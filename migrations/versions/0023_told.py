"""told: alerts say whether their message has left, and who is about to send it"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import UtcDateTime

revision = "0023"
down_revision = "0022"

VIEWS = "bfe177656932ca34"
_TABLE = "alerts"
_COLUMNS = {
    "told_at": "When its message left (UTC); null before.",
    "claimed_at": "When a service began to tell of it or its end (UTC).",
}


def upgrade() -> None:
    """A row of before was told when it was raised, as far as anybody knows."""
    known = _columns()  # MariaDB keeps what a broken upgrade added
    for name, comment in _COLUMNS.items():
        if name not in known:
            op.add_column(_TABLE, sa.Column(name, UtcDateTime(), nullable=True, comment=comment))
    op.execute(sa.text("UPDATE alerts SET told_at = raised_at WHERE told_at IS NULL"))


def downgrade() -> None:
    for name in _COLUMNS:
        if name in _columns():
            op.drop_column(_TABLE, name)


def _columns() -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(_TABLE)}
