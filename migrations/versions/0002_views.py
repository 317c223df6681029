"""views

Views are created from today's code when the newest revision is reached: see etl/schema/views/create.py. A
change of theirs is a new revision, which does nothing but note their new digest.
"""

from __future__ import annotations

revision = "0002"
down_revision = "0001"

VIEWS = "59c15d091d3b0242"


def upgrade() -> None:
    """Nothing to alter."""


def downgrade() -> None:
    """Nothing to alter: the views are dropped before every migration."""
