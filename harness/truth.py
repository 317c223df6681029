"""What one source's tables must say, given the world that its gateway showed.

Findings are sentences; none is good.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator
from itertools import pairwise
from typing import Any

import sqlalchemy as sa

from etl.schema.tables import metadata
from harness import totals
from harness.observed import CREATED, SHOWN, Observed, Truth, columns

Row = Any


class Tables:
    """One source's rows, read-only."""

    def __init__(self, engine: sa.Engine, source: str) -> None:
        self.engine = engine
        table = metadata.tables["sources"]
        query = sa.select(table.c.id).where(table.c.name == source)
        with engine.connect() as conn:
            self.source_id = conn.execute(query).scalar_one()

    def rows(self, name: str, *order: str) -> Iterator[Row]:
        table = metadata.tables[name]
        query = sa.select(table).where(table.c.source_id == self.source_id)
        with self.engine.connect().execution_options(yield_per=5000) as conn:
            yield from conn.execute(query.order_by(*(table.c[key] for key in order)))

    def histories(self) -> Iterator[tuple[str, list[Row]]]:
        """Versions by job, as numbered; whichever way the database sorts ids, one job's stay together."""
        job_id, found = "", list[Row]()
        for row in self.rows("video_job_versions", "job_id", "version"):
            if row.job_id != job_id:
                if found:
                    yield job_id, found
                job_id, found = row.job_id, []
            found.append(row)
        if found:
            yield job_id, found


def shown(row: Row) -> Truth:
    return tuple(getattr(row, name) for name in SHOWN)


def jobs(tables: Tables, observed: Observed) -> list[str]:
    """Every job ever shown to somebody who read to the end is there; those listed now are as listed now."""
    stored = {row.job_id: row for row in tables.rows("video_jobs", "list_position")}
    said = [f"{job_id}: lost" for job_id in sorted(observed.must - stored.keys())]
    said += [
        f"{job_id}: never shown by the gateway"
        for job_id in sorted(stored.keys() - observed.shown.keys())
        if not observed.is_stranger(job_id)
    ]
    for job_id, row in stored.items():
        truth = observed.listed.get(job_id)
        if truth is None and row.unlisted_at is None:
            said.append(f"{job_id}: stored as listed, but is not")
        elif truth is not None and row.unlisted_at is not None:
            said.append(f"{job_id}: stored as unlisted ({row.unlisted_reason}), but is listed")
        elif truth is not None and shown(row) != truth:
            said.append(f"{job_id}: differs in {_difference(shown(row), truth)}")
    said += _order(tables, observed)
    return said


def _order(tables: Tables, observed: Observed) -> list[str]:
    """Stored positions give the gateway's order."""
    here = [r.job_id for r in tables.rows("video_jobs", "list_position") if r.job_id in observed.listed]
    stored = set(here)
    there = [job_id for job_id in observed.listed if job_id in stored]
    return [] if here == there else ["list positions do not give the gateway's order"]


def _difference(stored: Truth, truth: Truth) -> str:
    return ", ".join(
        f"{n} ({a!r}, not {b!r})" for n, a, b in zip(SHOWN, stored, truth, strict=True) if a != b
    )


def history(tables: Tables, observed: Observed) -> list[str]:
    """Versions: numbered without holes, rising in time, each true once, none equal to the one before."""
    stored = {row.job_id: row for row in tables.rows("video_jobs", "list_position")}
    said: list[str] = []
    sequence: set[int] = set()
    total = 0
    for job_id, versions in tables.histories():
        total += len(versions)
        sequence.update(row.change_seq for row in versions)
        job = stored.pop(job_id, None)
        said += [f"{job_id}: {text}" for text in _life(job, versions)]
        if not observed.spoilt and not observed.is_stranger(job_id):
            truths = observed.shown.get(job_id, [])
            untrue = [f"{row.version} ({row.op})" for row in versions if shown(row) not in truths]
            said += [f"{job_id}: version {name} tells what was never shown" for name in untrue]
    said += [f"{job_id}: has no history" for job_id in stored]
    if len(sequence) != total:
        said.append(f"change_seq: {total - len(sequence)} repeated")
    return said


