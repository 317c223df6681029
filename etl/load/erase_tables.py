"""What an erasure does to each table. Without a time (`at`) it only counts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from etl.load.erase_selection import bytes_say
from etl.load.job_details import next_details
from etl.records import TRACKED
from etl.schema.tables import (
    coverage_gaps,
    job_details,
    job_requests,
    list_pages,
    rejected_items,
    sync_runs,
    video_job_versions,
    video_jobs,
)
from etl.transform.erasing import (
    QuotingTexts,
    erase_members,
    erase_message,
    erase_quotations,
    erase_texts,
    find_texts,
    texts_of,
)

_AT_ONCE = 200
#: A shorter prompt says nothing of whose an answer is; then only the id does.
_TELLING = 8


@dataclass(slots=True)
class Erased:
    """How many rows lose texts, by table; `jobs` counts those chosen, erased before or not."""

    jobs: int = 0
    video_jobs: int = 0
    video_job_versions: int = 0
    list_pages: int = 0
    rejected_items: int = 0
    job_requests: int = 0
    job_details: int = 0
    sync_runs: int = 0
    coverage_gaps: int = 0

    @property
    def rows(self) -> int:
        """The counts of all tables together."""
        return sum(getattr(self, name) for name in self.__slots__ if name != "jobs")


class Chosen(NamedTuple):
    """Jobs of one source, and the known prompts of each. Without a time (`at`) nothing is written."""

    source_id: int
    ids: Sequence[str]
    prompts: Mapping[str, set[str]]
    at: datetime | None

    def among(self, table: sa.Table) -> sa.ColumnElement[bool]:
        return _of(table, self.source_id, self.ids)


def erase(
    conn: sa.Connection,
    source_id: int,
    ids: Sequence[str],
    words: Sequence[str],
    done: Erased,
    *,
    at: datetime | None,
) -> None:
    """Take the texts of these jobs of one source out of every table, and count the rows in `done`."""
    chosen, before = Chosen(source_id, ids, _known_prompts(conn, source_id, ids), at), done.rows
    done.rejected_items += _erase_rejects(conn, chosen, words)
    done.list_pages += _erase_pages(conn, chosen)
    done.job_requests += _erase_requests(conn, chosen)
    done.job_details += _erase_details(conn, chosen)
    done.sync_runs += _erase_log(conn, chosen, sync_runs.c.id, sync_runs.c.error_message)
    done.coverage_gaps += _erase_log(conn, chosen, coverage_gaps.c.id, coverage_gaps.c.reason)
    done.video_job_versions += _erase_versions(conn, chosen)
    done.video_jobs += _erase_states(conn, chosen, more=done.rows > before)


def _of(table: sa.Table, source_id: int, ids: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.and_(table.c.source_id == source_id, table.c.job_id.in_(ids))


def _known_prompts(conn: sa.Connection, source_id: int, ids: Sequence[str]) -> dict[str, set[str]]:
    """For each job every prompt that its state or a version of it names."""
    found: dict[str, set[str]] = {job_id: set() for job_id in ids}
    for table in (video_jobs, video_job_versions):
        columns = (table.c.job_id, table.c.prompt, table.c.error_message, table.c.extra)
        for row in conn.execute(sa.select(*columns).where(_of(table, source_id, ids))):
            found[row.job_id].update(find_texts(texts_of(row)))
    return found


def _erase_versions(conn: sa.Connection, chosen: Chosen) -> int:
    c = video_job_versions.c
    columns = (c.change_seq, c.job_id, c.prompt, c.error_message, c.extra)
    rows = conn.execute(sa.select(*columns).where(chosen.among(video_job_versions))).all()
    changed = [
        (row, kept)
        for row in rows
        if (kept := erase_texts(texts_of(row), chosen.prompts[row.job_id])) != texts_of(row)
    ]
    if chosen.at is not None:
        for row, kept in changed:
            update = sa.update(video_job_versions).where(c.change_seq == row.change_seq)
            conn.execute(update.values(**kept._asdict()))
    return len(changed)


def _erase_states(conn: sa.Connection, chosen: Chosen, *, more: bool) -> int:
    """The current state, and a version that tells the feed; again where `more` was found of a job that was
    erased before."""
    rows = conn.execute(sa.select(video_jobs).where(chosen.among(video_jobs))).mappings().all()
    new = [row for row in rows if row["erased_at"] is None]
    if chosen.at is not None and rows:
        run_id = conn.scalar(
            sa.select(sa.func.max(sync_runs.c.id)).where(sync_runs.c.source_id == chosen.source_id)
        )
        for row in rows:
            _erase_state(conn, row, chosen.prompts[row["job_id"]], chosen.at, run_id, more=more)
    return len(new)


def _erase_state(
    conn: sa.Connection, row: Any, prompts: set[str], at: datetime, run_id: int | None, *, more: bool
) -> None:
    before = QuotingTexts(row["prompt"], row["error_message"], row["extra"])
    kept = erase_texts(before, prompts)._asdict()
    fields = [name for name, value in kept.items() if value != row[name]]
    if row["erased_at"] is not None and not (fields or more):
        return
    moment, version = max(at, row["last_changed_at"]), row["version"] + 1
    own = {"version": version, "last_changed_at": moment, "erased_at": at}
    conn.execute(
        sa.update(video_jobs)
        .where(video_jobs.c.source_id == row["source_id"], video_jobs.c.job_id == row["job_id"])
        .values(**kept, **own)
    )
    told = {name: row[name] for name in ("source_id", "job_id", *TRACKED, "unlisted_reason")} | kept
    told |= {"version": version, "op": "erase", "valid_from": moment, "run_id": run_id or row["first_run_id"]}
    conn.execute(sa.insert(video_job_versions).values(**told, changed_fields=_json_names(fields)))


def _json_names(names: Sequence[str]) -> str:
    return "[" + ",".join(f'"{name}"' for name in names) + "]"


def _erase_rejects(conn: sa.Connection, chosen: Chosen, words: Sequence[str]) -> int:
    """The bytes of items that name the job, or that nobody can tell whose they are and that say the words."""
    c, wanted = rejected_items.c, [word.casefold() for word in words]
    query = sa.select(c.id, c.job_id, c.payload, c.reason).where(c.source_id == chosen.source_id)
    rows = conn.execute(query.where(c.payload.is_not(None))).all()
    named = set(chosen.ids)
    gone = [r for r in rows if r.job_id in named or (r.job_id is None and bytes_say(r.payload, wanted))]
    if chosen.at is not None:
        for row in gone:
            values = {"payload": None, "reason": erase_message(row.reason)}
            conn.execute(sa.update(rejected_items).where(c.id == row.id).values(**values))
    return len(gone)


def _erase_pages(conn: sa.Connection, chosen: Chosen) -> int:
    """Raw answers that show one of the jobs go as a whole: nothing is computed from them."""
    c, gone, last = list_pages.c, dict[int, dict[str, Any]](), 0
    known = {text for texts in chosen.prompts.values() for text in texts}
    wanted = [job_id.partition(":")[0].casefold() for job_id in chosen.ids]
    wanted += [text.casefold() for text in known if len(text) >= _TELLING]
    texts = (c.raw_request, c.raw_response, c.extra)
    says = sa.or_(*(text.is_not(None) for text in texts))
    query = sa.select(c.id, *texts).where(c.source_id == chosen.source_id, says).order_by(c.id)
    while rows := conn.execute(query.where(c.id > last).limit(_AT_ONCE)).all():
        last = rows[-1].id
        for row in rows:
            said = f"{row.raw_request or ''}\n{row.raw_response or ''}".encode()
            if bytes_say(said, wanted):
                gone[row.id] = {"raw_request": None, "raw_response": None}
            if row.extra is not None and (kept := erase_members(row.extra, known)) != row.extra:
                gone.setdefault(row.id, {})["extra"] = kept
    if chosen.at is not None:
        for page, values in gone.items():
            conn.execute(sa.update(list_pages).where(c.id == page).values(**values))
    return len(gone)


def _erase_requests(conn: sa.Connection, chosen: Chosen) -> int:
    c = job_requests.c
    query = sa.select(c.request_id, c.job_id, c.error_message).where(chosen.among(job_requests))
    rows = conn.execute(query.where(c.error_message.is_not(None))).all()
    kept = [(row, erase_message(row.error_message, chosen.prompts[row.job_id])) for row in rows]
    changed = [(row, text) for row, text in kept if text != row.error_message]
    if chosen.at is not None:
        newest = sa.select(sa.func.max(c.request_seq)).where(c.source_id == chosen.source_id)
        for place, (row, text) in enumerate(changed, start=(conn.scalar(newest) or 0) + 1):
            mine = (c.source_id == chosen.source_id, c.request_id == row.request_id)
            values = {"error_message": text, "request_seq": place}  # told anew, so the feed follows
            conn.execute(sa.update(job_requests).where(*mine).values(**values))
    return len(changed)


def _erase_details(conn: sa.Connection, chosen: Chosen) -> int:
    c = job_details.c
    query = sa.select(c.job_id, c.filter_reasons).where(chosen.among(job_details))
    rows = conn.execute(query.where(c.filter_reasons.is_not(None))).all()
    kept = [(row.job_id, erase_message(row.filter_reasons, chosen.prompts[row.job_id])) for row in rows]
    changed = [(job_id, text) for (job_id, text), row in zip(kept, rows, strict=True) if text != row[1]]
    if chosen.at is not None and changed:
        numbers = next_details(conn, chosen.source_id)  # told anew, so the feed follows
        for job_id, text in changed:
            update = sa.update(job_details).where(c.source_id == chosen.source_id, c.job_id == job_id)
            conn.execute(update.values(filter_reasons=text, detail_seq=next(numbers)))
    return len(changed)


def _erase_log(conn: sa.Connection, chosen: Chosen, key: sa.Column[int], text: sa.Column[str]) -> int:
    """Messages of the source's log that quote one of the prompts."""
    table, known = key.table, {text for texts in chosen.prompts.values() for text in texts}
    query = sa.select(key, text).where(table.c.source_id == chosen.source_id, text.is_not(None))
    kept = [(row[0], erase_quotations(row[1], known), row[1]) for row in conn.execute(query)]
    changed = [(number, new) for number, new, old in kept if new != old]
    if chosen.at is not None:
        for number, new in changed:
            conn.execute(sa.update(table).where(key == number).values({text: new}))
    return len(changed)
