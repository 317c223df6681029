"""views: families of remixes without joins of derived tables, which MariaDB makes row by row"""

from __future__ import annotations

revision = "0003"
down_revision = "0002"

VIEWS = "cb4cddd6c9f6c531"


def upgrade() -> None:
    """Nothing to alter: see 0002."""


def downgrade() -> None:
    """Nothing to alter: the views are dropped before every migration."""