def _life(job: Row | None, versions: list[Row]) -> Iterator[str]:
    if job is None:
        yield "has history, but no row"
        return
    numbers = [row.version for row in versions]
    if numbers != list(range(1, job.version + 1)):
        yield f"versions are {numbers}, the job is at {job.version}"
    if shown(versions[-1]) != shown(job):
        yield f"its newest version differs in {_difference(shown(versions[-1]), shown(job))}"
    if (versions[-1].op == "unlist") != (job.unlisted_at is not None):
        yield f"newest version is {versions[-1].op}, unlisted_at is {job.unlisted_at}"
    if versions[0].op != "insert" or any(row.op == "insert" for row in versions[1:]):
        yield f"operations are {[row.op for row in versions]}"
    for before, after in pairwise(versions):
        yield from _step(before, after)


def _step(before: Row, after: Row) -> Iterator[str]:
    number = after.version
    if after.valid_from <= before.valid_from:
        yield f"version {number} is not later than the one before"
    if after.change_seq <= before.change_seq:
        yield f"version {number}: change_seq falls"
    same = shown(after) == shown(before)
    if after.op == "update" and same and after.extra == before.extra:
        yield f"version {number} equals the one before"
    if after.op == "unlist" and (not same or before.op == "unlist"):
        yield f"version {number} unlists what {'changed' if not same else 'was unlisted'}"
    if after.op == "relist" and before.op != "unlist":
        yield f"version {number} relists what was listed"


def runs(tables: Tables, killed: set[int] | None = None) -> list[str]:
    """Counts add up, within runs and with the tables; `killed` are exactly the runs said to have died."""
    said: list[str] = []
    log = list(tables.rows("sync_runs", "id"))
    for run in log:
        parts = run.jobs_inserted + run.jobs_updated + run.jobs_unchanged + run.jobs_rejected
        if run.jobs_seen != parts:
            said.append(f"run {run.id}: saw {run.jobs_seen}, accounts for {parts}")
        if run.status == "running":
            said.append(f"run {run.id}: left running")
    dead = {run.id for run in log if run.status == "interrupted" and run.error_class == "Interrupted"}
    if killed is not None and dead != killed:
        said.append(f"interrupted are runs {sorted(dead - killed)} too many, {sorted(killed - dead)} too few")
    tokens = [run.lease_token for run in log]
    if tokens != sorted(set(tokens)):
        said.append("lease tokens of runs do not rise")
    return said + _sums(tables, log) + _pages(tables, log)


def _sums(tables: Tables, log: list[Row]) -> list[str]:
    """What runs say they did is what stands in the tables: nothing was counted and lost, or done twice."""
    operations: dict[str, int] = {}
    for row in tables.rows("video_job_versions", "change_seq"):
        operations[row.op] = operations.get(row.op, 0) + 1
    jobs = sum(1 for _ in tables.rows("video_jobs", "list_position"))
    inserted, unlisted = sum(r.jobs_inserted for r in log), sum(r.jobs_unlisted for r in log)
    pairs = [("jobs", jobs, inserted), ("first versions", operations.get("insert", 0), inserted)]
    pairs.append(("unlist versions", operations.get("unlist", 0), unlisted))
    return [f"{found} {what}, but runs wrote {told}" for what, found, told in pairs if found != told]


def _pages(tables: Tables, log: list[Row]) -> list[str]:
    """Every run's pages are in the page log, and it saw their items (and jobs read by id)."""
    logged: dict[int, list[int]] = {}
    for page in tables.rows("list_pages", "id"):
        logged.setdefault(page.run_id, []).append(page.items if page.accepted else 0)
    found = ((run, logged.get(run.id, [])) for run in log)
    return [
        f"run {run.id}: {run.pages} pages and {run.jobs_seen} jobs,"
        f" in the page log {len(items)} and {sum(items)}"
        for run, items in found
        if run.pages != len(items) or run.jobs_seen < sum(items)
    ]


def state(tables: Tables) -> list[str]:
    """One lease, free; one state, with nothing unfinished; no suspicion left."""
    said: list[str] = []
    for name in ("leases", "sync_state"):
        if (count := sum(1 for _ in tables.rows(name, "source_id"))) != 1:
            said.append(f"{name}: {count} rows")
    said += [f"lease: still held by {r.holder}" for r in tables.rows("leases", "source_id") if r.holder]
    for row in tables.rows("sync_state", "source_id"):
        said += [] if row.checkpoint is None else [f"an unfinished walk is left: {row.checkpoint}"]
        said += [] if row.disabled_at is None else [f"the source is disabled: {row.disabled_reason}"]
    return said


