"""Jobs that the gateway's log names: read by id when they are new, and again for as long as they are open."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import NamedTuple

import msgspec

from etl.errors import (
    BadRequest,
    Fatal,
    GarbledAnswer,
    GatewayError,
    LogUnreadable,
    NotFound,
    SuspiciousScan,
    Unparseable,
)
from etl.load import (
    Gap,
    jobs_to_reread,
    maker_of,
    parents_of,
    unplaced_jobs,
    unplaced_open,
    waiting_jobs,
)
from etl.log_records import LogRow
from etl.pipeline.read_log import read_log
from etl.pipeline.run import Run
from etl.records import PageRows, RawPage, Reject
from etl.transform import asked_for

#: Where the gap begins that a log without names leaves: one row, whose end moves on.
LOG = "the gateway's log"
#: Jobs per transaction.
AT_ONCE = 100


class Answer(NamedTuple):
    """What a read by id gave: the job, nothing (it is gone), or this job's own trouble."""

    job_id: str
    rows: PageRows | None = None
    trouble: GatewayError | None = None

    @property
    def is_gone(self) -> bool:
        return self.rows is None and self.trouble is None


def follow_log(run: Run) -> None:
    """A source whose jobs are found in the log: what is new, then what is open or, in a reconcile, all."""
    _discover(run)
    if run.store.kind == "reconcile":
        _reread_all(run)
    else:
        _reread_open(run)


def follow_log_beside_list(run: Run) -> None:
    """After the list was read: who asked for jobs; with `discover: both` jobs that it does not list, too.

    A log that refuses does not stop the source: raises LogUnreadable.
    """
    try:
        if run.source.discover == "both":
            follow_log(run)
        else:
            for _ in read_log(run):
                pass
    except (Fatal, NotFound, GarbledAnswer) as error:
        hint = f"the list was read; who asked for jobs is not known. {error.hint or ''}".strip()
        raise LogUnreadable(str(error), status=error.status, hint=hint) from error


def _discover(run: Run) -> None:
    tried: set[str] = set()
    trouble: list[GatewayError] = []
    for unnamed in read_log(run):
        _record_unnamed(run, unnamed)
        trouble += _read_waiting(run, tried)
    trouble += _read_waiting(run, tried)  # those of an earlier run that was killed
    if trouble:
        raise trouble[0]


def _record_unnamed(run: Run, rows: Sequence[LogRow]) -> None:
    """Jobs that were made, and that nobody can find: the log does not say which they are.

    Up to Bifrost 1.5.1 it never does, and those who read their jobs name them: `check` and the documents say
    so."""
    lost = [row for row in rows if row.names_jobs != "polls"]
    if lost and run.source.discover == "logs":
        reason = "the gateway's log does not name jobs: is content logging off? see `bifrost-etl check`"
        run.batch.gaps.append(Gap(None, lost[-1].at, LOG, None, reason))


def _read_waiting(run: Run, tried: set[str]) -> list[GatewayError]:
    """Read every job that waits and was not tried yet; gives the troubles that may pass."""
    store = run.store
    trouble: list[GatewayError] = []
    while True:
        limit = AT_ONCE + 2 * len(tried)
        found = store.read(lambda conn: waiting_jobs(conn, store.source_id, limit))  # noqa: B023 (used at once)
        ids = [each for each in found if each not in tried][:AT_ONCE]
        if not ids:
            return trouble
        tried.update(ids)
        answers, parents = _ask_with_parents(run, ids, store.known(ids))
        tried.update(answers)
        for answer in answers.values():
            _take_new(run, answer)
            if answer.trouble is not None and not _is_its_own(answer.trouble):
                trouble.append(answer.trouble)
        _mark_read(run, ids, answers, parents)
        run.flush()


def _ask_with_parents(
    run: Run, ids: Sequence[str], known: Container[str]
) -> tuple[dict[str, Answer], dict[str, str]]:
    """What is not known of these jobs and of those that they were made from, whose requests may be older
    than the log; and who was made from whom."""
    store = run.store
    answers: dict[str, Answer] = {}
    parents = store.read(lambda conn: parents_of(conn, store.source_id, ids))
    asked = [each for each in ids if each not in known]
    while True:
        for answer in _ask(run, asked, is_new=True):
            answers[answer.job_id] = answer
            for row in answer.rows.jobs if answer.rows is not None else ():
                if row.remixed_from_job_id is not None:
                    parents[row.job_id] = row.remixed_from_job_id
        named = [each for each in dict.fromkeys(parents.values()) if each not in answers]
        stored = store.known(named) if named else {}
        asked = [each for each in named if each not in stored and each not in run.shown]
        if not asked:
            return answers, parents


def _mark_read(
    run: Run, ids: Sequence[str], answers: Mapping[str, Answer], parents: Mapping[str, str]
) -> None:
    """Jobs that need no further look; one waits with the job that it was made from."""
    log = run.log()
    for job_id in ids:
        line = [job_id]
        while (parent := parents.get(line[-1])) is not None and parent not in line:
            line.append(parent)
        told = [answers[each] for each in line if each in answers]
        if any(each.trouble is not None for each in told):
            continue
        (log.missed if any(each.is_gone for each in told) else log.read).append(job_id)


