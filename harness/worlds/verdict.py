"""Is what is stored what was sent? Known from the gateway's own log and life, never from the product's code.

Findings are sentences "kind: what"; none is good. A job's state is a tuple, `FIELDS`, made here by hand from
the item as sent, and from the row as SQLite gives it.
"""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any

from etl.errors import EtlError, LeaseLost
from harness.worlds.gateway import Gateway
from harness.worlds.told import Played, Told
from harness.worlds.world import Job, World

FIELDS = "status, prompt, size, seconds, created_at, completed_at, expires_at, error_code, error_message"
#: Lies about what is listed; the other ones only dress the truth.
HARMFUL = {
    *("false_end", "empty", "null_data", "less", "repeat", "cursor_ignored", "order_ignored"),
    *("other_account", "dropped", "hollow", "moved"),
}
State = tuple[Any, ...]
Row = sqlite3.Row


def state_of(item: dict[str, Any]) -> State:
    """A job as sent, in the words of the table."""
    error = item.get("error") or {}
    status = item.get("status")
    if status is None:
        status = "completed" if item.get("completed_at") or item.get("progress") == 100 else None
        status = (
            "failed" if error.get("code") else status or ("in_progress" if item.get("progress") else "queued")
        )
    times = tuple(_moment(item.get(name)) for name in ("created_at", "completed_at", "expires_at"))
    words = (error.get("code") or None, error.get("message") or None)
    return (status, item.get("prompt"), item.get("size"), float(item.get("seconds", 0)), *times, *words)


def _moment(seconds: Any) -> str | None:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S.%f") if seconds else None


class Stored:
    """One look at the tables."""

    def __init__(self, conn: sqlite3.Connection) -> None:
        self.conn = conn
        rows = conn.execute("SELECT * FROM video_jobs ORDER BY list_position")
        self.jobs: dict[str, Row] = {row["job_id"]: row for row in rows}
        self.rejects = conn.execute("SELECT * FROM rejected_items").fetchall()
        self.gaps = conn.execute("SELECT * FROM coverage_gaps").fetchall()
        self.payloads = {bytes(row["payload"]) for row in self.rejects if row["payload"] is not None}

    def state(self, row: Row) -> State:
        return tuple(row[name] for name in FIELDS.split(", "))

    def versions(self) -> dict[str, list[Row]]:
        found = defaultdict(list)
        for row in self.conn.execute("SELECT * FROM video_job_versions ORDER BY job_id, version"):
            found[row["job_id"]].append(row)
        return found

    def one(self, query: str) -> Any:
        return self.conn.execute(query).fetchone()[0]


# --- after each run -------------------------------------------------------------------------------


def after_run(played: Played, conn: sqlite3.Connection) -> list[str]:
    told, stored = played.runs[-1], Stored(conn)
    said = list(_ending(played, told))
    if told.status == "ok":
        said += _green(played, told, stored)
        said += _no_false_unlist(played, told, stored)
    said += _counts(told, stored)
    return said


def _ending(played: Played, told: Told) -> Iterator[str]:
    error = told.result.error if told.result is not None else None
    if told.status != "failed":
        return
    name = type(error).__name__
    if not isinstance(error, EtlError):
        yield f"broke: {name}: {error}"
    elif _is_healthy(played, told) and not _is_excused(played, name):
        yield f"needless failure: {name}: {error}"


def _is_excused(played: Played, name: str) -> bool:
    """A scan that looks wrong is refused even where it is right, and so is a page of items without ids; a
    gateway that lists oldest first only may be too short of times for `order: auto`; and once two accounts
    have answered, runs fail until a person pins a key."""
    return (
        name in ("SuspiciousScan", "PagingError")
        or (name == "OrderIgnored" and played.gateway.character.order == "asc")
        or (name == "AnotherAccount" and any("other_account" in sent.lies for sent in played.gateway.log))
    )


def _began_with_strangers(gateway: Gateway) -> bool:
    """Then theirs is the account that the source mirrors, until a person says otherwise."""
    first = next((sent for sent in gateway.log if sent.items), None)
    return first is not None and "other_account" in first.lies


