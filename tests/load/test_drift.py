"""A provider that puts values into names does not fill the table of unknown fields."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.load import register_source
from etl.load.drift import LIMIT
from etl.load.sync_log import log_drift
from etl.records import PageRequest, PageRows, RawPage, Unknown
from etl.schema.tables import unknown_fields

NOW = datetime(2026, 11, 30, tzinfo=UTC)


def page(*paths: str) -> PageRows:
    raw = RawPage(PageRequest(), (), None, None, None, None, NOW)
    return PageRows(page=raw, jobs=(), rejects=(), unknown=tuple(Unknown(path, "integer") for path in paths))


def names(engine: sa.Engine, *pages: PageRows) -> dict[str, int]:
    with write_transaction(engine) as conn:
        source_id = register_source(conn, "a", "http://h", "openai", None, NOW)
        for one in pages:
            log_drift(conn, source_id, [one])
    with engine.connect() as conn:
        rows = conn.execute(sa.select(unknown_fields.c.path, unknown_fields.c["count"]))
        return {row.path: row.count for row in rows}


def test_few_names_stand_as_they_are(engine: sa.Engine) -> None:
    assert names(engine, page("job.hint", "job.seed7"), page("job.hint")) == {"job.hint": 2, "job.seed7": 1}


@pytest.mark.parametrize("at_once", [3000, 7])
def test_numbered_names_become_a_pattern(engine: sa.Engine, at_once: int) -> None:
    paths = [f"job.usage_{n}" for n in range(3000 if at_once == 3000 else LIMIT + 70)]
    pages = [page(*paths[at : at + at_once]) for at in range(0, len(paths), at_once)]
    found = names(engine, *pages)
    assert len(found) <= LIMIT + 1
    assert sum(found.values()) == len(paths), "nothing goes uncounted"
    assert "job.usage_*" in found


def test_names_without_a_pattern_are_counted_together(engine: sa.Engine) -> None:
    letters = "ghijklmnopqrstuvwxyz"
    paths = [f"job.{a}{b}{c}" for a in letters for b in letters for c in letters[:3]]
    assert names(engine, page(*paths)) == {"job.(other names)": len(paths)}


def test_what_is_known_goes_on_being_counted(engine: sa.Engine) -> None:
    many = page(*(f"job.usage_{n}" for n in range(3000)))
    assert names(engine, page("job.hint"), many, page("job.hint"))["job.hint"] == 2
