"""`erasures`: whose prompts were removed on request; later writes obey it."""

from __future__ import annotations

import sqlalchemy as sa

from etl.db.types import JobId, Text, UtcDateTime
from etl.schema.table_columns import _key_column, _make_table, _source_column

erasures = _make_table(
    "erasures",
    _key_column("Number of the erasure."),
    _source_column(),
    sa.Column("job_id", JobId, nullable=False, comment="The job whose texts were removed."),
    sa.Column("erased_at", UtcDateTime, nullable=False, comment="When, our clock (UTC)."),
    sa.Column(
        "selected_by", sa.String(191), nullable=False, comment="Which options chose it; not their values."
    ),
    sa.Column("reason", Text, comment="Why, in the words of whoever asked for it."),
    sa.UniqueConstraint("source_id", "job_id"),
    sa.Index("ix_erasures_job_id", "job_id"),
    comment="One row per job whose prompt was erased; its texts are dropped from all later writes.",
)
