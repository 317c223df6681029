"""views: requests made again are sorted by what differs most"""

from __future__ import annotations

revision = "0006"
down_revision = "0005"

VIEWS = "09e47fea33d3e128"


def upgrade() -> None:
    """Nothing to alter: see 0002."""


def downgrade() -> None:
    """Nothing to alter: the views are dropped before every migration."""
