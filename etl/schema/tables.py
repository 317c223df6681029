"""The tables, as declared. Alembic's migrations must produce exactly this (tests compare them).

Two clocks, never mixed in one column: `created_at`, `completed_at`, `expires_at` are the gateway's;
every other instant is ours, the moment the page that showed it was received. All are UTC.
"""

from __future__ import annotations

import sqlalchemy as sa

from etl.db.types import BigKey, Bytes, JobId, JsonText, Text, UtcDateTime
from etl.schema.alert_table import alerts
from etl.schema.details_table import job_details
from etl.schema.erasure_table import erasures
from etl.schema.page_tables import cache_lookups, list_pages
from etl.schema.request_table import job_requests
from etl.schema.table_columns import (
    _count_column,
    _flag_column,
    _key_column,
    _make_table,
    _observed_columns,
    _run_column,
    _source_column,
    _tracked_columns,
    complete_tables,
    metadata,
)
from etl.schema.totals_tables import daily_totals, duration_totals, job_kinds

__all__ = [
    "alerts",
    "cache_lookups",
    "complete_tables",
    "daily_totals",
    "duration_totals",
    "erasures",
    "job_details",
    "job_kinds",
    "job_requests",
    "list_pages",
    "metadata",
]

# A partial index names its condition in `info`, and the table of versions how SQLite numbers it: as
# `postgresql_where` and the like they would cost every command the import of that dialect, 0.05 s. The
# migrations say it as Alembic wants it.

sources = _make_table(
    "sources",
    sa.Column("id", sa.Integer, primary_key=True, comment="Key of the source."),
    sa.Column("name", sa.String(191), nullable=False, unique=True, comment="Name in the configuration."),
    sa.Column("base_url", Text, nullable=False, comment="The gateway's address."),
    sa.Column("provider", Text, comment="Provider asked for; null for a plain OpenAI endpoint."),
    sa.Column("key_name", Text, comment="Name of the pinned gateway key."),
    sa.Column("created_at", UtcDateTime, nullable=False, comment="First use, our clock (UTC)."),
    comment="One gateway, provider and key each.",
)

sync_runs = _make_table(
    "sync_runs",
    _key_column("The run's number; grows with time."),
    _source_column(),
    sa.Column("kind", sa.String(16), nullable=False, comment="incremental, first or reconcile."),
    sa.Column("status", sa.String(16), nullable=False, comment="running, ok, failed or interrupted."),
    sa.Column("started_at", UtcDateTime, nullable=False, comment="Start, our clock (UTC)."),
    sa.Column("finished_at", UtcDateTime, comment="End, our clock (UTC); null while running."),
    _count_column("pages", "Pages received."),
    _count_column("requests", "HTTP requests sent, retries included."),
    _count_column("retries", "Requests repeated after a retriable failure."),
    _count_column("jobs_seen", "Items on believed pages: inserted + updated + unchanged + rejected."),
    _count_column("jobs_inserted", "Jobs not known before."),
    _count_column("jobs_updated", "Known jobs that had changed."),
    _count_column("jobs_unchanged", "Known jobs as they were."),
    _count_column("jobs_rejected", "Items written to rejected_items."),
    _count_column("jobs_unlisted", "Jobs found to be no longer listed."),
    sa.Column("error_class", Text, comment="Name of the error that ended the run."),
    sa.Column("error_message", Text, comment="Its message, without secrets."),
    sa.Column("worker", Text, comment="Host and process that ran it."),
    sa.Column("lease_token", sa.BigInteger, comment="Fencing token it wrote under."),
    sa.Index("ix_sync_runs_source_id_id", "source_id", "id"),
    comment="One row per run: what it did and how it ended.",
)


