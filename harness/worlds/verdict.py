"""Is what is stored what was sent? Known from the gateway's own log and life, never from the product's code.

Findings are sentences "kind: what"; none is good.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator

from etl.errors import AnotherAccount, EtlError, LeaseLost, SuspiciousScan
from harness.worlds.gateway import Gateway
from harness.worlds.stored import State, Stored, moment, state_of
from harness.worlds.told import Played, Told
from harness.worlds.world import Job, World

#: Lies about what is listed; the other ones only dress the truth.
HARMFUL = {
    *("false_end", "empty", "null_data", "less", "repeat", "cursor_ignored", "order_ignored"),
    *("other_account", "dropped", "hollow", "moved"),
}

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
    elif _is_healthy(played, told) and not is_excused(played, name):
        yield f"needless failure: {name}: {error}"


def is_excused(played: Played, name: str) -> bool:
    """A scan that looks wrong is refused even where it is right, and so is a page of items without ids; a
    gateway that lists oldest first only may be too short of times for `order: auto`; and once two accounts
    have answered, runs fail until a person pins a key."""
    return (
        name in ("SuspiciousScan", "PagingError")
        or (name == "OrderIgnored" and played.gateway.character.order == "asc")
        or (name == "AnotherAccount" and any("other_account" in sent.lies for sent in played.gateway.log))
    )


def began_with_strangers(gateway: Gateway) -> bool:
    """Then theirs is the account that the source mirrors, until a person says otherwise."""
    first = next((sent for sent in gateway.log if sent.items), None)
    return first is not None and "other_account" in first.lies


def waits_for_a_pin(played: Played) -> bool:
    """Two accounts have answered and are refused: what is stored is true, and nothing more is read."""
    told = (AnotherAccount, SuspiciousScan) if played.gateway.character.alternates else AnotherAccount
    refused = any(run.result and isinstance(run.result.error, told) for run in played.runs[-3:])
    strange = any("other_account" in sent.lies for sent in played.gateway.log)
    return strange and refused


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
    full = told.result is not None and is_full(played, told)
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
    may_miss = not character.alternates or character.ties == "moving" or _nobody_asks(played.world)
    for job in steady_jobs(played.gateway, told):
        row = stored.jobs.get(played.gateway.id_of(job))
        if row is not None and row["unlisted_at"] is not None and job.gone is None:
            yield f"false unlist: {row['job_id']} ({row['unlisted_reason']}) was listed all the time"
        blind = row is None and job.odd is None and not is_covered(played.gateway, job, stored)
        if blind and not may_miss:
            yield f"blind: {job.name} is not stored, two accounts answer, and the {told.kind} was ok"


def _nobody_asks(world: World) -> bool:
    """No answer names its account, and a person has switched off that syncs ask: `status` and `check` say
    that jobs may then be missing."""
    return not world.settings.probe and world.character.dialect != "bifrost2"


def is_full(played: Played, told: Told) -> bool:
    """It read the whole list itself: a first load that goes on where another run stopped has not."""
    kind = told.result and told.result.kind
    return kind == "reconcile" or (
        kind == "first" and not any(s.items for s in played.gateway.log[: told.first])
    )


def _listed(played: Played, told: Told, stored: Stored, *, full: bool) -> Iterator[str]:
    gateway = played.gateway
    for job in steady_jobs(gateway, told):
        job_id = gateway.id_of(job)
        row = stored.jobs.get(job_id)
        if job.odd is not None:
            text = json.dumps(gateway.shown(job, told.until)).encode()
            if text not in stored.payloads and not is_covered(gateway, job, stored):
                yield f"reject missing: {job.odd} item {job.name}"
        elif row is None:
            hidden = not full and _was_hidden(played, told, job)
            if not hidden and not is_covered(gateway, job, stored):
                yield f"lost: {job_id} born {job.born:.1f} was always listed, and the {told.kind} was ok"
        elif row["unlisted_at"] is not None:
            if full or job.gone is None:
                yield f"unlisted: {job_id} ({row['unlisted_reason']}) was listed all the time"
        elif _is_due(played, told, job, full=full) and stored.state(row) not in states(gateway, job, told):
            if is_covered(gateway, job, stored):
                continue
            yield f"stale: {job_id} is stored as {stored.state(row)}, was {states(gateway, job, told)[-1]}"


def _was_hidden(played: Played, told: Told, job: Job) -> bool:
    """Not listed when the whole list was read last, and older, or when a tick passed its place: there only a
    full scan looks."""
    green = [run for run in played.runs if run is not told and run.status == "ok"]
    full = [run for run in green if is_full(played, run)]
    if any(job.gone is not None and job.gone <= run.since and run.until < (job.back or 0.0) for run in green):
        return bool(full)
    return bool(full) and job.shown < full[-1].since and job not in played.gateway.listed(full[-1].until)


def steady_jobs(gateway: Gateway, told: Told) -> list[Job]:
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
    if is_given_up(played, told, job):
        return False
    if job.gone is not None and job.gone < told.until:
        return False
    last = played.last_sent(told).get(played.gateway.id_of(job))
    return last is None or state_of(last)[0] in ("queued", "in_progress")


def is_given_up(played: Played, told: Told, job: Job) -> bool:
    """Ticks wait no longer for it: a bounded number of these is read by id."""
    age = told.until - job.born + abs(played.gateway.character.skew) + _clock_errs(played.world)
    return age > 0.9 * played.world.settings.patience


def _clock_errs(world: World) -> float:
    return max((abs(action.clock or 0.0) for action in world.actions), default=0.0)


def is_covered(gateway: Gateway, job: Job, stored: Stored) -> bool:
    """The tables say that they do not know: an unreadable stretch between two jobs, or a gap in time."""
    order = {gateway.id_of(each): place for place, each in enumerate(gateway._order)}
    place = order[gateway.id_of(job)]
    for row in stored.rejects:
        low, high = order.get(row["after_id"], -1), order.get(row["before_id"], len(order))
        if row["payload"] is None and low < place < high:
            return True
    created = moment(gateway.contract_of(job, 0).get("created_at")) or ""
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
    came, sums = len(told.sent), _sums_of_requests(run, stored)
    if came not in sums:
        yield f"counts: run {run['id']} and those before it say {sums} requests; {came} came"


def _sums_of_requests(run: sqlite3.Row, stored: Stored) -> list[int]:
    """Of the run; with the one before, where it may have left this one, of another kind, to do; and so on."""
    query = "SELECT id, kind, requests FROM sync_runs WHERE id = ? - 1 AND status = 'ok' AND kind <> ?"
    sums = [int(run["requests"])]
    before = stored.conn.execute(query, (run["id"], run["kind"])).fetchone()
    while before is not None:
        sums.append(sums[-1] + int(before["requests"]))
        before = stored.conn.execute(query, (before["id"], before["kind"])).fetchone()
    return sums
