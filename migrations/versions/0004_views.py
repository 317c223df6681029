"""views: a job's creation is compared with prices as it is stored, and whole seconds are counted faster"""

from __future__ import annotations

revision = "0004"
down_revision = "0003"

VIEWS = "1cb8e34e6ec21877"


def upgrade() -> None:
    """Nothing to alter: see 0002."""


def downgrade() -> None:
    """Nothing to alter: the views are dropped before every migration."""