def _is_healthy(played: Played, told: Told) -> bool:
    """Nothing that was sent in this run could disturb anybody."""
    gateway = played.gateway
    if gateway.character.ignores_after or not told.honest:
        return False
    return _base_is_clean(played) and not any(sent.poisoned for sent in told.sent)


def _base_is_clean(played: Played) -> bool:
    """No lie was told since the beginning, or since a full scan that nobody lied to."""
    clean = True
    for run in played.runs:
        lied = any(HARMFUL & set(sent.lies) for sent in run.sent)
        if lied:
            clean = False
        elif run.status == "ok" and run.kind == "reconcile" and run.result and run.result.kind == "reconcile":
            clean = True
    return clean


def _green(played: Played, told: Told, stored: Stored) -> Iterator[str]:
    """What a run that says ok must have left, when nobody lied to it."""
    if not _base_is_clean(played) or played.gateway.character.ignores_after:
        return
    full = told.result is not None and _is_full(played, told)
    yield from _listed(played, told, stored, full=full)
    if told.result is not None and told.result.kind == "reconcile":
        yield from _no_longer_listed(played, told, stored)


def _no_false_unlist(played: Played, told: Told, stored: Stored) -> Iterator[str]:
    """Whatever order jobs of one second come in, and whoever else answers."""
    character = played.gateway.character
    if character.ties != "moving" and not character.alternates:
        return
    if any(HARMFUL - {"moved", "other_account"} & set(sent.lies) for sent in played.gateway.log):
        return
    for job in _steady(played.gateway, told):
        row = stored.jobs.get(played.gateway.id_of(job))
        if row is not None and row["unlisted_at"] is not None and job.gone is None:
            yield f"false unlist: {row['job_id']} ({row['unlisted_reason']}) was listed all the time"
        if row is None and character.alternates and not _is_covered(played.gateway, job, stored):
            yield f"blind: {job.name} is not stored, two accounts answer, and the {told.kind} was ok"


def _is_full(played: Played, told: Told) -> bool:
    """It read the whole list itself: a first load that goes on where another run stopped has not."""
    kind = told.result and told.result.kind
    return kind == "reconcile" or (
        kind == "first" and not any(s.items for s in played.gateway.log[: told.first])
    )


def _listed(played: Played, told: Told, stored: Stored, *, full: bool) -> Iterator[str]:
    gateway = played.gateway
    for job in _steady(gateway, told):
        job_id = gateway.id_of(job)
        row = stored.jobs.get(job_id)
        if job.odd is not None:
            text = json.dumps(gateway.shown(job, told.until)).encode()
            if text not in stored.payloads and not _is_covered(gateway, job, stored):
                yield f"reject missing: {job.odd} item {job.name}"
        elif row is None:
            came_back = not full and job.back is not None  # at its old place, where only a full scan looks
            if not came_back and not _is_covered(gateway, job, stored):
                yield f"lost: {job_id} born {job.born:.1f} was always listed, and the {told.kind} was ok"
        elif row["unlisted_at"] is not None:
            if full or job.gone is None:
                yield f"unlisted: {job_id} ({row['unlisted_reason']}) was listed all the time"
        elif _is_due(played, told, job, full=full) and stored.state(row) not in states(gateway, job, told):
            if _is_covered(gateway, job, stored):
                continue
            yield f"stale: {job_id} is stored as {stored.state(row)}, was {states(gateway, job, told)[-1]}"


def _steady(gateway: Gateway, told: Told) -> list[Job]:
    """Listed from the run's first moment to its last."""
    before, after = gateway.listed(told.since), gateway.listed(told.until)
    stayed = {id(job) for job in before}
    return [
        job
        for job in after
        if id(job) in stayed and not (job.gone is not None and told.since <= job.gone <= told.until)
    ]


def states(gateway: Gateway, job: Job, told: Told) -> list[State]:
    """What pages could show of it during the run."""
    moments = [step[0] for step in job.steps] + [edit[0] for edit in job.edits]
    times = [told.since, *sorted(t for t in moments if told.since < t <= told.until)]
    return [state_of(gateway.shown(job, moment)) for moment in times]