video_jobs = _make_table(
    "video_jobs",
    _source_column(primary_key=True, checked=False),
    sa.Column("job_id", JobId, primary_key=True, comment="The job's id as listed, suffix included."),
    *_tracked_columns(),
    _flag_column("settled", "True when it cannot change again."),
    sa.Column("content_hash", sa.String(32), nullable=False, comment="Digest of all but progress."),
    sa.Column("version", sa.Integer, nullable=False, comment="Number of its newest version, from 1."),
    sa.Column(
        "first_seen_at", UtcDateTime, nullable=False, comment="First page that showed it, our clock (UTC)."
    ),
    sa.Column("last_changed_at", UtcDateTime, nullable=False, comment="Newest version's valid_from (UTC)."),
    sa.Column("unlisted_at", UtcDateTime, comment="When it was found no longer listed, our clock (UTC)."),
    sa.Column("unlisted_reason", Text, comment="aged_out, missing, not_found or unknown."),
    sa.Column(
        "list_position",
        sa.BigInteger,
        nullable=False,
        comment="Place in the gateway's creation order; only comparisons mean anything.",
    ),
    sa.Column("first_run_id", BigKey, nullable=False, comment="The run that first saw it."),
    sa.Column("reread_at", UtcDateTime, comment="Last time it was read by id, our clock (UTC)."),
    sa.Column(
        "suspect_run_id",
        BigKey,
        comment="Reconcile that did not find it; evidence only once that run is complete.",
    ),
    *_observed_columns(),
    sa.Column("twin_source_id", sa.Integer, comment="Source that counts this job; null: this one does."),
    sa.Column("erased_at", UtcDateTime, comment="When its prompt was erased on request, our clock (UTC)."),
    sa.Index("ix_video_jobs_list_position", "source_id", "list_position"),
    sa.Index("ix_video_jobs_created_at", "created_at"),
    sa.Index(
        "ix_video_jobs_open",
        "source_id",
        "settled",
        "list_position",
        info={"where": {"sqlite": "settled = 0", "postgresql": "NOT settled"}},
    ),
    sa.Index(
        "ix_video_jobs_twins",
        "twin_source_id",
        "source_id",
        "list_position",
        info={"where": dict.fromkeys(("sqlite", "postgresql"), "twin_source_id IS NOT NULL")},
    ),
    sa.Index(
        "ix_video_jobs_suspect_run_id",
        "suspect_run_id",
        "list_position",
        info={"where": dict.fromkeys(("sqlite", "postgresql"), "suspect_run_id IS NOT NULL")},
    ),
    comment="Every job ever seen, in its current state.",
)

video_job_versions = _make_table(
    "video_job_versions",
    sa.Column("change_seq", BigKey, primary_key=True, comment="Order of change; grows within a source."),
    _source_column(checked=False),
    sa.Column("job_id", JobId, nullable=False, comment="The job."),
    sa.Column("version", sa.Integer, nullable=False, comment="1 for the insert, then one more each."),
    sa.Column("op", sa.String(8), nullable=False, comment="insert, update, unlist, relist or erase."),
    sa.Column("valid_from", UtcDateTime, nullable=False, comment="When the page that showed it came (UTC)."),
    sa.Column("changed_fields", JsonText, comment="JSON array of columns that changed; null for an insert."),
    *_tracked_columns(),
    sa.Column("unlisted_reason", Text, comment="Evidence, for an unlist."),
    _run_column(),
    sa.UniqueConstraint("source_id", "job_id", "version"),
    sa.Index("ix_video_job_versions_source_id_change_seq", "source_id", "change_seq"),
    comment="History: one row per change, append-only; only an erasure takes texts away.",
    info={"sqlite": {"sqlite_autoincrement": True}},
)


rejected_items = _make_table(
    "rejected_items",
    _key_column("Key of the reject."),
    _source_column(),
    _run_column(),
    sa.Column("rejected_at", UtcDateTime, nullable=False, comment="When its page came, our clock (UTC)."),
    sa.Column("reason", Text, nullable=False, comment="Why it could not be understood."),
    sa.Column("payload", Bytes, comment="The item's bytes, verbatim; null for a record nobody can read."),
    sa.Column("payload_hash", sa.String(32), nullable=False, comment="Digest, so that a repeat is one row."),
    sa.Column("position", sa.Integer, comment="Place on its page, from 0."),
    sa.Column("cursor", Text, comment="Cursor of its page."),
    sa.Column("job_id", Text, comment="Its id, when that much could be read."),
    sa.Column("after_id", Text, comment="For a poison record: the known job just before it."),
    sa.Column("before_id", Text, comment="For a poison record: the known job just after it."),
    sa.Column("last_seen_at", UtcDateTime, nullable=False, comment="Last time it came, our clock (UTC)."),
    sa.Column("times_seen", sa.Integer, nullable=False, server_default="1", comment="How often it came."),
    sa.UniqueConstraint("source_id", "payload_hash"),
    comment="Items that could not be understood, verbatim, and gaps around records nobody can read.",
)

unknown_fields = _make_table(
    "unknown_fields",
    _source_column(primary_key=True),
    sa.Column("path", sa.String(255), primary_key=True, comment="Dotted path, for example job.error.hint."),
    sa.Column("type", sa.String(16), primary_key=True, comment="JSON type seen there."),
    sa.Column("first_seen_at", UtcDateTime, nullable=False, comment="First time, our clock (UTC)."),
    sa.Column("last_seen_at", UtcDateTime, nullable=False, comment="Last time, our clock (UTC)."),
    sa.Column("count", sa.BigInteger, nullable=False, comment="How often it was seen."),
    comment="Schema drift: fields that the contract does not name.",
)

