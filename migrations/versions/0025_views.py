"""views: a refused input image is a failure of class invalid_input"""

from __future__ import annotations

revision = "0025"
down_revision = "0024"

VIEWS = "2cc59bb59cd79e88"


def upgrade() -> None:
    """Nothing to alter: see 0002."""


def downgrade() -> None:
    """Nothing to alter: the views are dropped before every migration."""