def gaps(tables: Tables) -> list[str]:
    """Spans that the program itself calls unknown."""
    rows = tables.rows("coverage_gaps", "id")
    return [f"coverage gap: {gap.reason} ({gap.gap_from} – {gap.gap_until})" for gap in rows]


def needless_gaps(tables: Tables, observed: Observed) -> list[str]:
    """Gaps that hide nothing: around a record that the gateway cannot read one is right."""
    order = {job["id"]: place for place, job in enumerate(observed.world.expected())}
    hidden = [order[job_id] for job_id in observed.hidden & order.keys()]
    said = []
    for gap in tables.rows("coverage_gaps", "id"):
        low = order.get(gap.last_known_job_id, -1)
        high = order.get(gap.oldest_listed_job_id, len(order))
        if gap.kind != "unreadable" or not any(low < place < high for place in hidden):
            said.append(f"coverage gap: {gap.reason} ({gap.gap_from} – {gap.gap_until})")
    return said


def rejects(tables: Tables, observed: Observed, payloads: Collection[bytes] | None) -> list[str]:
    """Rejected is what was thrown in, and a gap for each hidden job that lies between its true neighbours."""
    rows = list(tables.rows("rejected_items", "id"))
    known = (None, *(payloads if payloads is not None else (row.payload for row in rows)))
    said = [f"rejected without need: {r.payload!r:.200}" for r in rows if r.payload not in known]
    gaps = [(row.after_id, row.before_id) for row in rows if row.payload is None]
    order = {job["id"]: place for place, job in enumerate(observed.world.expected())}
    for job_id in observed.hidden & order.keys():
        place = order[job_id]
        if not any(order.get(a, -1) < place < order.get(b, len(order)) for a, b in gaps):
            said.append(f"{job_id}: cannot be read, and nothing says so")
    return said


def kept(tables: Tables) -> list[str]:
    """The totals that are kept with every commit."""
    counted = (tables.rows(name, "digest") for name in ("daily_totals", "duration_totals", "job_kinds"))
    return totals.findings(tables.rows("video_jobs", "list_position"), *counted)


def everything(
    tables: Tables,
    observed: Observed,
    *,
    killed: set[int] | None = None,
    payloads: Collection[bytes] | None = None,
) -> list[str]:
    """All findings about a source that is at rest."""
    said = jobs(tables, observed) + history(tables, observed) + kept(tables)
    return said + runs(tables, killed) + state(tables) + rejects(tables, observed, payloads)


#: A page that ends the list too early misleads one sync; the next one reads on.
ENOUGH = 2


def overlooked(tables: Tables, observed: Observed) -> list[str]:
    """Jobs that are not stored although ENOUGH syncs succeeded while they were listed."""
    ends = [run for run in tables.rows("sync_runs", "id") if run.status == "ok" and run.kind != "reconcile"]
    stored = {row.job_id for row in tables.rows("video_jobs", "list_position")}
    missing = observed.shown.keys() - stored - observed.hidden
    if observed.spoilt:
        nameless = _nameless(tables)
        missing = {
            job_id for job_id in missing if not nameless & {truth[:7] for truth in observed.shown[job_id]}
        }
    if observed.one_way:
        missing -= _out_of_reach(tables, observed, missing)
    return [
        f"{job_id}: overlooked"
        for job_id in sorted(missing)
        if sum(observed.could_be_seen(job_id, run.started_at, run.finished_at) for run in ends) >= ENOUGH
    ]


def _out_of_reach(tables: Tables, observed: Observed, missing: set[str]) -> set[str]:
    """Those that the table itself says to lie beside an unreadable record."""
    created = {row.job_id: row.created_at for row in tables.rows("video_jobs", "list_position")}
    rows = [row for row in tables.rows("rejected_items", "id") if row.payload is None]
    spans = [(created.get(row.after_id), created.get(row.before_id)) for row in rows]
    times = {job_id: observed.shown[job_id][0][CREATED] for job_id in missing}
    return {
        job_id
        for job_id, moment in times.items()
        if any(low is not None and high is not None and low <= moment <= high for low, high in spans)
    }


def _nameless(tables: Tables) -> set[Truth]:
    """Rejected items whose id a fault had taken away: they are recorded, but nobody can say as which job."""
    found = set()
    for row in tables.rows("rejected_items", "id"):
        with contextlib.suppress(ValueError, TypeError, AttributeError):
            found.add(columns(json.loads(row.payload))[:7])
    return found
