"""prices: * stands for any text, a price may be a clip's or a request's, and jobs are counted by kind"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from etl.db.types import Text

revision = "0010"
down_revision = "0009"

VIEWS = "1c08a3c894c6af2d"
_OLD = {
    "model_pattern": "Model; % matches any text.",
    "resolution": "Band (720p, 1024p, 1080p, 4k) or *.",
    "unit": "What is counted: second.",
}
_NEW = {
    "model_pattern": "Model; * stands for any text.",
    "resolution": "Band (480p to 4k) or *.",
    "unit": "second (of video), clip or request.",
}
_LENGTHS = {"model_pattern": 191, "resolution": 16, "unit": 16}


def upgrade() -> None:
    """Patterns are written anew: what was % is *, and a * so far matched only itself, so nothing."""
    op.execute(sa.text(f"DELETE FROM prices WHERE {_at('*')} > 0"))  # noqa: S608 (our own names)
    op.execute(_replace("%", "*"))
    _comment(_OLD, _NEW)
    op.create_table(
        "job_kinds",
        sa.Column(
            "source_id",
            sa.Integer(),
            autoincrement=False,
            nullable=False,
            comment="The source: one gateway, provider and key.",
        ),
        sa.Column("digest", sa.String(length=32), nullable=False, comment="Digest of what was counted."),
        sa.Column("provider", Text(), nullable=True, comment="Provider that made the video."),
        sa.Column("model", Text(), nullable=True, comment="Model as the gateway names it."),
        sa.Column("size", Text(), nullable=True, comment="Resolution as sent, for example 1280x720."),
        sa.Column("width", sa.Integer(), nullable=True, comment="Pixels across, read from size."),
        sa.Column("height", sa.Integer(), nullable=True, comment="Pixels down, read from size."),
        sa.Column("jobs", sa.BigInteger(), nullable=False, comment="Jobs that are of this kind."),
        sa.PrimaryKeyConstraint("source_id", "digest", name=op.f("pk_job_kinds")),
        comment="What jobs are priced by, counted with every commit.",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_nopad_bin",
        mariadb_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_0900_bin",
        mysql_engine="InnoDB",
        if_not_exists=True,
    )


def downgrade() -> None:
    """Prices of a clip or a request would be taken for prices of a second."""
    op.drop_table("job_kinds", if_exists=True)
    op.execute("DELETE FROM prices WHERE unit <> 'second'")
    op.execute(_replace("*", "%"))
    _comment(_NEW, _OLD)


def _replace(old: str, new: str) -> sa.TextClause:
    changed = f"REPLACE(model_pattern, '{old}', '{new}')"
    return sa.text(f"UPDATE prices SET model_pattern = {changed}")  # noqa: S608 (our own names)


def _at(text: str) -> str:
    """Where it stands first, from 1; 0: nowhere."""
    name = "STRPOS" if op.get_context().dialect.name == "postgresql" else "INSTR"
    return f"{name}(model_pattern, '{text}')"


def _comment(old: dict[str, str], new: dict[str, str]) -> None:
    with op.batch_alter_table("prices") as table:
        for name, text in new.items():
            table.alter_column(
                name,
                existing_type=sa.String(_LENGTHS[name]),
                existing_nullable=False,
                existing_comment=old[name],
                comment=text,
            )
