"""`alerts`: what people were told of and that is not well again, so that each is told once."""

from __future__ import annotations

import sqlalchemy as sa

from etl.db.types import Double, Text, UtcDateTime
from etl.schema.table_columns import _make_table

alerts = _make_table(
    "alerts",
    sa.Column("digest", sa.String(64), primary_key=True, comment="Digest of threshold and subject."),
    sa.Column(
        "threshold",
        sa.String(32),
        nullable=False,
        comment="Name of the setting below alerts:, or failed_runs.",
    ),
    sa.Column("subject", Text, nullable=False, comment="The budget, model, currency or source."),
    sa.Column("value", Double, nullable=False, comment="What it was when it was told."),
    sa.Column("limit_value", Double, nullable=False, comment="The threshold then."),
    sa.Column("raised_at", UtcDateTime, nullable=False, comment="When it was told, our clock (UTC)."),
    sa.Column("told_at", UtcDateTime, comment="When its message left (UTC); null before."),
    sa.Column("claimed_at", UtcDateTime, comment="When a service began to tell of it or its end (UTC)."),
    comment="What is over a threshold and was told; a row goes when it is well again and that was told.",
)
