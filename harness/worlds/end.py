"""What the tables must say at the end, when the disorder is over: see `verdict`."""

from __future__ import annotations

import json
import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Iterator

from harness.worlds.gateway import Gateway
from harness.worlds.stored import Row, State, Stored, state_of
from harness.worlds.told import Played, Told
from harness.worlds.verdict import (
    began_with_strangers,
    is_excused,
    is_given_up,
    states,
    steady_jobs,
    waits_for_a_pin,
)


def at_the_end(played: Played, conn: sqlite3.Connection) -> list[str]:
    """After the calm."""
    stored = Stored(conn)
    said = [
        *_history(played, stored),
        *_at_rest(
            stored,
            unreadable=played.gateway.character.ignores_after
            or _shows_no_way(played.runs[-1])
            or (played.gateway.character.has_more in ("absent", "null") and _names_nothing(played.runs[-1])),
        ),
        *_totals(stored),
    ]
    if began_with_strangers(played.gateway) or waits_for_a_pin(played):
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
    """Every state that was ever sent, by job. An answer by id leaves out what is zero, says no status where
    the list says none, and is not asked when the job was created: of that whatever was sent counts."""
    found: dict[str, set[State]] = defaultdict(set)
    for entry in gateway.log:
        for item in entry.items or ():
            if isinstance(item, dict) and "id" in item:
                found[item["id"]].add(state_of(item))
    return {job_id: _with_each_creation(states) for job_id, states in found.items()}


def _with_each_creation(states: set[State]) -> set[State]:
    at = 4  # where `created_at` stands in a state
    return {(*state[:at], other[at], *state[at + 1 :]) for state in states for other in states}


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


def _names_nothing(told: Told) -> bool:
    """A list that shows items but no id, and never says whether more follow, may go on behind its page, and
    nobody could ask where: a run must fail."""
    pages = [sent for sent in told.sent if sent.path == "/v1/videos" and sent.items is not None]
    items = [item for sent in pages for item in sent.items or ()]
    return bool(items) and not any(isinstance(item, dict) and item.get("id") for item in items)


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
        if told.status != "ok" and not is_excused(played, type(error).__name__):
            yield f"calm: the {told.kind} is {told.status}: {type(error).__name__}: {error}"


def _order(played: Played, stored: Stored) -> Iterator[str]:
    """Positions give the gateway's order."""
    gateway, last = played.gateway, played.runs[-1]
    if gateway.world.lies or gateway.character.ties == "moving" or any(sent.poisoned for sent in gateway.log):
        return
    steady = [job for job in steady_jobs(gateway, last) if gateway.id_of(job) in stored.jobs]
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
    for job in steady_jobs(gateway, whole):
        row = stored.jobs.get(gateway.id_of(job))
        if row is not None and stored.state(row) not in states(gateway, job, whole):
            yield f"stale: {row['job_id']} ends as {stored.state(row)}"


def _idle(played: Played, stored: Stored) -> Iterator[str]:
    """A tick of a world that stands still writes no version."""
    last = played.runs[-1]
    if played.gateway.character.moves_by_id:
        return  # a few more jobs are read by id at each tick
    if last.result is None or last.status != "ok" or not _stands_still(played, played.runs[-2:]):
        return
    query = "SELECT job_id, op FROM video_job_versions WHERE run_id = ?"
    rows: Iterable[Row] = stored.conn.execute(query, (last.result.run_id,))
    for row in rows:
        if not is_given_up(played, last, played.gateway._by_id[row["job_id"]]):
            yield f"idle: the last tick wrote {row['op']} of {row['job_id']}"


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
