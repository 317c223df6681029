"""Names that vary with every job do not fill unknown_fields: above a limit they become patterns."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import sqlalchemy as sa

from etl.schema.tables import unknown_fields

#: Rows that one source may have before new names are folded.
LIMIT = 500
_VARYING = re.compile(r"[0-9a-f]{8,}|\d+", re.IGNORECASE)
#: Stands for names without a pattern, once there are too many.
OTHERS = "(other names)"

#: Path and JSON type.
Field = tuple[str | None, str]


def bound_fields(conn: sa.Connection, source_id: int, found: Counter[Field]) -> Counter[Field]:
    """The counts, with fields beyond the source's first LIMIT names added up as patterns or OTHERS."""
    columns = unknown_fields.c
    rows = conn.execute(sa.select(columns.path, columns.type).where(columns.source_id == source_id))
    known: set[Field] = {(row.path, row.type) for row in rows}
    kept = Counter({field: count for field, count in found.items() if field in known})
    new = Counter({field: count for field, count in found.items() if field not in known})
    for fold in (_as_it_is, _path_pattern, _other_fields):
        folded = _fold_fields(new, fold)
        if len(known | folded.keys()) <= LIMIT:
            break
    return kept + folded


def _fold_fields(found: Counter[Field], fold: Callable[[str | None], str | None]) -> Counter[Field]:
    total = Counter[Field]()
    for (path, kind), count in found.items():
        total[fold(path), kind] += count
    return total


def _as_it_is(path: str | None) -> str | None:
    return path


def _path_pattern(path: str | None) -> str | None:
    return path and _VARYING.sub("*", path)


def _other_fields(path: str | None) -> str:
    """Below the same object: the first part of the path says where."""
    return f"{(path or '').partition('.')[0]}.{OTHERS}"
