"""alert comments: what the service tells of failing sources stands in this table, too"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import Text

revision = "0028"
down_revision = "0027"

VIEWS = "7d30da1fcf3792cd"
_COLUMNS: dict[str, sa.types.TypeEngine[str]] = {"threshold": sa.String(length=32), "subject": Text()}
_BEFORE = {
    "threshold": "Name of the setting: alerts.…",
    "subject": "The budget, model or currency that is over it.",
}
_AFTER = {
    "threshold": "Name of the setting below alerts:, or failed_runs.",
    "subject": "The budget, model, currency or source.",
}


def upgrade() -> None:
    _comment(_BEFORE, _AFTER)


def downgrade() -> None:
    _comment(_AFTER, _BEFORE)


def _comment(old: dict[str, str], new: dict[str, str]) -> None:
    if op.get_bind().dialect.name == "sqlite":
        return  # it keeps no comments
    for name, kind in _COLUMNS.items():
        op.alter_column(
            "alerts",
            name,
            existing_type=kind,
            existing_nullable=False,
            existing_comment=old[name],
            comment=new[name],
        )