def _is_due(played: Played, told: Told, job: Job, *, full: bool) -> bool:
    """Its present state must be known: a full scan shows every job, a tick those that were open."""
    if played.gateway.character.moves_by_id:
        return False  # a bounded number is read by id
    if played.gateway.is_poison(job, told.since) or played.gateway.is_poison(job, told.until):
        return False
    if full:
        return True
    if (
        told.until - job.born + abs(played.gateway.character.skew) + _clock_errs(played.world)
        > 0.9 * played.world.settings.patience
    ):
        return False
    if job.gone is not None and job.gone < told.until:
        return False
    last = played.last_sent(told).get(played.gateway.id_of(job))
    return last is None or state_of(last)[0] in ("queued", "in_progress")


def _clock_errs(world: World) -> float:
    return max((abs(action.clock or 0.0) for action in world.actions), default=0.0)


def _is_covered(gateway: Gateway, job: Job, stored: Stored) -> bool:
    """The tables say that they do not know: an unreadable stretch between two jobs, or a gap in time."""
    order = {gateway.id_of(each): place for place, each in enumerate(gateway._order)}
    place = order[gateway.id_of(job)]
    for row in stored.rejects:
        low, high = order.get(row["after_id"], -1), order.get(row["before_id"], len(order))
        if row["payload"] is None and low < place < high:
            return True
    created = _moment(gateway._contract(job, 0).get("created_at")) or ""
    return any((gap["gap_from"] or "") <= created <= (gap["gap_until"] or "9999") for gap in stored.gaps)


def _no_longer_listed(played: Played, told: Told, stored: Stored) -> Iterator[str]:
    gateway = played.gateway
    if any(sent.poisoned for sent in told.sent):
        return
    listed = {gateway.id_of(job) for at in (told.since, told.until) for job in gateway.listed(at)}
    for job_id, row in stored.jobs.items():
        if row["unlisted_at"] is None and job_id not in listed and not _came_between(gateway, job_id, told):
            yield f"still listed: {job_id} is not, and the reconcile was ok"


def _came_between(gateway: Gateway, job_id: str, told: Told) -> bool:
    job = gateway._by_id[job_id]
    return any(told.since <= t <= told.until for t in (job.shown, job.back or -1.0, job.gone or -1.0))


def _counts(told: Told, stored: Stored) -> Iterator[str]:
    """Of the newest run: what it says it did is what was sent to it."""
    if told.result is None or told.result.run_id is None:
        return
    run = stored.conn.execute("SELECT * FROM sync_runs WHERE id = ?", (told.result.run_id,)).fetchone()
    parts = sum(run[f"jobs_{part}"] for part in ("inserted", "updated", "unchanged", "rejected"))
    if run["jobs_seen"] != parts:
        yield f"counts: run {run['id']} saw {run['jobs_seen']}, accounts for {parts}"
    if run["status"] != told.status and not isinstance(told.result.error, LeaseLost):
        yield f"counts: run {run['id']} is {run['status']}, its result {told.status}"
    if run["requests"] != len(told.sent):
        yield f"counts: run {run['id']} says {run['requests']} requests, {len(told.sent)} came"


# --- at the end -----------------------------------------------------------------------------------


def at_the_end(played: Played, conn: sqlite3.Connection) -> list[str]:
    """After the calm."""
    stored = Stored(conn)
    said = [
        *_history(played, stored),
        *_at_rest(
            stored, unreadable=played.gateway.character.ignores_after or _shows_no_way(played.runs[-1])
        ),
        *_totals(stored),
    ]
    if _began_with_strangers(played.gateway):
        return [*_history(played, stored), *_calm_runs(played)]
    if not played.gateway.character.ignores_after:
        said += [*_calm_runs(played), *_order(played, stored), *_idle(played, stored)]
        said += _last_states(played, stored)
    return said


