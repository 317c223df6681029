"""tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import BigKey, Bytes, JsonText, Text, UtcDateTime

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "prices",
        sa.Column("id", BigKey, nullable=False, comment="Key of the price."),
        sa.Column("provider", sa.String(length=64), nullable=False, comment="Provider, or * for any."),
        sa.Column(
            "model_pattern", sa.String(length=191), nullable=False, comment="Model; % matches any text."
        ),
        sa.Column(
            "resolution", sa.String(length=16), nullable=False, comment="Band (720p, 1024p, 1080p, 4k) or *."
        ),
        sa.Column("unit", sa.String(length=16), nullable=False, comment="What is counted: second."),
        sa.Column("price", sa.Numeric(precision=14, scale=6), nullable=False, comment="Price of one unit."),
        sa.Column("currency", sa.String(length=3), nullable=False, comment="ISO 4217."),
        sa.Column("valid_from", UtcDateTime(), nullable=False, comment="In force from (UTC)."),
        sa.Column("origin", sa.String(length=16), nullable=False, comment="default, config or import."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_prices")),
        sa.UniqueConstraint(
            "provider",
            "model_pattern",
            "resolution",
            "valid_from",
            "origin",
            name=op.f("uq_prices_provider_model_pattern_resolution_valid_from_origin"),
        ),
        comment="Effective-dated price book.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )
    op.create_table(
        "sources",
        sa.Column("id", sa.Integer(), nullable=False, comment="Key of the source."),
        sa.Column("name", sa.String(length=191), nullable=False, comment="Name in the configuration."),
        sa.Column("base_url", Text, nullable=False, comment="The gateway's address."),
        sa.Column(
            "provider", Text, nullable=True, comment="Provider asked for; null for a plain OpenAI endpoint."
        ),
        sa.Column("key_name", Text, nullable=True, comment="Name of the pinned gateway key."),
        sa.Column("created_at", UtcDateTime(), nullable=False, comment="First use, our clock (UTC)."),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sources")),
        sa.UniqueConstraint("name", name=op.f("uq_sources_name")),
        comment="One gateway, provider and key each.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )
    op.create_table(
        "video_job_versions",
        sa.Column("change_seq", BigKey, nullable=False, comment="Order of change; grows within a source."),
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column("job_id", sa.String(length=512), nullable=False, comment="The job."),
        sa.Column("version", sa.Integer(), nullable=False, comment="1 for the insert, then one more each."),
        sa.Column("op", sa.String(length=8), nullable=False, comment="insert, update, unlist or relist."),
        sa.Column(
            "valid_from", UtcDateTime(), nullable=False, comment="When the page that showed it came (UTC)."
        ),
        sa.Column(
            "changed_fields",
            JsonText(),
            nullable=True,
            comment="JSON array of columns that changed; null for an insert.",
        ),
        sa.Column("provider", Text, nullable=True, comment="Provider that made the video."),
        sa.Column("model", Text, nullable=True, comment="Model as the gateway names it."),
        sa.Column("status", Text, nullable=False, comment="Status: as reported, or derived when not sent."),
        sa.Column(
            "reported_status", Text, nullable=True, comment="Status exactly as sent; null when not sent."
        ),
        sa.Column("progress", sa.Double(), nullable=True, comment="Percent done, 0-100."),
        sa.Column("prompt", Text, nullable=True, comment="The prompt, its sha256, or null, as configured."),
        sa.Column("remixed_from_job_id", Text, nullable=True, comment="Job that this one remixes."),
        sa.Column("seconds", sa.Double(), nullable=True, comment="Length of the clip in seconds."),
        sa.Column("size", Text, nullable=True, comment="Resolution as sent, for example 1280x720."),
        sa.Column("width", sa.Integer(), nullable=True, comment="Pixels across, read from size."),
        sa.Column("height", sa.Integer(), nullable=True, comment="Pixels down, read from size."),
        sa.Column(
            "created_at", UtcDateTime(), nullable=True, comment="Creation, by the gateway's clock (UTC)."
        ),
        sa.Column(
            "completed_at", UtcDateTime(), nullable=True, comment="Completion, by the gateway's clock (UTC)."
        ),
        sa.Column(
            "expires_at",
            UtcDateTime(),
            nullable=True,
            comment="End of the downloadable file, gateway's clock (UTC).",
        ),
        sa.Column("error_code", Text, nullable=True, comment="Code of the failure."),
        sa.Column("error_message", Text, nullable=True, comment="Message of the failure."),
        sa.Column(
            "extra", JsonText(), nullable=True, comment="JSON of every field that has no column of its own."
        ),
        sa.Column("unlisted_reason", Text, nullable=True, comment="Evidence, for an unlist."),
        sa.Column("run_id", BigKey, nullable=False, comment="The run that wrote this row."),
        sa.PrimaryKeyConstraint("change_seq", name=op.f("pk_video_job_versions")),
        sa.UniqueConstraint(
            "source_id", "job_id", "version", name=op.f("uq_video_job_versions_source_id_job_id_version")
        ),
        comment="History: one row per change, append-only, never rewritten.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        sqlite_autoincrement=True,
        if_not_exists=True,
    )
    op.create_table(
        "video_jobs",
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column(
            "job_id",
            sa.String(length=512),
            nullable=False,
            comment="The job's id as listed, suffix included.",
        ),
        sa.Column("provider", Text, nullable=True, comment="Provider that made the video."),
        sa.Column("model", Text, nullable=True, comment="Model as the gateway names it."),
        sa.Column("status", Text, nullable=False, comment="Status: as reported, or derived when not sent."),
        sa.Column(
            "reported_status", Text, nullable=True, comment="Status exactly as sent; null when not sent."
        ),
        sa.Column("progress", sa.Double(), nullable=True, comment="Percent done, 0-100."),
        sa.Column("prompt", Text, nullable=True, comment="The prompt, its sha256, or null, as configured."),
        sa.Column("remixed_from_job_id", Text, nullable=True, comment="Job that this one remixes."),
        sa.Column("seconds", sa.Double(), nullable=True, comment="Length of the clip in seconds."),
        sa.Column("size", Text, nullable=True, comment="Resolution as sent, for example 1280x720."),
        sa.Column("width", sa.Integer(), nullable=True, comment="Pixels across, read from size."),
        sa.Column("height", sa.Integer(), nullable=True, comment="Pixels down, read from size."),
        sa.Column(
            "created_at", UtcDateTime(), nullable=True, comment="Creation, by the gateway's clock (UTC)."
        ),
        sa.Column(
            "completed_at", UtcDateTime(), nullable=True, comment="Completion, by the gateway's clock (UTC)."
        ),
        sa.Column(
            "expires_at",
            UtcDateTime(),
            nullable=True,
            comment="End of the downloadable file, gateway's clock (UTC).",
        ),
        sa.Column("error_code", Text, nullable=True, comment="Code of the failure."),
        sa.Column("error_message", Text, nullable=True, comment="Message of the failure."),
        sa.Column(
            "extra", JsonText(), nullable=True, comment="JSON of every field that has no column of its own."
        ),
        sa.Column("settled", sa.Boolean(), nullable=False, comment="True when it cannot change again."),
        sa.Column(
            "content_hash", sa.String(length=32), nullable=False, comment="Digest of all but progress."
        ),
        sa.Column("version", sa.Integer(), nullable=False, comment="Number of its newest version, from 1."),
        sa.Column(
            "first_seen_at",
            UtcDateTime(),
            nullable=False,
            comment="First page that showed it, our clock (UTC).",
        ),
        sa.Column(
            "last_changed_at", UtcDateTime(), nullable=False, comment="Newest version's valid_from (UTC)."
        ),
        sa.Column(
            "unlisted_at",
            UtcDateTime(),
            nullable=True,
            comment="When it was found no longer listed, our clock (UTC).",
        ),
        sa.Column("unlisted_reason", Text, nullable=True, comment="aged_out, missing, not_found or unknown."),
        sa.Column(
            "list_position",
            sa.BigInteger(),
            nullable=False,
            comment="Place in the gateway's creation order; only comparisons mean anything.",
        ),
        sa.Column("first_run_id", BigKey, nullable=False, comment="The run that first saw it."),
        sa.Column(
            "reread_at", UtcDateTime(), nullable=True, comment="Last time it was read by id, our clock (UTC)."
        ),
        sa.Column(
            "suspect_run_id",
            BigKey,
            nullable=True,
            comment="Reconcile that did not find it; evidence only once that run is complete.",
        ),
        sa.PrimaryKeyConstraint("source_id", "job_id", name=op.f("pk_video_jobs")),
        comment="Every job ever seen, in its current state.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )
    op.create_index(
        "ix_video_jobs_created_at", "video_jobs", ["created_at"], unique=False, if_not_exists=True
    )
    op.create_index(
        "ix_video_jobs_list_position",
        "video_jobs",
        ["source_id", "list_position"],
        unique=False,
        if_not_exists=True,
    )
    op.create_index(
        "ix_video_jobs_open",
        "video_jobs",
        ["source_id", "settled", "list_position"],
        unique=False,
        sqlite_where=sa.text("settled = 0"),
        postgresql_where=sa.text("NOT settled"),
        if_not_exists=True,
    )
    op.create_index(
        "ix_video_jobs_suspect_run_id",
        "video_jobs",
        ["suspect_run_id"],
        unique=False,
        sqlite_where=sa.text("suspect_run_id IS NOT NULL"),
        postgresql_where=sa.text("suspect_run_id IS NOT NULL"),
        if_not_exists=True,
    )
    op.create_table(
        "cache_lookups",
        sa.Column("id", BigKey, nullable=False, comment="Key of the lookup."),
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column("run_id", BigKey, nullable=False, comment="The run that wrote this row."),
        sa.Column("page_id", BigKey, nullable=False, comment="The page in list_pages."),
        sa.Column(
            "looked_up_at", UtcDateTime(), nullable=False, comment="When the page came, our clock (UTC)."
        ),
        sa.Column("cache_hit", sa.Boolean(), nullable=False, comment="Served from cache."),
        sa.Column("cache_id", Text, nullable=True, comment="Id of the cache entry."),
        sa.Column("hit_type", Text, nullable=True, comment="direct or semantic."),
        sa.Column("requested_provider", Text, nullable=True, comment="Provider asked for."),
        sa.Column("requested_model", Text, nullable=True, comment="Model asked for."),
        sa.Column("provider_used", Text, nullable=True, comment="Provider of the embedding."),
        sa.Column("model_used", Text, nullable=True, comment="Model of the embedding."),
        sa.Column("input_tokens", sa.BigInteger(), nullable=True, comment="Tokens of the embedding."),
        sa.Column("threshold", sa.Double(), nullable=True, comment="Similarity needed."),
        sa.Column("similarity", sa.Double(), nullable=True, comment="Similarity found."),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_cache_lookups_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_cache_lookups")),
        comment="The gateway's cache_debug, one row per page that carried it.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )
    op.create_index(
        "ix_cache_lookups_looked_up_at", "cache_lookups", ["looked_up_at"], unique=False, if_not_exists=True
    )
    op.create_table(
        "coverage_gaps",
        sa.Column("id", BigKey, nullable=False, comment="Key of the gap."),
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column("run_id", BigKey, nullable=False, comment="The run that wrote this row."),
        sa.Column(
            "detected_at", UtcDateTime(), nullable=False, comment="When it was noticed, our clock (UTC)."
        ),
        sa.Column(
            "gap_from",
            UtcDateTime(),
            nullable=True,
            comment="Creation of the newest job known before the gap (UTC).",
        ),
        sa.Column(
            "gap_until",
            UtcDateTime(),
            nullable=True,
            comment="Creation of the oldest job listed after it (UTC).",
        ),
        sa.Column("last_known_job_id", Text, nullable=True, comment="Newest job known before the gap."),
        sa.Column(
            "oldest_listed_job_id",
            Text,
            nullable=True,
            comment="Oldest job listed after it; null when none was.",
        ),
        sa.Column("reason", Text, nullable=False, comment="What was seen."),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_coverage_gaps_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_coverage_gaps")),
        comment="Spans of creation time in which jobs may have come and gone unseen. No row: complete.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )
    op.create_index(
        "ix_coverage_gaps_source_id", "coverage_gaps", ["source_id"], unique=False, if_not_exists=True
    )
    op.create_table(
        "leases",
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column(
            "holder", Text, nullable=True, comment="Host, process and nonce of the writer; null when free."
        ),
        sa.Column(
            "token", sa.BigInteger(), nullable=False, comment="Fencing token: grows with every taking."
        ),
        sa.Column(
            "acquired_at", UtcDateTime(), nullable=True, comment="Taken, by the database's clock (UTC)."
        ),
        sa.Column(
            "expires_at", UtcDateTime(), nullable=True, comment="Runs out, by the database's clock (UTC)."
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_leases_source_id")),
        sa.PrimaryKeyConstraint("source_id", name=op.f("pk_leases")),
        comment="One writer per source.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )
    op.create_table(
        "list_pages",
        sa.Column("id", BigKey, nullable=False, comment="Key of the page."),
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column("run_id", BigKey, nullable=False, comment="The run that wrote this row."),
        sa.Column("cursor", Text, nullable=True, comment="The `after` asked for; null for the first page."),
        sa.Column("order", sa.String(length=4), nullable=False, comment="asc or desc, as asked."),
        sa.Column("limit", sa.Integer(), nullable=False, comment="Limit asked for."),
        sa.Column("first_id", Text, nullable=True, comment="first_id as sent."),
        sa.Column("last_id", Text, nullable=True, comment="last_id as sent."),
        sa.Column("has_more", sa.Boolean(), nullable=True, comment="has_more as sent; null if absent."),
        sa.Column("items", sa.Integer(), nullable=False, comment="Items on the page."),
        sa.Column("http_status", sa.Integer(), nullable=False, comment="HTTP status."),
        sa.Column("attempts", sa.Integer(), nullable=False, comment="Requests it took."),
        sa.Column("duration_ms", sa.Double(), nullable=False, comment="Time of the last request in ms."),
        sa.Column("bytes", sa.BigInteger(), nullable=False, comment="Size of the body."),
        sa.Column(
            "received_at",
            UtcDateTime(),
            nullable=False,
            comment="When the body was complete, our clock (UTC).",
        ),
        sa.Column(
            "accepted",
            sa.Boolean(),
            nullable=False,
            comment="False when the gateway's cache served it: logged, not believed.",
        ),
        sa.Column("request_type", Text, nullable=True, comment="extra_fields.request_type."),
        sa.Column("provider", Text, nullable=True, comment="extra_fields.provider."),
        sa.Column(
            "model_requested",
            Text,
            nullable=True,
            comment="extra_fields.model_requested or original_model_requested.",
        ),
        sa.Column(
            "model_deployment",
            Text,
            nullable=True,
            comment="extra_fields.model_deployment or resolved_model_used.",
        ),
        sa.Column(
            "latency_ms",
            sa.Double(),
            nullable=True,
            comment="extra_fields.latency: the last upstream attempt.",
        ),
        sa.Column("chunk_index", sa.Integer(), nullable=True, comment="extra_fields.chunk_index."),
        sa.Column("raw_request", Text, nullable=True, comment="extra_fields.raw_request, when configured."),
        sa.Column("raw_response", Text, nullable=True, comment="extra_fields.raw_response, when configured."),
        sa.Column("extra", JsonText(), nullable=True, comment="Other extra_fields, as JSON."),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_list_pages_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_list_pages")),
        comment="One row per page fetched.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )
    op.create_index("ix_list_pages_run_id", "list_pages", ["run_id"], unique=False, if_not_exists=True)
    op.create_table(
        "rejected_items",
        sa.Column("id", BigKey, nullable=False, comment="Key of the reject."),
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column("run_id", BigKey, nullable=False, comment="The run that wrote this row."),
        sa.Column(
            "rejected_at", UtcDateTime(), nullable=False, comment="When its page came, our clock (UTC)."
        ),
        sa.Column("reason", Text, nullable=False, comment="Why it could not be understood."),
        sa.Column(
            "payload",
            Bytes,
            nullable=True,
            comment="The item's bytes, verbatim; null for a record nobody can read.",
        ),
        sa.Column(
            "payload_hash",
            sa.String(length=32),
            nullable=False,
            comment="Digest, so that a repeat is one row.",
        ),
        sa.Column("position", sa.Integer(), nullable=True, comment="Place on its page, from 0."),
        sa.Column("cursor", Text, nullable=True, comment="Cursor of its page."),
        sa.Column("job_id", Text, nullable=True, comment="Its id, when that much could be read."),
        sa.Column(
            "after_id", Text, nullable=True, comment="For a poison record: the known job just before it."
        ),
        sa.Column(
            "before_id", Text, nullable=True, comment="For a poison record: the known job just after it."
        ),
        sa.Column(
            "last_seen_at", UtcDateTime(), nullable=False, comment="Last time it came, our clock (UTC)."
        ),
        sa.Column(
            "times_seen", sa.Integer(), server_default="1", nullable=False, comment="How often it came."
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_rejected_items_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_rejected_items")),
        sa.UniqueConstraint(
            "source_id", "payload_hash", name=op.f("uq_rejected_items_source_id_payload_hash")
        ),
        comment="Items that could not be understood, verbatim, and gaps around records nobody can read.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )
    op.create_table(
        "sync_runs",
        sa.Column("id", BigKey, nullable=False, comment="The run's number; grows with time."),
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column("kind", sa.String(length=16), nullable=False, comment="incremental, first or reconcile."),
        sa.Column(
            "status", sa.String(length=16), nullable=False, comment="running, ok, failed or interrupted."
        ),
        sa.Column("started_at", UtcDateTime(), nullable=False, comment="Start, our clock (UTC)."),
        sa.Column(
            "finished_at", UtcDateTime(), nullable=True, comment="End, our clock (UTC); null while running."
        ),
        sa.Column("pages", sa.Integer(), server_default="0", nullable=False, comment="Pages received."),
        sa.Column(
            "requests",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="HTTP requests sent, retries included.",
        ),
        sa.Column(
            "retries",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Requests repeated after a retriable failure.",
        ),
        sa.Column(
            "jobs_seen",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Items on believed pages: inserted + updated + unchanged + rejected.",
        ),
        sa.Column(
            "jobs_inserted",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Jobs not known before.",
        ),
        sa.Column(
            "jobs_updated",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Known jobs that had changed.",
        ),
        sa.Column(
            "jobs_unchanged",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Known jobs as they were.",
        ),
        sa.Column(
            "jobs_rejected",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Items written to rejected_items.",
        ),
        sa.Column(
            "jobs_unlisted",
            sa.Integer(),
            server_default="0",
            nullable=False,
            comment="Jobs found to be no longer listed.",
        ),
        sa.Column("error_class", Text, nullable=True, comment="Name of the error that ended the run."),
        sa.Column("error_message", Text, nullable=True, comment="Its message, without secrets."),
        sa.Column("worker", Text, nullable=True, comment="Host and process that ran it."),
        sa.Column("lease_token", sa.BigInteger(), nullable=True, comment="Fencing token it wrote under."),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_sync_runs_source_id")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sync_runs")),
        comment="One row per run: what it did and how it ended.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )
    op.create_index(
        "ix_sync_runs_source_id_id", "sync_runs", ["source_id", "id"], unique=False, if_not_exists=True
    )
    op.create_table(
        "sync_state",
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column(
            "frontier_id",
            Text,
            nullable=True,
            comment="Newest job such that it and all older ones are settled.",
        ),
        sa.Column(
            "frontier_created_at",
            UtcDateTime(),
            nullable=True,
            comment="Its creation, gateway's clock (UTC).",
        ),
        sa.Column(
            "cursor", Text, nullable=True, comment="The job before the frontier: where the next sync begins."
        ),
        sa.Column(
            "checkpoint",
            JsonText(),
            nullable=True,
            comment="Where an unfinished walk goes on; null when none is.",
        ),
        sa.Column(
            "list_order",
            sa.String(length=4),
            nullable=True,
            comment="desc when the gateway ignores order=asc, asc when it ignores order=desc.",
        ),
        sa.Column(
            "complete_run_id", BigKey, nullable=True, comment="Last run that read everything it had to."
        ),
        sa.Column("complete_at", UtcDateTime(), nullable=True, comment="When that was, our clock (UTC)."),
        sa.Column(
            "reconciled_at", UtcDateTime(), nullable=True, comment="End of the last complete reconcile (UTC)."
        ),
        sa.Column(
            "newest_job_at",
            UtcDateTime(),
            nullable=True,
            comment="Creation of the newest job seen, gateway's clock (UTC).",
        ),
        sa.Column(
            "failures", sa.Integer(), server_default="0", nullable=False, comment="Failed runs in a row."
        ),
        sa.Column(
            "disabled_at",
            UtcDateTime(),
            nullable=True,
            comment="When a fatal answer stopped the source (UTC).",
        ),
        sa.Column("disabled_reason", Text, nullable=True, comment="What it was."),
        sa.Column(
            "config_hash",
            sa.String(length=32),
            nullable=True,
            comment="Digest of the settings that were refused.",
        ),
        sa.Column(
            "last_commit",
            sa.String(length=32),
            nullable=True,
            comment="Mark of the newest commit: tells a lost answer from a lost commit.",
        ),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_sync_state_source_id")),
        sa.PrimaryKeyConstraint("source_id", name=op.f("pk_sync_state")),
        comment="Where each source stands.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )
    op.create_table(
        "unknown_fields",
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column(
            "path", sa.String(length=255), nullable=False, comment="Dotted path, for example job.error.hint."
        ),
        sa.Column("type", sa.String(length=16), nullable=False, comment="JSON type seen there."),
        sa.Column("first_seen_at", UtcDateTime(), nullable=False, comment="First time, our clock (UTC)."),
        sa.Column("last_seen_at", UtcDateTime(), nullable=False, comment="Last time, our clock (UTC)."),
        sa.Column("count", sa.BigInteger(), nullable=False, comment="How often it was seen."),
        sa.ForeignKeyConstraint(["source_id"], ["sources.id"], name=op.f("fk_unknown_fields_source_id")),
        sa.PrimaryKeyConstraint("source_id", "path", "type", name=op.f("pk_unknown_fields")),
        comment="Schema drift: fields that the contract does not name.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mariadb_row_format="DYNAMIC",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        mysql_row_format="DYNAMIC",
        if_not_exists=True,
    )


def downgrade() -> None:
    op.drop_table("unknown_fields", if_exists=True)
    op.drop_table("sync_state", if_exists=True)
    op.drop_table("sync_runs", if_exists=True)
    op.drop_table("rejected_items", if_exists=True)
    op.drop_table("list_pages", if_exists=True)
    op.drop_table("leases", if_exists=True)
    op.drop_table("coverage_gaps", if_exists=True)
    op.drop_table("cache_lookups", if_exists=True)
    op.drop_table("video_jobs", if_exists=True)
    op.drop_table("video_job_versions", if_exists=True)
    op.drop_table("sources", if_exists=True)
    op.drop_table("prices", if_exists=True)
