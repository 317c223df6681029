"""views: MySQL takes them back from its own dump, and PostgreSQL 13 knows every function in them"""

from __future__ import annotations

revision = "0029"
down_revision = "0028"

VIEWS = "b922d53c681e6b1e"


def upgrade() -> None:
    """Nothing to alter: see 0002."""


def downgrade() -> None:
    """Nothing to alter: the views are dropped before every migration."""
