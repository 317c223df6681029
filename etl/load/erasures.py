"""The rule that an erasure leaves behind: what the gateway still shows of the job is not stored again."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import sqlalchemy as sa

from etl.load import bulk
from etl.records import PageRows
from etl.schema.tables import erasures

_CHUNK = 500
#: In JSON, and in JSON that is itself a string.
_RAW_ID = re.compile(r'"id\\*"\s*:\s*\\*"([^"\\]+)')
_ANY = sa.select(erasures.c.id).limit(1)


def has_erasures(conn: sa.Connection) -> bool:
    """Whether anything was ever erased: where nothing was, no job needs to be looked for."""
    return conn.scalar(_ANY) is not None


def find_erased_jobs(conn: sa.Connection, ids: Iterable[str]) -> set[str]:
    """Those of the jobs whose texts were erased, in whichever source: a second source may list them too."""
    wanted, found = list(set(ids)), set[str]()
    for start in range(0, len(wanted), _CHUNK):
        part = wanted[start : start + _CHUNK]
        found.update(conn.scalars(sa.select(erasures.c.job_id).where(erasures.c.job_id.in_(part))))
    return found


def mark_erased_jobs(conn: sa.Connection, source_id: int, ids: Sequence[str]) -> None:
    """Say of jobs just stored that their texts were erased, since when the first of them was."""
    if not ids:
        return
    where, parameters = bulk.of_jobs(conn, source_id, ids)
    when = "(SELECT MIN(e.erased_at) FROM erasures e WHERE e.job_id = video_jobs.job_id)"
    bulk.run_driver_sql(conn, f"UPDATE video_jobs SET erased_at = {when} WHERE {where}", parameters)  # noqa: S608


def pages_with_erased_jobs(conn: sa.Connection, pages: Sequence[PageRows]) -> set[int]:
    """Places in `pages` of those whose raw payloads show an erased job."""
    raw = {n: _ids_on_page(page) for n, page in enumerate(pages) if page.facts.raw_response is not None}
    raw |= {n: _ids_on_page(page) for n, page in enumerate(pages) if page.facts.raw_request is not None}
    if not raw or not has_erasures(conn):
        return set()
    erased = find_erased_jobs(conn, {job_id for ids in raw.values() for job_id in ids})
    return {n for n, ids in raw.items() if ids & erased}


def _ids_on_page(page: PageRows) -> set[str]:
    """Its jobs, its rejects, and what its raw payloads call an id, as it is and with the provider added."""
    shown = {row.job_id for row in page.jobs} | {r.job_id for r in page.rejects if r.job_id is not None}
    raw = f"{page.facts.raw_request or ''} {page.facts.raw_response or ''}"
    native = set(_RAW_ID.findall(raw))
    providers = {row.provider for row in page.jobs} | {page.facts.provider}
    return shown | native | {f"{job_id}:{provider}" for job_id in native for provider in providers}