def _history(played: Played, stored: Stored) -> Iterator[str]:
    """Versions: 1 to n, rising, each true, none equal to the one before; the newest is the job."""
    sent = _sent(played.gateway)
    versions = stored.versions()
    yield from (f"history: {job_id} has none" for job_id in stored.jobs.keys() - versions.keys())
    for job_id, rows in versions.items():
        job = stored.jobs.get(job_id)
        if job is None:
            yield f"history: {job_id} has versions, but no row"
            continue
        if [row["version"] for row in rows] != list(range(1, job["version"] + 1)):
            yield f"history: {job_id} has versions {[row['version'] for row in rows]}, is at {job['version']}"
        if stored.state(rows[-1]) != stored.state(job):
            yield f"history: the newest version of {job_id} is not the job"
        if (rows[-1]["op"] == "unlist") != (job["unlisted_at"] is not None):
            yield f"history: {job_id} ends with {rows[-1]['op']}, unlisted_at {job['unlisted_at']}"
        yield from _steps(job_id, rows, sent.get(job_id, set()), stored)


def _steps(job_id: str, rows: list[Row], sent: set[State], stored: Stored) -> Iterator[str]:
    for before, after in zip([None, *rows], rows, strict=False):
        name, state = f"version {after['version']} ({after['op']}) of {job_id}", stored.state(after)
        if state not in sent:
            yield f"untrue: {name} tells what was never sent: {state}"
        if (before is None) != (after["op"] == "insert"):
            yield f"history: {name} stands in the wrong place"
        if before is None:
            continue
        if after["valid_from"] < before["valid_from"] or after["change_seq"] <= before["change_seq"]:
            yield f"history: {name} is not later than the one before"
        if after["op"] == "update" and state == stored.state(before):
            yield f"history: {name} equals the one before"
        if after["op"] == "unlist" and before["op"] == "unlist":
            yield f"history: {name} unlists what was unlisted"
        if (after["op"] == "relist") != (before["op"] == "unlist"):
            yield f"history: {name} follows {before['op']}"


def _sent(gateway: Gateway) -> dict[str, set[State]]:
    """Every state that was ever sent, by job. An answer by id leaves out what is zero, and says no status
    where the list says none."""
    found: dict[str, set[State]] = defaultdict(set)
    for entry in gateway.log:
        for item in entry.items or ():
            if isinstance(item, dict) and "id" in item:
                found[item["id"]].add(state_of(item))
    return found


def _at_rest(stored: Stored, *, unreadable: bool) -> Iterator[str]:
    """`unreadable`: no walk through this list comes to its end."""
    for run in stored.conn.execute("SELECT id FROM sync_runs WHERE status = 'running'"):
        yield f"open run: {run['id']} is left running"
    for lease in stored.conn.execute("SELECT holder FROM leases WHERE holder IS NOT NULL"):
        yield f"lease: still held by {lease['holder']}"
    for row in stored.conn.execute("SELECT checkpoint FROM sync_state WHERE checkpoint IS NOT NULL"):
        holes = json.loads(row["checkpoint"]).get("below", [])
        if not unreadable:
            yield f"unfinished: a walk is left: {row['checkpoint']}"
        elif len(holes) > len(set(holes)):
            yield f"grows: the checkpoint names a hole twice: {holes}"
    inserted = stored.one("SELECT coalesce(sum(jobs_inserted), 0) FROM sync_runs")
    if inserted != len(stored.jobs):
        yield f"counts: {len(stored.jobs)} jobs, but runs inserted {inserted}"
    told = stored.one("SELECT coalesce(sum(jobs_unlisted), 0) FROM sync_runs")
    found = stored.one("SELECT count(*) FROM video_job_versions WHERE op = 'unlist'")
    if told != found:
        yield f"counts: {found} unlist versions, but runs unlisted {told}"
    pages = stored.conn.execute(
        "SELECT r.id, r.pages, count(p.id) AS logged FROM sync_runs r LEFT JOIN list_pages p"
        " ON p.run_id = r.id GROUP BY r.id HAVING r.pages <> count(p.id)"
    )
    yield from (f"counts: run {row['id']} has {row['pages']} pages, logged {row['logged']}" for row in pages)


