"""views: every column has a name, so that MySQL takes back its own dump of them"""

from __future__ import annotations

revision = "0029"
down_revision = "0028"

VIEWS = "c0e6178f5a285804"


def upgrade() -> None:
    """Nothing to alter: see 0002."""


def downgrade() -> None:
    """Nothing to alter: the views are dropped before every migration."""