coverage_gaps = _make_table(
    "coverage_gaps",
    _key_column("Key of the gap."),
    _source_column(),
    _run_column(),
    sa.Column("detected_at", UtcDateTime, nullable=False, comment="When it was noticed, our clock (UTC)."),
    sa.Column("gap_from", UtcDateTime, comment="Creation of the newest job known before the gap (UTC)."),
    sa.Column("gap_until", UtcDateTime, comment="Creation of the oldest job listed after it (UTC)."),
    sa.Column("last_known_job_id", Text, comment="Newest job known before the gap."),
    sa.Column("oldest_listed_job_id", Text, comment="Oldest job listed after it; null when none was."),
    sa.Column("reason", Text, nullable=False, comment="What was seen."),
    sa.Column("kind", sa.String(16), nullable=False, server_default="window", comment="What caused it."),
    sa.Column("probed_at", UtcDateTime, comment="When the gateway was last asked for it, our clock (UTC)."),
    sa.Column("accepted_at", UtcDateTime, comment="When somebody accepted it; null while it is open (UTC)."),
    sa.Index("ix_coverage_gaps_source_id", "source_id"),
    comment="Spans of creation time in which jobs may have come and gone unseen. No row: complete.",
)

sync_state = _make_table(
    "sync_state",
    _source_column(primary_key=True),
    sa.Column("frontier_id", Text, comment="Newest job such that it and all older ones are settled."),
    sa.Column("frontier_created_at", UtcDateTime, comment="Its creation, gateway's clock (UTC)."),
    sa.Column("cursor", Text, comment="The job before the frontier: where the next sync begins."),
    sa.Column("checkpoint", JsonText, comment="Where an unfinished walk goes on; null when none is."),
    sa.Column(
        "list_order",
        sa.String(4),
        comment="desc when the gateway ignores order=asc, asc when it ignores order=desc.",
    ),
    sa.Column("complete_run_id", BigKey, comment="Last run that read everything it had to."),
    sa.Column("complete_at", UtcDateTime, comment="When that was, our clock (UTC)."),
    sa.Column("reconciled_at", UtcDateTime, comment="End of the last complete reconcile (UTC)."),
    sa.Column(
        "newest_job_at", UtcDateTime, comment="Creation of the newest job seen, gateway's clock (UTC)."
    ),
    sa.Column("failures", sa.Integer, nullable=False, server_default="0", comment="Failed runs in a row."),
    sa.Column("disabled_at", UtcDateTime, comment="When a fatal answer stopped the source (UTC)."),
    sa.Column("disabled_reason", Text, comment="What it was."),
    sa.Column("config_hash", sa.String(32), comment="Digest of the settings that were refused."),
    sa.Column(
        "last_commit",
        sa.String(32),
        comment="Mark of the newest commit: tells a lost answer from a lost commit.",
    ),
    sa.Column("trouble", JsonText, comment="Where the last runs failed, and how often; null when not."),
    sa.Column("retired_at", UtcDateTime, comment="Since when it is an archive, our clock (UTC)."),
    sa.Column("retired_reason", Text, comment="The evidence that its upstream is gone, or who said so."),
    sa.Column("log_until", UtcDateTime, comment="The gateway's log is read so far, gateway's clock (UTC)."),
    sa.Column("log_polls", JsonText, comment="Rows of it that were looked at and are not kept, by id."),
    sa.Column("learned", JsonText, comment="What was found out about how the list behaves, as JSON."),
    comment="Where each source stands.",
)

leases = _make_table(
    "leases",
    _source_column(primary_key=True),
    sa.Column("holder", Text, comment="Host, process and nonce of the writer; null when free."),
    sa.Column("token", sa.BigInteger, nullable=False, comment="Fencing token: grows with every taking."),
    sa.Column("acquired_at", UtcDateTime, comment="Taken, by the database's clock (UTC)."),
    sa.Column("expires_at", UtcDateTime, comment="Runs out, by the database's clock (UTC)."),
    comment="One writer per source.",
)

prices = _make_table(
    "prices",
    _key_column("Key of the price."),
    sa.Column("provider", sa.String(64), nullable=False, comment="Provider, or * for any."),
    sa.Column("model_pattern", sa.String(191), nullable=False, comment="Model; * stands for any text."),
    sa.Column("resolution", sa.String(16), nullable=False, comment="Band (480p to 4k) or *."),
    sa.Column("unit", sa.String(16), nullable=False, comment="second (of video), clip or request."),
    sa.Column("price", sa.Numeric(14, 6), nullable=False, comment="Price of one unit."),
    sa.Column("currency", sa.String(3), nullable=False, comment="ISO 4217."),
    sa.Column("valid_from", UtcDateTime, nullable=False, comment="In force from (UTC)."),
    sa.Column("origin", sa.String(16), nullable=False, comment="default, config or import."),
    sa.UniqueConstraint("provider", "model_pattern", "resolution", "valid_from", "origin"),
    comment="Effective-dated price book.",
)
