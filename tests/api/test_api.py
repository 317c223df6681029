"""The public Python API, as a scheduler calls it."""

from __future__ import annotations

import importlib.util
import inspect
import shutil
import subprocess
import sys
import time
import typing
from pathlib import Path

import pytest

import etl
from etl.errors import ConfigError
from etl.simulator import Simulator, World

ROOT = Path(__file__).parents[2]
TOKEN = "canary-a91c22f0d8"


@pytest.fixture
def settings(tmp_path, monkeypatch):
    """A configuration file with a gateway, a lake and a retention; BIFROST_ETL_CONFIG points to it."""
    with Simulator(World(seed=4, jobs=60, start=time.time()), token=TOKEN) as gateway:
        file = tmp_path / "bifrost.yaml"
        file.write_text(
            f"""
sources:
  - {{name: main, base_url: "{gateway.base_url}", provider: openai, api_key: {TOKEN}}}
database: {{url: "sqlite:///{tmp_path}/etl.db"}}
feed:
  destinations:
    - {{name: lake, type: filesystem, url: "file://{tmp_path}/lake"}}
retention: {{page_log: 30d}}
"""
        )
        monkeypatch.setenv("BIFROST_ETL_CONFIG", str(file))
        yield file


def test_everything_by_call(settings, tmp_path):
    (synced,) = etl.sync(settings)
    assert (synced.status, synced.counts.jobs_inserted) == ("ok", 60)
    (behind,) = etl.delivery_status()
    assert [(lag.source, lag.pending) for lag in behind.lags] == [("main", 60)]
    (delivered,) = etl.deliver(str(settings), ["lake"])
    assert delivered.rows["video_job_versions"] == 60
    assert etl.delivery_status(settings)[0].lags[0].pending == 0
    assert etl.reconcile()[0].status == "ok"
    manifest = etl.export(tmp_path / "out", format="csv", tables=["video_jobs"])
    assert sum(file.rows for file in manifest.files) == 60
    assert etl.prune(dry_run=True) == {"cache_lookups": 0, "list_pages": 0}
    etl.raise_failed([synced, delivered])


def test_failures_are_in_the_results_and_can_be_raised(settings):
    etl.sync()
    (settings.parent / "lake").write_text("not a folder")
    results = etl.deliver()
    assert [result.status for result in results] == ["failed"]
    with pytest.raises(etl.errors.EtlError, match="lake"):
        etl.raise_failed(results)
    with pytest.raises(ConfigError, match="no destination 'nowhere'"):
        etl.deliver(names=["nowhere"])


def test_importing_etl_stays_light():
    script = "import sys, etl; print(*{name.partition('.')[0] for name in sys.modules}); etl.sync"
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert {"msgspec", "sqlalchemy", "requests", "typing_extensions"} & set(done.stdout.split()) == set()


def test_every_public_function_is_typed_and_documented():
    document = (ROOT / "docs" / "api.md").read_text()
    for name in set(etl.__all__) - {"__version__"}:
        function = getattr(etl, name)
        assert inspect.getdoc(function)
        assert inspect.signature(function).return_annotation is not inspect.Signature.empty
        assert f"etl.{name}(" in document
    assert typing.get_type_hints(etl.raise_failed, localns={"RunResult": int, "FeedResult": int})
    with pytest.raises(AttributeError):
        _ = etl.nothing


@pytest.mark.skipif(importlib.util.find_spec("dagster") is None, reason="dagster is not installed")
@pytest.mark.filterwarnings("ignore")
def test_the_dagster_example(settings):
    script = (
        "import sys; sys.path.insert(0, 'examples'); import dagster_assets as d;"
        "r = d.defs.resolve_job_def('freshen').execute_in_process(); assert r.success;"
        "print(r.asset_materializations_for_node('lake')[0].metadata['rows'].value)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=200
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout.split()[-1]) > 60


@pytest.mark.skipif(importlib.util.find_spec("airflow") is None, reason="airflow is not installed")
def test_the_airflow_example(settings, tmp_path, monkeypatch):
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "airflow"))
    monkeypatch.setenv("AIRFLOW__CORE__LOAD_EXAMPLES", "False")
    monkeypatch.setenv("AIRFLOW__CORE__DAGS_FOLDER", str(tmp_path / "dags"))
    (tmp_path / "dags").mkdir()
    shutil.copy(ROOT / "examples" / "airflow_dag.py", tmp_path / "dags")
    for command in (("db", "migrate"), ("dags", "reserialize"), ("dags", "test", "bifrost_sync")):
        arguments = [sys.executable, "-m", "airflow", *command]
        done = subprocess.run(arguments, capture_output=True, text=True, cwd=ROOT, timeout=120)
        assert done.returncode == 0, (done.stdout + done.stderr)[-3000:]
    assert "state=success" in done.stdout + done.stderr
    assert etl.delivery_status()[0].lags[0].pending == 0
