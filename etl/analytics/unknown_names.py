"""A statement that names what does not exist: what was probably meant, of all tables and views."""

from __future__ import annotations

import re
from difflib import get_close_matches

from etl.analytics.catalogue import all_relations

#: As SQLite, PostgreSQL and MariaDB say it; of a dotted name the last part.
_MISSING = re.compile(r"no such|does not exist|doesn't exist|Unknown column")
_NAME = r"[\"']?(?:\w+\.)*(\w+)"
_TABLE = re.compile(rf"\b(?:no such table: |relation |Table ){_NAME}")
_COLUMN = re.compile(rf"\b(?:no such column: |column ){_NAME}")


def hint_of_unknown(message: str) -> str | None:
    """What to say beside the database's message; None when it is about something else."""
    if not _MISSING.search(message):
        return None
    relations = dict(all_relations())
    if found := _TABLE.search(message):
        return _near(found, list(relations)) + r"`bifrost-etl sql '\d'` lists tables and views"
    if found := _COLUMN.search(message):
        columns = {row[0] for _kind, _comment, rows in relations.values() for row in rows}
        return (
            _near(found, sorted(columns)) + r"`bifrost-etl sql '\d job_facts'` lists the columns of job_facts"
        )
    return None


def _near(found: re.Match[str], names: list[str]) -> str:
    near = get_close_matches(found[1].lower(), names, 1)
    return f"did you mean {near[0]}? " if near else ""
