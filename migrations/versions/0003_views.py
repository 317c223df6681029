"""views: families of remixes in an order that MariaDB keeps: it joined every job with every member"""

from __future__ import annotations

revision = "0003"
down_revision = "0002"

VIEWS = "cffde3800f0e3257"


def upgrade() -> None:
    """Nothing to alter: see 0002."""


def downgrade() -> None:
    """Nothing to alter: the views are dropped before every migration."""