def _take_new(run: Run, answer: Answer) -> None:
    run.shown.add(answer.job_id)
    if answer.rows is not None:
        run.log().found.append(answer.rows)
    elif answer.trouble is not None and _is_its_own(answer.trouble):
        reason = f"the gateway cannot read this job by id: {answer.trouble}"
        run.batch.rejects.append((Reject(reason, None, job_id=answer.job_id), None, run.now()))


def _is_its_own(trouble: GatewayError) -> bool:
    """Not the gateway's trouble, but this job's: its id or its shape."""
    return isinstance(trouble, BadRequest | Unparseable)


def _reread_open(run: Run) -> None:
    """Every open job that is still waited for; of those open for longer a few, longest not read first."""
    store, limit = run.store, run.source.rereads_per_run
    since = run.now() - timedelta(seconds=run.source.open_job_patience)
    fresh = store.read(lambda conn: unplaced_open(conn, store.source_id, since))
    rest = store.read(lambda conn: jobs_to_reread(conn, store.source_id, limit + len(fresh)))
    old = [each for each in rest if each not in set(fresh)]
    if run.source.discover != "logs":
        old = []  # the list's own re-reads see to them
    ids = [each for each in (*fresh, *old[:limit]) if each not in run.shown]
    for chunk in _chunks(ids):
        for answer in _ask(run, chunk):
            _take_known(run, answer)
        run.flush()


def _take_known(run: Run, answer: Answer) -> None:
    """One 404 makes a suspect; one more, in a later run, says that the job is gone."""
    run.batch.reread.append(answer.job_id)
    if answer.rows is not None:
        run.batch.by_id.append(answer.rows)
    elif answer.trouble is None:
        suspected = run.store.known([answer.job_id])[answer.job_id].suspect_run_id
        if suspected is None or suspected == run.store.committed.run_id:
            run.log().suspects.append(answer.job_id)
        else:
            run.batch.gone.append(answer.job_id)


def _reread_all(run: Run) -> None:
    """Every job by id; those answered 404 twice are gone, unless they are too many to be believed."""
    store, last, missing, asked = run.store, "", [], 0
    while True:
        ids = store.read(lambda conn: unplaced_jobs(conn, store.source_id, last, AT_ONCE))  # noqa: B023
        if not ids:
            break
        last, asked = ids[-1], asked + len(ids)
        for answer in _ask(run, [each for each in ids if each not in run.shown]):
            run.batch.reread.append(answer.job_id)
            if answer.rows is not None:
                run.batch.by_id.append(answer.rows)
            elif answer.trouble is None:
                missing.append(answer.job_id)
        run.flush()
    if len(missing) > 1 and 2 * len(missing) > asked and not run.accept_suspicious:
        raise SuspiciousScan(
            f"{len(missing)} of {asked} jobs are not found by id; nothing was marked",
            hint="perhaps another key or account answers; if they really are gone, run `bifrost-etl reconcile"
            " SOURCE --accept-suspicious`",
        )
    for chunk in _chunks(missing):
        run.batch.gone += [each.job_id for each in _ask(run, chunk) if each.is_gone]
        run.flush()


def _chunks(ids: Sequence[str]) -> Iterator[Sequence[str]]:
    return (ids[start : start + AT_ONCE] for start in range(0, len(ids), AT_ONCE))


def _ask(run: Run, ids: Sequence[str], *, is_new: bool = False) -> list[Answer]:
    """Every job by id, several at once. Raises what is not one job's trouble."""
    if not ids:
        return []
    run.obey()
    with ThreadPoolExecutor(max_workers=min(run.source.concurrency, len(ids))) as pool:
        return list(pool.map(lambda job_id: _one(run, job_id, is_new=is_new), ids))


def _one(run: Run, job_id: str, *, is_new: bool) -> Answer:
    run.obey()
    run.tell_reading("job by id")
    try:
        page = run.wait_for(lambda: run.gateway.job(job_id))
        rows = run.pages.transform(_with_request(run, job_id, page) if is_new else page)
    except NotFound as error:
        if not error.json_body:
            raise
        return Answer(job_id)
    except Fatal as error:
        if isinstance(error, BadRequest):
            return Answer(job_id, trouble=error)
        raise
    except GatewayError as error:
        return Answer(job_id, trouble=error)
    jobs = tuple(row._replace(job_id=job_id) for row in rows.jobs[:1])
    return Answer(job_id, replace(rows, jobs=jobs))


def _with_request(run: Run, job_id: str, page: RawPage) -> RawPage:
    """An answer by id that does not even name the model, as the request in the log completes it.

    Of such providers (Gemini, Vertex) it says that the job was created now, at every poll: not believed.
    """
    job = _members(page.items[0]) if page.items else {}
    if not job or job.get("model"):
        return page
    store = run.store
    request_id = store.read(lambda conn: maker_of(conn, store.source_id, job_id))
    asked = {} if request_id is None else asked_for(run.gateway.logs.row(request_id))
    told = {name: value for name, value in job.items() if name != "created_at" and value not in (None, "", 0)}
    return replace(page, items=(msgspec.json.encode({**asked, **told}),))


def _members(item: bytes) -> dict[str, object]:
    try:
        found = msgspec.json.decode(item)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