def _totals(stored: Stored) -> Iterator[str]:
    """The totals that reports read, counted once more from the jobs: by day, status and outcome."""
    outcome = (
        "CASE WHEN status IN ('completed', 'failed') THEN status WHEN settled THEN 'stopped'"
        " WHEN unlisted_at IS NULL THEN 'open' ELSE 'vanished' END"
    )
    counted = f"SELECT date(created_at), status, {outcome}, count(*) FROM video_jobs GROUP BY 1, 2, 3"
    kept = "SELECT day, status, outcome, sum(jobs) FROM daily_totals GROUP BY 1, 2, 3 HAVING sum(jobs) <> 0"
    true, said = ({tuple(row) for row in stored.conn.execute(query)} for query in (counted, kept))
    yield from (f"totals: {row} is missing" for row in true - said)
    yield from (f"totals: {row} is wrong" for row in said - true)


def _shows_no_way(told: Told) -> bool:
    """One job, or jobs of one second, before a record that nobody can read do not tell which way the list
    runs: a run must fail."""
    items = [item for sent in told.sent for item in sent.items or () if isinstance(item, dict)]
    return len({item.get("created_at") for item in items}) < 2 and any(sent.poisoned for sent in told.sent)


def _calm_runs(played: Played) -> Iterator[str]:
    for told in [run for run in played.runs if run.calm][-2:]:
        error = told.result and told.result.error
        if _shows_no_way(told):
            continue
        if told.status != "ok" and not _is_excused(played, type(error).__name__):
            yield f"calm: the {told.kind} is {told.status}: {type(error).__name__}: {error}"


def _order(played: Played, stored: Stored) -> Iterator[str]:
    """Positions give the gateway's order."""
    gateway, last = played.gateway, played.runs[-1]
    if gateway.world.lies or gateway.character.ties == "moving" or any(sent.poisoned for sent in gateway.log):
        return
    steady = [job for job in _steady(gateway, last) if gateway.id_of(job) in stored.jobs]
    if gateway.character.order != "both" and len({int(job.born) for job in steady if job.dated}) < 2:
        return  # nothing tells which way such a list runs
    there = [gateway.id_of(job) for job in steady]
    wanted = set(there)
    here = [job_id for job_id in stored.jobs if job_id in wanted]
    if here != there:
        yield "order: positions do not give the gateway's order"


def _last_states(played: Played, stored: Stored) -> Iterator[str]:
    """Every listed job is stored as it was shown since the last full scan began."""
    gateway = played.gateway
    scan = next((run for run in reversed(played.runs) if run.kind == "reconcile"), None)
    if scan is None or scan.status != "ok" or any(sent.poisoned for sent in scan.sent):
        return
    whole = Told("reconcile", scan.since, gateway.now, scan.first, None, True)
    for job in _steady(gateway, whole):
        row = stored.jobs.get(gateway.id_of(job))
        if row is not None and stored.state(row) not in states(gateway, job, whole):
            yield f"stale: {row['job_id']} ends as {stored.state(row)}"


def _idle(played: Played, stored: Stored) -> Iterator[str]:
    """A tick of a world that stands still writes no version."""
    last = played.runs[-1]
    if last.result is None or last.status != "ok" or not _stands_still(played, played.runs[-2:]):
        return
    query = "SELECT job_id, op FROM video_job_versions WHERE run_id = ?"
    rows: Iterable[Row] = stored.conn.execute(query, (last.result.run_id,))
    yield from (f"idle: the last tick wrote {row['op']} of {row['job_id']}" for row in rows)


def _stands_still(played: Played, runs: list[Told]) -> bool:
    gateway, since, until = played.gateway, runs[0].since, runs[-1].until
    moments = [
        t
        for job in gateway.world.jobs
        for t in (
            *(step[0] for step in job.steps),
            *(edit[0] for edit in job.edits),
            *(job.shown, job.gone, job.back, job.poison, job.cured),
            job.born + gateway.character.retention if gateway.character.retention else None,
        )
        if t is not None
    ]
    return not any(since <= t <= until for t in moments)
