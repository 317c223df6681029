"""The tables that hold jobs counted: kept with every commit, so that a history need not be read."""

from __future__ import annotations

import sqlalchemy as sa

from etl.schema.table_columns import _make_table, _some_columns, _source_column


def _digest_column() -> sa.Column[str]:
    return sa.Column("digest", sa.String(32), primary_key=True, comment="Digest of what was counted.")


def _jobs_column(comment: str) -> sa.Column[int]:
    return sa.Column("jobs", sa.BigInteger, nullable=False, comment=comment)


#: Of daily_totals: jobs by the UTC hour of their creation.
HOURS = tuple(f"hour_{hour:02}" for hour in range(24))
#: What of daily_totals adds up.
DAY_SUMS = ("jobs", "timed_jobs", "milliseconds", *HOURS)


def _sum_column(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, comment=comment)


daily_totals = _make_table(
    "daily_totals",
    _source_column(primary_key=True, checked=False),
    _digest_column(),
    sa.Column("day", sa.Date, comment="UTC day of creation, gateway's clock."),
    *_some_columns("provider", "model", "status"),
    sa.Column("outcome", sa.String(16), nullable=False, comment="What became of them: see job_facts."),
    *_some_columns("seconds", "size", "width", "height"),
    _jobs_column("Jobs that are so."),
    _sum_column("timed_jobs", "Of these completed, no sooner than created."),
    _sum_column("milliseconds", "Time that those took, from creation to completion."),
    *(_sum_column(name, f"Of the jobs, created in the UTC hour {name[-2:]}.") for name in HOURS),
    comment="Jobs counted by day and kind, kept with every commit. Ask daily_jobs, which checks them.",
)

duration_totals = _make_table(
    "duration_totals",
    _source_column(primary_key=True, checked=False),
    _digest_column(),
    *_some_columns("provider", "model"),
    sa.Column("milliseconds", sa.BigInteger, nullable=False, comment="completed_at - created_at."),
    _jobs_column("Completed jobs that took so long."),
    comment="Completed jobs counted by time taken, kept with every commit. Ask latency_percentiles.",
)

job_kinds = _make_table(
    "job_kinds",
    _source_column(primary_key=True, checked=False),
    _digest_column(),
    *_some_columns("provider", "model", "size", "width", "height"),
    _jobs_column("Jobs that are of this kind."),
    comment="What jobs are priced by, counted with every commit.",
)
