"""views: whole days of any range are read from totals; lengths of time are exact to the millisecond"""

from __future__ import annotations

revision = "0013"
down_revision = "0012"

VIEWS = "61876789a8f60750"


def upgrade() -> None:
    """Nothing to alter: see 0002."""


def downgrade() -> None:
    """Nothing to alter: the views are dropped before every migration."""
