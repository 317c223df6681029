"""accounts: which of the provider's keys answered, and what was found out about how a source lists"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import JsonText, Text

revision = "0016"
down_revision = "0015"

VIEWS = "6d53c3e05ebae33d"
_COLUMNS = (
    ("list_pages", "account", Text(), "Key of the gateway that answered; null where it does not say."),
    ("sync_state", "learned", JsonText(), "What was found out about how the list behaves, as JSON."),
)


def upgrade() -> None:
    for table, name, kind, comment in _COLUMNS:
        if name not in _there(table):  # MariaDB keeps what a broken upgrade added
            op.add_column(table, sa.Column(name, kind, nullable=True, comment=comment))


def downgrade() -> None:
    for table, name, _, _ in _COLUMNS:
        if name in _there(table):
            op.drop_column(table, name)


def _there(table: str) -> set[str]:
    return {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
