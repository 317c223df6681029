"""What the tables are made of: the metadata, and the columns that several of them have."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from etl.db.types import BigKey, Double, JsonText, Text, UtcDateTime

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

#: Ids and models differ by case and by trailing blanks; MariaDB's default collation sees neither.
_CHARSETS: dict[str, str] = {
    "mysql_charset": "utf8mb4",
    "mysql_collate": "utf8mb4_0900_bin",
    "mariadb_charset": "utf8mb4",
    "mariadb_collate": "utf8mb4_nopad_bin",
    "mysql_engine": "InnoDB",
    "mariadb_engine": "InnoDB",
    # Whatever the server's default is: in COMPACT a key ends at 767 bytes, and an id may have 2,048.
    "mysql_row_format": "DYNAMIC",
    "mariadb_row_format": "DYNAMIC",
}


def _make_table(name: str, *parts: sa.schema.SchemaItem, comment: str, **options: Any) -> sa.Table:
    return sa.Table(name, metadata, *parts, comment=comment, **options)


def complete_tables(dialect: str) -> None:
    """What the tables need before they are made on a database, or compared with it to write a revision.

    Noted aside, as options of the tables would cost every command the import of that dialect: 0.02 s.
    """
    for table in metadata.tables.values():
        table.dialect_kwargs.update(table.info.get(dialect, {}))
        if dialect in ("mysql", "mariadb"):
            table.dialect_kwargs.update(_CHARSETS)
        for index in table.indexes:
            if dialect in index.info.get("where", {}):
                index.dialect_options[dialect]["where"] = sa.text(index.info["where"][dialect])


def _source_column(*, primary_key: bool = False, checked: bool = True) -> sa.Column[int]:
    """`checked=False` on the tables that take every job: the lease row has proved the source already."""
    return sa.Column(
        "source_id",
        sa.Integer,
        *([sa.ForeignKey("sources.id")] if checked else []),
        primary_key=primary_key,
        autoincrement=False,
        nullable=False,
        comment="The source: one gateway, provider and key.",
    )


def _run_column(*, nullable: bool = False) -> sa.Column[int]:
    return sa.Column("run_id", BigKey, nullable=nullable, comment="The run that wrote this row.")


def _flag_column(name: str, comment: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean(create_constraint=False), nullable=False, comment=comment)


def _key_column(comment: str) -> sa.Column[int]:
    return sa.Column("id", BigKey, primary_key=True, comment=comment)


def _count_column(name: str, comment: str) -> sa.Column[int]:
    return sa.Column(name, sa.Integer, nullable=False, server_default="0", comment=comment)


def _tracked_columns() -> list[sa.Column[Any]]:
    """The columns that history records; the same in `video_jobs` and `video_job_versions`."""
    return [
        sa.Column("provider", Text, comment="Provider that made the video."),
        sa.Column("model", Text, comment="Model as the gateway names it."),
        sa.Column("status", Text, nullable=False, comment="Status: as reported, or derived when not sent."),
        sa.Column("reported_status", Text, comment="Status exactly as sent; null when not sent."),
        sa.Column("progress", Double, comment="Percent done, 0-100."),
        sa.Column("prompt", Text, comment="The prompt, its sha256, or null, as configured."),
        sa.Column("remixed_from_job_id", Text, comment="Job that this one remixes."),
        sa.Column("seconds", Double, comment="Length of the clip in seconds."),
        sa.Column("size", Text, comment="Resolution as sent, for example 1280x720."),
        sa.Column("width", sa.Integer, comment="Pixels across, read from size."),
        sa.Column("height", sa.Integer, comment="Pixels down, read from size."),
        sa.Column("created_at", UtcDateTime, comment="Creation, by the gateway's clock (UTC)."),
        sa.Column("completed_at", UtcDateTime, comment="Completion, by the gateway's clock (UTC)."),
        sa.Column("expires_at", UtcDateTime, comment="End of the downloadable file, gateway's clock (UTC)."),
        sa.Column("error_code", Text, comment="Code of the failure."),
        sa.Column("error_message", Text, comment="Message of the failure."),
        sa.Column("extra", JsonText, comment="JSON of every field that has no column of its own."),
    ]


def _observed_columns() -> list[sa.Column[Any]]:
    """What was seen to happen, kept with the job: its versions may be pruned."""
    within = "Seconds before {} in which it may have happened; null: no bound."
    return [
        sa.Column(
            "started_seen_at", UtcDateTime, comment="First seen in progress after queued, our clock (UTC)."
        ),
        sa.Column("ended_seen_at", UtcDateTime, comment="First seen settled after open, our clock (UTC)."),
        sa.Column("first_seen_within", Double, comment=within.format("first_seen_at")),
        sa.Column("started_seen_within", Double, comment=within.format("started_seen_at")),
        sa.Column("ended_seen_within", Double, comment=within.format("ended_seen_at")),
    ]


def _some_columns(*names: str) -> list[sa.Column[Any]]:
    return [column for column in _tracked_columns() if column.name in names]
