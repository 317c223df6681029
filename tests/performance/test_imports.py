"""What commands need not load, they do not: `sys.modules` tells, a clock would only guess."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from etl.db.engine import make_engine
from etl.schema import migrate
from etl.simulator import Simulator, World

SCRIPT = (
    "import sys\nfrom etl.cli import main\ncode = main(sys.argv[1:])\n"
    "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr)\nsys.exit(code)"
)
SERVICES = {"apscheduler", "starlette", "uvicorn", "jinja2", "prometheus_client", "dask", "distributed"}
DELIVERY = {"dlt", "pyarrow", "deltalake", "pyiceberg", "duckdb", "apprise"}
DRIVERS = {"psycopg", "psycopg2", "pymysql"}


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A database at the current revision."""
    url = f"sqlite:///{tmp_path / 'etl.db'}"
    engine = make_engine(url)
    migrate.upgrade_schema(engine)
    engine.dispose()
    return {"DATABASE_URL": url, "BIFROST_BASE_URL": "http://127.0.0.1:9", "BIFROST_PROVIDER": "openai"}


def loaded(environment: dict[str, str], *arguments: str) -> set[str]:
    command = [sys.executable, "-c", SCRIPT, *arguments]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, cwd=Path(__file__).parents[2]
    )
    assert done.returncode in (0, 1), done.stderr  # 1: nothing was synced yet
    return set(done.stderr.splitlines()[-1].split())


def test_status_reads_the_database_and_loads_nothing_else(environment: dict[str, str]) -> None:
    heavy = {"alembic", "mako", "requests", "tenacity", *SERVICES, *DELIVERY, *DRIVERS}
    found = loaded(environment, "status")
    assert "sqlalchemy" in found
    assert found & heavy == set()


def test_a_sync_loads_neither_migrations_nor_services(environment: dict[str, str]) -> None:
    with Simulator(World(seed=62, jobs=3)) as sim:
        found = loaded({**environment, "BIFROST_BASE_URL": sim.base_url}, "sync")
    assert {"sqlalchemy", "requests"} <= found
    assert found & {"alembic", "mako", *SERVICES, *DELIVERY, *DRIVERS} == set()


def test_a_sync_whose_configuration_holds_a_key_loads_no_logger_for_a_warning_that_nobody_sees(
    environment: dict[str, str], tmp_path: Path
) -> None:
    """structlog, and rich with it, is a fifth of a start. Shown, the warning comes by it."""
    with Simulator(World(seed=62, jobs=3)) as sim:
        config = tmp_path / "etl.yaml"
        config.write_text(
            f"database: {{url: '{environment['DATABASE_URL']}'}}\nsources:\n"
            f"  - {{name: main, base_url: '{sim.base_url}', provider: openai, api_key: plain-secret-01}}\n"
        )
        silent = loaded({}, "sync", "--config", str(config))
        told = loaded({}, "--log-level", "warning", "sync", "--config", str(config))
    assert silent & {"structlog", "rich"} == set()
    assert "structlog" in told


def test_the_tables_load_no_dialect() -> None:
    script = (
        "import sys, etl.schema.tables\n"
        "print([name for name in sys.modules if name.startswith('sqlalchemy.dialects.')])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("[]\n", "")


def test_a_probe_loads_no_report(environment: dict[str, str]) -> None:
    """`status --max-age` is asked every few seconds; of a source that was never complete it says 1."""
    script = SCRIPT.replace("{name.partition('.')[0] for name in sys.modules}", "sys.modules")
    command = [sys.executable, "-c", script, "status", "--max-age", "1d"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    found = set(done.stderr.splitlines()[-1].split())
    assert "etl.analytics.status" in found
    assert found & {"etl.analytics.reports", "etl.analytics.budgets", "cronsim"} == set()
