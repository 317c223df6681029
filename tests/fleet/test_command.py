"""The command with `executor: dask`: its own workers, Ctrl-C, rounds, settings that cannot work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from etl.config import load_config
from etl.db.engine import make_engine
from etl.errors import ConfigError
from etl.schema.tables import leases, sync_runs
from tests.fleet.conftest import TOKEN
from tests.support import running
from tests.support.cluster import Cluster, until
from tests.support.command import PROGRAM, Command

pytestmark = pytest.mark.slow


def configure(folder: Path, fleet: Any, **more: Any) -> str:
    """Write the file; returns the database's URL."""
    quick = {"provider": "openai", "api_key": TOKEN, "max_attempts": 2, "max_backoff": "0s", "page_size": 10}
    sources = [{"name": s.name, "base_url": s.base_url, **quick} for s in fleet.sources()]
    document = {"database": {"url": "sqlite:///etl.db"}, "executor": "dask", "sources": sources, **more}
    (folder / "bifrost-etl.yaml").write_text(json.dumps(document))
    return f"sqlite:///{folder}/etl.db"


def scalars(url: str, query: Any) -> list[Any]:
    engine = make_engine(url)
    with engine.connect() as conn:
        found = list(conn.scalars(query))
    engine.dispose()
    return found


def test_ctrl_c_ends_in_order(tmp_path: Path, gateways: Any) -> None:
    """As a terminal does it: the signal goes to the command and to the workers that it started."""
    fleet = gateways(3, jobs=2000, latency=0.05)
    url = configure(tmp_path, fleet, dask={"workers": 1, "threads": 2})
    process = subprocess.Popen(
        [*PROGRAM, "sync", "--json"],
        cwd=tmp_path,
        env=Command(tmp_path)._environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    begun = sa.select(sync_runs.c.id).where(sync_runs.c.pages > 0)
    until(lambda: (tmp_path / "etl.db").exists(), "a database")
    until(lambda: tables(url) and scalars(url, begun), "a first commit")
    os.killpg(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    document = json.loads(out)
    assert {source["status"] for source in document["sources"]} == {"interrupted"}, document
    assert TOKEN not in out + err and "Traceback" not in err
    assert set(scalars(url, sa.select(leases.c.holder))) == {None}
    assert set(scalars(url, sa.select(sync_runs.c.status))) == {"interrupted"}
    assert len(scalars(url, sa.select(sync_runs.c.id))) == 2  # the third had not begun


def tables(url: str) -> bool:
    engine = make_engine(url)
    found = "sync_runs" in sa.inspect(engine).get_table_names()
    engine.dispose()
    return found


def test_a_round_on_a_cluster(tmp_path: Path, cluster: Cluster, gateways: Any) -> None:
    fleet = gateways(3, jobs=40)
    configure(tmp_path, fleet, dask={"address": cluster.address})
    done = Command(tmp_path)("run", "--once", "--json")
    assert done.code == 0, done.all
    assert [s["jobs_inserted"] for s in done.json["sources"]] == [40, 40, 40]


def test_no_cluster_is_said_once(tmp_path: Path, gateways: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    configure(tmp_path, gateways(3, jobs=1), dask={"address": "tcp://127.0.0.1:9"})
    hurried = "from etl.cluster import client\nclient.CONNECT = 0.5\n"
    (tmp_path / "sitecustomize.py").write_text(hurried)
    begun = time.monotonic()
    done = Command(tmp_path)("sync", PYTHONPATH=f"{tmp_path}:{Path.cwd()}")
    assert done.code == 1
    assert done.err.count("no Dask cluster with a worker answers at tcp://127.0.0.1:9") == 1, done.err
    assert "dask worker must run" in done.err and time.monotonic() - begun < 60


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("executor: spark", "executor: expects one of threads, dask"),
        ("parallel: 0", "parallel: expects a whole number from 1 to 1000"),
        ("dask: {address: scheduler}", "dask.address: expects tcp://host:port or tls://host:port"),
        ("dask: {address: 'tcp://ten.example:8786'}", "in clear text: use tls://, or give config_file"),
        (
            "executor: dask\ndask: {address: 'tls://ten.example:8786'}",
            "a cluster of machines cannot share a SQLite file",
        ),
    ],
)
def test_settings_that_cannot_work(tmp_path: Path, given: str, said: str) -> None:
    file = tmp_path / "c.yaml"
    file.write_text(given)
    with pytest.raises(ConfigError) as error:
        load_config(file, {})
    assert said in str(error.value)


def test_the_service_on_a_cluster(tmp_path: Path, cluster: Cluster, gateways: Any) -> None:
    fleet = gateways(2, jobs=40, latency=0.01)
    sources = [running.source(sim, f"s{n}", api_key=TOKEN) for n, sim in enumerate(fleet.sims)]
    more = {"executor": "dask", "dask": {"address": cluster.address}}
    url = f"sqlite:///{tmp_path}/etl.db"
    running.configure(tmp_path, url, sources, **more)
    with running.Service(tmp_path) as service:
        for name in ("s0", "s1"):
            assert service.event("run_finished", source=name, kind="first")["new"] == 40
        running.configure(tmp_path, url, sources[:1], **more)
        service.signal(signal.SIGHUP)
        service.event("reloaded")
        done = len(service.events("run_finished", source="s0"))
        running.until(
            lambda: len(service.events("run_finished", source="s0")) > done, "a run after the reload"
        )
        service.signal(signal.SIGTERM)
        assert service.wait() == 0, service.output
    assert not service.events("tick_failed") and TOKEN not in service.output
    workers = {worker.split(":")[1] for worker in scalars(url, sa.select(sync_runs.c.worker))}
    assert workers <= {str(pid) for pid in cluster.workers}
