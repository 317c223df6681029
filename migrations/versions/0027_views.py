"""views: a family of remixes that two sources saw in part each is one"""

from __future__ import annotations

revision = "0027"
down_revision = "0026"

VIEWS = "7d30da1fcf3792cd"


def upgrade() -> None:
    """Nothing to alter: see 0002."""


def downgrade() -> None:
    """Nothing to alter: the views are dropped before every migration."""
