"""Sources on a Dask cluster: the same rows as in threads, workers may die, nothing secret shows."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from etl.app import App
from etl.config import Dask
from etl.db.engine import make_engine
from etl.records import TRACKED, RunResult
from etl.schema.tables import leases, sources, sync_runs, video_job_versions, video_jobs
from tests.fleet.conftest import TOKEN
from tests.support.cluster import Cluster, until

pytestmark = pytest.mark.slow

two_databases = pytest.mark.parametrize("database", ["sqlite", "postgresql"], indirect=True)


def rows(engine: sa.Engine, table: sa.Table, names: tuple[str, ...]) -> set[tuple[Any, ...]]:
    query = sa.select(sources.c.name, *(table.c[n] for n in names)).join_from(
        table, sources, table.c.source_id == sources.c.id
    )
    with engine.connect() as conn:
        return {tuple(row) for row in conn.execute(query)}


def contents(engine: sa.Engine) -> tuple[Any, ...]:
    """What both ways must agree on: everything but our own clock, and numbers given by the database."""
    jobs = rows(engine, video_jobs, ("job_id", "version", "settled", *TRACKED))
    versions = rows(engine, video_job_versions, ("job_id", "version", "op", *TRACKED))
    return jobs, versions


def shown(results: list[RunResult]) -> list[tuple[Any, ...]]:
    counts = [result.counts for result in results]
    return [
        (r.source, r.kind, r.status, c.jobs_inserted, c.jobs_updated, str(r.error))
        for r, c in zip(results, counts, strict=True)
    ]


@two_databases
def test_the_same_as_in_threads(database_url: str, tmp_path: Path, cluster: Cluster, gateways: Any) -> None:
    fleet = gateways(5, jobs=300)
    far = fleet.config(database_url, Dask(address=cluster.address), order="asc")
    near = fleet.config(f"sqlite:///{tmp_path}/threads.db", order="asc")
    with App(far) as one, App(near) as other:
        for act in ("sync", "sync", "reconcile"):
            assert shown(getattr(one, act)()) == shown(getattr(other, act)())
            fleet.advance(300)
        assert contents(one.engine) == contents(other.engine)
        assert {row[2] for row in rows(one.engine, sync_runs, ("kind", "status"))} == {"ok"}
        workers = {row[1].split(":")[1] for row in rows(one.engine, sync_runs, ("worker",))}
    assert workers <= {str(pid) for pid in cluster.workers}


class Watching:
    """Sources that are under way, with what they have stored so far."""

    def __init__(self) -> None:
        self.stored: dict[str, int] = {}

    def started(self, source: str, kind: str) -> None:
        self.stored[source] = 0

    def advanced(self, source: str, counts: Any, seconds: float) -> None:
        self.stored[source] = counts.jobs_inserted

    def waiting(self, source: str, error: Exception, seconds: float) -> None: ...

    def requested(self, source: str, seconds: float) -> None: ...

    def finished(self, result: RunResult) -> None:
        self.stored.pop(result.source, None)


@two_databases
def test_a_killed_workers_source_is_finished_by_another(
    database_url: str, cluster: Cluster, gateways: Any
) -> None:
    fleet = gateways(3, jobs=500, latency=0.1)
    config = fleet.config(database_url, Dask(address=cluster.address), page_size=20)
    watching, ended = Watching(), []
    with App(config) as app:
        thread = threading.Thread(target=lambda: ended.extend(app.sync(progress=watching)))
        thread.start()
        until(lambda: any(watching.stored.values()), "a first commit")
        engine = make_engine(database_url)
        with engine.connect() as conn:
            running = sa.select(sync_runs.c.worker).where(sync_runs.c.status == "running")
            victim = int(conn.execute(running).scalars().first().split(":")[1])  # type: ignore[union-attr]
        cluster.kill(victim)
        cluster.add_worker()
        thread.join()
    assert [result.status for result in ended] == ["ok"] * 3, [result.error for result in ended]
    assert {row[:2]: row[2] for row in rows(engine, video_jobs, ("job_id", "status"))} == fleet.truth()
    log = rows(engine, sync_runs, ("status", "worker", "jobs_inserted", "jobs_seen"))
    lost = {row for row in log if row[1] == "interrupted"}
    assert lost and {row[2].split(":")[1] for row in lost} == {str(victim)}
    # What the dead worker had committed is in its own run; together they account for every job, once.
    assert (
        sum(row[3] for row in log) == len(fleet.truth()) == len(rows(engine, video_job_versions, ("job_id",)))
    )
    assert not rows(engine, leases, ("holder",)) & {("s0", victim)}
    engine.dispose()


def everything_shown(cluster: Cluster, address: str) -> str:
    """What the scheduler knows, prints and shows while work is going on."""
    from distributed import Client

    def inside(dask_scheduler: Any) -> str:
        specs = {key: task.run_spec for key, task in dask_scheduler.tasks.items()}
        tasks = [(key, repr(spec), repr(spec.args)) for key, spec in specs.items() if spec]
        return f"{tasks} {dask_scheduler.get_events()!r} {dask_scheduler.transition_log!r}"

    with Client(address, set_as_default=False) as client:
        text = client.run_on_scheduler(inside)
        keys = [key for stack in client.processing().values() for key in stack]
        text += repr(client.call_stack()) + repr(keys)
    assert keys, "nothing was under way"
    pages = ["/info/main/workers.html", "/info/main/logs.html", "/json/identity.json", "/json/counts.json"]
    pages += [f"/info/task/{key}.html" for key in keys]
    pages += [f"/info/call-stack/{key}.html" for key in keys]
    return text + "".join(cluster.page(path) for path in pages)


@pytest.mark.parametrize("database", ["postgresql"], indirect=True)
@pytest.mark.parametrize("way", ["sent", "read by the workers"])
def test_no_secret_shows(
    engine: sa.Engine, engine_url: str, cluster: Cluster, gateways: Any, settings_file: Path, way: str
) -> None:
    fleet = gateways(3, jobs=300, latency=0.1)
    settings_file.write_text(document(fleet, engine_url))
    file = None if way == "sent" else str(settings_file)
    config = fleet.config(engine_url, Dask(address=cluster.address, config_file=file), page_size=10)
    fleet.sims[2].gateway.credentials.token = "another"  # one that is refused, and so has an error to tell
    ended: list[RunResult] = []
    with App(config) as app:
        thread = threading.Thread(target=lambda: ended.extend(app.sync()))
        thread.start()
        until(lambda: any(sim.requests for sim in fleet.sims[:2]), "work")
        seen = everything_shown(cluster, cluster.address)
        thread.join()
        again = app.sync()
    assert [result.status for result in ended] == ["ok", "ok", "failed"], ended
    assert type(ended[2].error).__name__ == "Unauthorized" and ended[2].error.hint  # type: ignore[union-attr]
    said = seen + cluster.printed() + repr(ended) + repr(again)
    assert "s0" in said and "run_source" in said
    for secret in (TOKEN, "p@ss/w0rd", "p%40ss"):
        assert secret not in said


def document(fleet: Any, url: str) -> str:
    lines = [f"database: {{url: '{url}'}}", "sources:"]
    for source in fleet.sources():
        lines.append(
            f"- {{name: {source.name}, base_url: '{source.base_url}', provider: openai, page_size: 10,"
        )
        lines.append(f"   api_key: {TOKEN}, max_attempts: 2, max_backoff: 0s}}")
    return "\n".join(lines)


def test_a_worker_with_other_settings_refuses(cluster: Cluster, gateways: Any, settings_file: Path) -> None:
    fleet = gateways(1, jobs=5)
    url = f"sqlite:///{settings_file.parent}/etl.db"
    settings_file.write_text(document(fleet, url).replace(TOKEN, "yesterdays-key"))
    config = fleet.config(url, Dask(address=cluster.address, config_file=str(settings_file)))
    with App(config) as app:
        (refused,) = app.sync()
        assert refused.status == "failed" and "has other settings" in str(refused.error)
        settings_file.write_text(document(fleet, url))
        assert app.sync()[0].status == "ok"
