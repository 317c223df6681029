"""Which jobs an erasure means: by id, by what their prompt says, by who asked for them, by source."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring_ascii
from typing import Any, NamedTuple

import sqlalchemy as sa

from etl.log_records import OWNERS
from etl.schema.tables import job_requests, rejected_items, video_job_versions, video_jobs
from etl.transform.erasing import QuotingTexts, find_texts, texts_of
from etl.transform.privacy import Options, prompt_fingerprint

_CHUNK = 500
_AT_ONCE = 2_000


class JobKey(NamedTuple):
    """A job of one source."""

    source_id: int
    job_id: str


@dataclass(frozen=True, slots=True)
class ErasureSelection:
    """What is to be erased: a job must fulfil every kind that is given, and one value of that kind.

    `owners` are ids or names by kind (`virtual_key`, `team`, `customer`, `user`, `business_unit`). `words`
    are parts of a prompt, in whatever letters; a prompt stored as its digest is found by the whole prompt.
    `sources` are keys of sources.
    """

    jobs: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    owners: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    sources: tuple[int, ...] = ()

    @property
    def kinds(self) -> str:
        """The options that chose, for the log of erasures; never their values, which may be the prompt."""
        owners = [f"--{kind.replace('_', '-')}" for kind in OWNERS if self.owners.get(kind)]
        named = (("--job", self.jobs), ("--prompt-match", self.words), ("--source", self.sources))
        return " ".join([*(option for option, given in named if given), *owners])


def select_jobs(conn: sa.Connection, selection: ErasureSelection) -> list[JobKey]:
    """The jobs meant, of every table that names one, and what is the same job in another source; sorted."""
    found: set[JobKey] | None = None
    for kind in _each_kind(conn, selection):
        found = kind if found is None else found & kind
    return sorted((found or set()) | _find_twins(conn, found or set()))


def find_unmatched(conn: sa.Connection, selection: ErasureSelection) -> list[str]:
    """What was given and names no job at all: ids by their value, owners by their place only, since they are
    people. Words of a prompt may be several spellings of one thing, so they are not asked one by one."""
    known = {key.job_id for key in _named_jobs(conn, selection.jobs)}
    missing = [f"--job {job_id}" for job_id in selection.jobs if job_id not in known]
    for kind, values in selection.owners.items():
        option = f"--{kind.replace('_', '-')}"
        for number, value in enumerate(values, 1):
            if not _owned_jobs(conn, kind, (value,)):
                missing.append(f"{option} number {number}" if len(values) > 1 else option)
    return missing


def _each_kind(conn: sa.Connection, selection: ErasureSelection) -> Iterator[set[JobKey]]:
    if selection.jobs:
        yield _named_jobs(conn, selection.jobs)
    if selection.words:
        yield _saying(conn, selection.words)
    for kind, values in selection.owners.items():
        if values:
            yield _owned_jobs(conn, kind, values)
    if selection.sources:
        yield _jobs_of_sources(conn, selection.sources)


def _named_jobs(conn: sa.Connection, ids: Sequence[str]) -> set[JobKey]:
    return _all_keys(conn, lambda table: table.c.job_id.in_(ids))


def _jobs_of_sources(conn: sa.Connection, sources: Sequence[int]) -> set[JobKey]:
    return _all_keys(conn, lambda table: table.c.source_id.in_(sources))


def _all_keys(conn: sa.Connection, where: Any) -> set[JobKey]:
    """Jobs of every table that names some: an item that could not be understood is no row of video_jobs."""
    found: set[JobKey] = set()
    for table in (video_jobs, rejected_items, job_requests):
        query = sa.select(table.c.source_id, table.c.job_id).where(where(table), table.c.job_id.is_not(None))
        found.update(JobKey(*row) for row in conn.execute(query))
    return found


def _owned_jobs(conn: sa.Connection, kind: str, values: Sequence[str]) -> set[JobKey]:
    c = job_requests.c
    owner = c[f"{kind}_id"].in_(values) | c[f"{kind}_name"].in_(values)
    query = sa.select(c.source_id, c.job_id).where(owner, c.job_id.is_not(None))
    return {JobKey(*row) for row in conn.execute(query)}


def _saying(conn: sa.Connection, words: Sequence[str]) -> set[JobKey]:
    """Compared here, not by the database: each of the three has its own idea of capital letters."""
    wanted = [word.casefold() for word in words]
    digests = {prompt_fingerprint(word, Options(prompts="hash")) for word in words}
    found: set[JobKey] = set()
    for table in (video_jobs, video_job_versions):
        c = table.c
        columns = (c.source_id, c.job_id, c.prompt, c.error_message, c.extra)
        query = sa.select(*columns).where(c.prompt.is_not(None) | c.extra.is_not(None))
        for row in conn.execute(query.execution_options(yield_per=_AT_ONCE)):
            if row.prompt in digests or _says(texts_of(row), wanted):
                found.add(JobKey(row.source_id, row.job_id))
    return found | _rejects_saying(conn, wanted)


def _says(texts: QuotingTexts, wanted: Iterable[str]) -> bool:
    said = [text.casefold() for text in find_texts(texts)]
    return any(word in text for word in wanted for text in said)


def _rejects_saying(conn: sa.Connection, wanted: Sequence[str]) -> set[JobKey]:
    c = rejected_items.c
    query = sa.select(c.source_id, c.job_id, c.payload).where(c.payload.is_not(None), c.job_id.is_not(None))
    rows = conn.execute(query)
    return {JobKey(row.source_id, row.job_id) for row in rows if bytes_say(row.payload, wanted)}


def bytes_say(payload: bytes, wanted: Iterable[str]) -> bool:
    """Whether a payload holds one of these (case-folded) texts, as they are or escaped in JSON."""
    plain = payload.decode("utf-8", "replace").casefold()
    return any(word in plain or encode_basestring_ascii(word)[1:-1] in plain for word in wanted)


def _find_twins(conn: sa.Connection, chosen: set[JobKey]) -> set[JobKey]:
    """The same jobs as other sources of the gateway have them."""
    ids, c, found = sorted({key.job_id for key in chosen}), video_jobs.c, set[JobKey]()
    for start in range(0, len(ids), _CHUNK):
        query = sa.select(c.source_id, c.job_id, c.twin_source_id)
        rows = conn.execute(query.where(c.job_id.in_(ids[start : start + _CHUNK]))).all()
        counted = {(row.twin_source_id or row.source_id, row.job_id): False for row in rows}
        for row in rows:
            if JobKey(row.source_id, row.job_id) in chosen:
                counted[row.twin_source_id or row.source_id, row.job_id] = True
        found.update(
            JobKey(row.source_id, row.job_id)
            for row in rows
            if counted[row.twin_source_id or row.source_id, row.job_id]
        )
    return found
