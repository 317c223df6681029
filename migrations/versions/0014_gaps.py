"""gaps: what was not read is told apart by its cause, asked for again, and accepted by people"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import JsonText, UtcDateTime

revision = "0014"
down_revision = "0013"

VIEWS = "61876789a8f60750"


def _columns() -> list[tuple[str, sa.Column[object]]]:
    kind = sa.Column(
        "kind", sa.String(length=16), server_default="window", nullable=False, comment="What caused it."
    )
    probed = "When the gateway was last asked for it, our clock (UTC)."
    accepted = "When somebody accepted it; null while it is open (UTC)."
    trouble = "Where the last runs failed, and how often; null when not."
    return [
        ("coverage_gaps", kind),
        ("coverage_gaps", sa.Column("probed_at", UtcDateTime(), nullable=True, comment=probed)),
        ("coverage_gaps", sa.Column("accepted_at", UtcDateTime(), nullable=True, comment=accepted)),
        ("sync_state", sa.Column("trouble", JsonText(), nullable=True, comment=trouble)),
    ]


def upgrade() -> None:
    """A gap of before is a window that moved on: whoever has read of it may accept it."""
    for table, column in _columns():
        if not _has(table, column.name):
            op.add_column(table, column)


def downgrade() -> None:
    for table, column in reversed(_columns()):
        if _has(table, column.name):
            op.drop_column(table, column.name)


def _has(table: str, name: str) -> bool:
    """MariaDB commits each statement: a second run after a crash finds some done."""
    return name in {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
