"""What is kept of each page of the list that was read."""

from __future__ import annotations

import sqlalchemy as sa

from etl.db.types import BigKey, Double, JsonText, Text, UtcDateTime
from etl.schema.table_columns import (
    _flag_column,
    _key_column,
    _make_table,
    _run_column,
    _source_column,
)

list_pages = _make_table(
    "list_pages",
    _key_column("Key of the page."),
    _source_column(),
    _run_column(),
    sa.Column("cursor", Text, comment="The `after` asked for; null for the first page."),
    sa.Column("order", sa.String(4), nullable=False, comment="asc or desc, as asked."),
    sa.Column("limit", sa.Integer, nullable=False, comment="Limit asked for."),
    sa.Column("first_id", Text, comment="first_id as sent."),
    sa.Column("last_id", Text, comment="last_id as sent."),
    sa.Column("has_more", sa.Boolean(create_constraint=False), comment="has_more as sent; null if absent."),
    sa.Column("items", sa.Integer, nullable=False, comment="Items on the page."),
    sa.Column("http_status", sa.Integer, nullable=False, comment="HTTP status."),
    sa.Column("attempts", sa.Integer, nullable=False, comment="Requests it took."),
    sa.Column("duration_ms", Double, nullable=False, comment="Time of the last request in ms."),
    sa.Column("bytes", sa.BigInteger, nullable=False, comment="Size of the body."),
    sa.Column(
        "received_at", UtcDateTime, nullable=False, comment="When the body was complete, our clock (UTC)."
    ),
    _flag_column("accepted", "False when the gateway's cache served it: logged, not believed."),
    sa.Column("request_type", Text, comment="extra_fields.request_type."),
    sa.Column("provider", Text, comment="extra_fields.provider."),
    sa.Column("model_requested", Text, comment="extra_fields.model_requested or original_model_requested."),
    sa.Column("model_deployment", Text, comment="extra_fields.model_deployment or resolved_model_used."),
    sa.Column("latency_ms", Double, comment="extra_fields.latency: the last upstream attempt."),
    sa.Column("chunk_index", sa.Integer, comment="extra_fields.chunk_index."),
    sa.Column("raw_request", Text, comment="extra_fields.raw_request, when configured."),
    sa.Column("raw_response", Text, comment="extra_fields.raw_response, when configured."),
    sa.Column("extra", JsonText, comment="Other extra_fields, as JSON."),
    sa.Column("account", Text, comment="Key of the gateway that answered; null where it does not say."),
    sa.Index("ix_list_pages_run_id", "run_id"),
    sa.Index("ix_list_pages_source_id_id", "source_id", "id"),
    comment="One row per page fetched.",
)


cache_lookups = _make_table(
    "cache_lookups",
    _key_column("Key of the lookup."),
    _source_column(),
    _run_column(),
    sa.Column("page_id", BigKey, nullable=False, comment="The page in list_pages."),
    sa.Column("looked_up_at", UtcDateTime, nullable=False, comment="When the page came, our clock (UTC)."),
    _flag_column("cache_hit", "Served from cache."),
    sa.Column("cache_id", Text, comment="Id of the cache entry."),
    sa.Column("hit_type", Text, comment="direct or semantic."),
    sa.Column("requested_provider", Text, comment="Provider asked for."),
    sa.Column("requested_model", Text, comment="Model asked for."),
    sa.Column("provider_used", Text, comment="Provider of the embedding."),
    sa.Column("model_used", Text, comment="Model of the embedding."),
    sa.Column("input_tokens", sa.BigInteger, comment="Tokens of the embedding."),
    sa.Column("threshold", Double, comment="Similarity needed."),
    sa.Column("similarity", Double, comment="Similarity found."),
    sa.Index("ix_cache_lookups_looked_up_at", "looked_up_at"),
    sa.Index("ix_cache_lookups_source_id_id", "source_id", "id"),
    comment="The gateway's cache_debug, one row per page that carried it.",
)
