"""Every command of README, docs/ and the comments of deploy/ runs, as written, in a fresh folder.

What stands for something of the reader's own (an address, a key) is replaced by what the test has; what needs
a machine that the test has not is listed with the reason. Nothing else is left out.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from etl.simulator import Simulator, World
from tests.conftest import require_module, unavailable
from tests.docs.instructions import PROLOGUE, ROOT, Block, comments, fences, script

pytestmark = pytest.mark.slow

KEY = "your-key"
DOCUMENTS = ["README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "dbt/README.md"]
DOCUMENTS += sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
DEPLOYED = ["Dockerfile", "bifrost-etl.service", "compose.yaml", "cronjob.yaml", "deployment.yaml", "crontab"]
DEPLOYED += ["servicemonitor.yaml"]
LANGUAGES = {"sh", "console", "sql", "python", "yaml", "text", "mermaid"}

#: Documents whose commands are run by a test below, or by another test.
RUN = {
    "README.md",
    "CONTRIBUTING.md",
    "docs/install.md",
    "docs/tutorial.md",
    "docs/who-spent-what.md",
    "docs/warehouse.md",
    "docs/api.md",
    "docs/operations.md",
    "docs/database.md",
    "docs/erase.md",
    "docs/gateway-log.md",
    "docs/simulator.md",
}
ELSEWHERE = {
    "docs/sql.md": "every question in tests/analytics/test_sql.py; the accounts in test_the_accounts_of_sql",
    "docs/bi.md": "PostgreSQL in tests/service/test_bi.py, MariaDB below; docker starts Grafana",
    "docs/reliability.md": "minutes each: their options below; CONTRIBUTING.md has short ones, which run",
    "docs/scaling.md": "a configuration: read below",
    "docs/configuration.md": "parts of the example: tests/config/test_example.py",
    "docs/cli.md": "what --help prints",
    "docs/spend.md": "each command under the page's own budgets: tests/cli/test_spend.py",
    "dbt/README.md": "tests/feed/test_dbt.py builds with dbt as `make dbt` installs it",
    "docs/architecture.md": "pictures",
}
#: Commands that are left out of the documents that are run, by how they begin.
LEFT_OUT = {
    "make lint": "CI's first step",
    "pip install pyspark": "tried by hand, says the page: it needs Java and packages of 400 MB",
}
#: Programs of which a test has no real one: they are called as written, and do nothing.
STAND_INS = (
    "docker",
    "kubectl",
    "systemctl",
    "systemd-run",
    "journalctl",
    "curl",
    "useradd",
    "chown",
    "runuser",
)


def has_commands(page: str) -> bool:
    return any(block.language in {"sh", "console", "sql", "python"} for block in fences(page))


@pytest.mark.parametrize("page", DOCUMENTS)
def test_every_fence_says_what_it_holds_and_is_run_somewhere(page: str) -> None:
    assert {block.language for block in fences(page)} <= LANGUAGES
    assert not has_commands(page) or page in RUN or page in ELSEWHERE


@pytest.fixture
def gateway() -> Iterator[Simulator]:
    with Simulator(World(seed=60, jobs=300), token=KEY) as sim:
        yield sim


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """What git knows of the tree, in a folder of its own; old enough that no environment is made anew."""
    folder = tmp_path / "checkout"
    names = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, names.stdout.decode().split("\0")):
        if (ROOT / name).exists():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name, follow_symlinks=False)
    for name in ("pyproject.toml", "constraints.txt"):
        os.utime(folder / name, (0, 0))
    return folder


@pytest.fixture
def shell(tmp_path: Path, gateway: Simulator) -> Shell:
    return Shell(tmp_path, gateway)


class Shell:
    """A shell with a home of its own and nothing but what a user's has."""

    def __init__(self, folder: Path, gateway: Simulator) -> None:
        self.home = folder / "home"
        self.home.mkdir()
        self.replaced = {"https://gateway.example.com": gateway.base_url, "18080": _free_port()}
        self.path = os.environ["PATH"]
        self.environ = {"HOME": str(self.home), "LANG": "C.UTF-8", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
        self.environ |= {
            name: value for name, value in os.environ.items() if name.startswith(("PIP_", "SSL_"))
        }

    def run(self, blocks: list[Block], cwd: Path) -> str:
        text = "".join(line for line in script(blocks).splitlines(keepends=True) if not _left_out(line))
        for placeholder, real in self.replaced.items():
            text = text.replace(placeholder, real)
        done = subprocess.run(
            ["bash", "-c", PROLOGUE + text],
            cwd=cwd,
            env={**self.environ, "PATH": self.path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
        said = done.stdout + done.stderr
        if done.returncode and "Failed to establish a new connection" in said:
            unavailable("no package registry can be reached")
        assert done.returncode == 0, f"{text}\n{said}"
        return said

    def with_program(self) -> None:
        """bifrost-etl is on the PATH, as after installing it."""
        self.path = f"{Path(sys.executable).parent}{os.pathsep}{self.path}"

    def with_stand_ins(self) -> None:
        programs = self.home / "stand-ins"
        programs.mkdir()
        for name in STAND_INS:
            (programs / name).write_text("#!/bin/sh\n")
            (programs / name).chmod(0o755)
        self.path = f"{programs}{os.pathsep}{self.path}"


def _left_out(line: str) -> bool:
    return line.startswith(tuple(LEFT_OUT))


def _free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.mark.timeout(600)
def test_readme(shell: Shell, checkout: Path, postgres) -> None:
    """From a fresh clone and a fresh home; the environment is really made."""
    shell.replaced["postgresql://etl@db.example.com/videos"] = postgres.create("videos")
    said = shell.run(fences("README.md"), checkout)
    postgres.drop("videos")
    assert "First load: the whole history" in said and "✗" not in said


@pytest.mark.timeout(600)
def test_install(shell: Shell, checkout: Path) -> None:
    (checkout / ".venv").symlink_to(Path(sys.prefix))
    said = shell.run(fences("docs/install.md"), checkout)
    assert said.count("bifrost-etl 0.") == 2 and "✗" not in said


@pytest.mark.timeout(600)
def test_contributing(shell: Shell, checkout: Path) -> None:
    (checkout / ".venv").symlink_to(Path(sys.prefix))
    commands = [block for block in fences("CONTRIBUTING.md") if block.language == "sh"]
    assert "first load" in shell.run(commands, checkout)


def test_tutorial(shell: Shell, tmp_path: Path) -> None:
    shell.with_program()
    said = shell.run(fences("docs/tutorial.md"), tmp_path)
    assert "first seen" in said and "exit code 1" in said
    assert (tmp_path / "daily.csv").read_text().count("\n") > 1


def test_who_spent_what(shell: Shell, tmp_path: Path) -> None:
    """Yesterday's spend by team: what the report prints, added up once more from the rows of the log."""
    shell.with_program()
    end = Block(
        "sh", "bifrost-etl report spend --by team --since yesterday --until yesterday --format csv", 0
    )
    commands = [block for block in fences("docs/who-spent-what.md") if block.language == "sh"]
    said = shell.run([*commands, end], tmp_path)
    assert "gen4_turbo" in said and "✗" not in said
    [header, *lines] = said[said.rindex("team,jobs,") :].splitlines()
    rows = [
        dict(zip(header.split(","), line.split(","), strict=True)) for line in lines if line.count(",") > 4
    ]
    assert {row["team"] for row in rows} >= {"Video", "Ads"}
    assert {row["team"]: (int(row["jobs"]), float(row["cost"])) for row in rows} == spent_yesterday(
        tmp_path / "bifrost-etl.db"
    )


def spent_yesterday(database: Path) -> dict[str, tuple[int, float]]:
    """By team: jobs created yesterday, and what the settled ones cost."""
    yesterday = (datetime.now(UTC) - timedelta(days=1)).strftime("%Y-%m-%d%")
    with closing(sqlite3.connect(database)) as conn:
        made = conn.execute(
            "SELECT job_id, team_name FROM job_requests WHERE role = 'made' AND job_id IN"
            " (SELECT job_id FROM video_jobs WHERE created_at LIKE ?)",
            (yesterday,),
        ).fetchall()
        costs = dict(conn.execute("SELECT job_id, cost FROM job_requests WHERE role = 'settled'").fetchall())
    found: dict[str, tuple[int, float]] = {}
    for job_id, team in made:
        jobs, cost = found.get(team or "", (0, 0.0))
        found[team or ""] = jobs + 1, round(cost + (costs.get(job_id) or 0), 6)
    return found


@pytest.fixture
def mirror(shell: Shell, tmp_path: Path, gateway: Simulator) -> Path:
    """A folder with a configuration and a mirror, as whoever reads on has them."""
    shell.with_program()
    plain = {"sources": [{"name": "s", "base_url": gateway.base_url, "provider": "openai", "api_key": KEY}]}
    (tmp_path / "bifrost.yaml").write_text(yaml.safe_dump(plain))
    shell.environ["BIFROST_ETL_CONFIG"] = "bifrost.yaml"
    shell.run([Block("sh", "bifrost-etl sync\n", 0)], tmp_path)
    return tmp_path


def test_warehouse(shell: Shell, mirror: Path, postgres) -> None:
    """Its first settings are those that its commands deliver with; its SQL asks what was delivered."""
    duckdb = require_module("duckdb")
    require_module("dlt")
    settings, warehouse = mirror / "bifrost.yaml", postgres.create("analytics")
    for block in fences("docs/warehouse.md"):
        if block.language == "yaml":
            text = block.text.replace("/srv/lake", str(mirror / "lake"))
            text = text.replace("postgresql://loader@warehouse/analytics", warehouse)
            settings.write_text(settings.read_text() + text)
    commands = [block for block in fences("docs/warehouse.md") if block.language == "sh"]
    assert "lake" in shell.run(commands, mirror)
    [query] = [block.text for block in fences("docs/warehouse.md") if block.language == "sql"]
    assert len(duckdb.sql(query.replace("/srv/lake", str(mirror / "lake"))).fetchall()) >= 300
    postgres.drop("analytics")


def test_python_api(shell: Shell, mirror: Path) -> None:
    [block] = [block for block in fences("docs/api.md") if block.language == "python"]
    (mirror / "example.py").write_text(block.text)
    assert "s ok " in shell.run([Block("sh", "python example.py\n", 0)], mirror)


@pytest.mark.parametrize("page", ["docs/operations.md", "docs/erase.md", "docs/gateway-log.md"])
def test_commands_about_a_mirror(page: str, shell: Shell, mirror: Path) -> None:
    """NAME is its source; Anna asked for its first job."""
    shell.replaced["NAME"] = "s"
    asked = """INSERT INTO job_requests (source_id, request_id, job_id, role, request_type, status,
        user_name, requested_at, first_seen_at, run_id, request_seq)
        SELECT source_id, 'r', job_id, 'made', 'video_generation', 'success',
        'anna@example.com', created_at, first_seen_at, first_run_id, 1 FROM video_jobs LIMIT 1"""
    with closing(sqlite3.connect(mirror / "bifrost-etl.db")) as conn, conn:
        conn.execute(asked)
    said = shell.run([block for block in fences(page) if block.language == "sh"], mirror)
    assert re.search(r"retired|1 job chosen|Jobs created", said), said


def test_settings_of_the_gateways_log_are_settings(tmp_path: Path) -> None:
    from etl.config import load_config

    [block] = [block for block in fences("docs/gateway-log.md") if block.language == "yaml"]
    (tmp_path / "e.yaml").write_text(block.text)
    [source] = load_config(tmp_path / "e.yaml", {"BIFROST_API_KEY": KEY}).sources
    assert (source.provider, source.discover) == ("gemini", "logs")


def test_simulator(shell: Shell, tmp_path: Path) -> None:
    """The server goes on until it is stopped, so it stands in the background here."""
    shell.with_program()
    [block] = [block for block in fences("docs/simulator.md") if block.language == "sh"]
    end = Block(
        "sh",
        "curl -s -H 'Authorization: Bearer secret' 'http://127.0.0.1:18080/v1/videos?provider=openai'\n",
        0,
    )
    said = shell.run([block._replace(text=block.text.rstrip() + " &\n"), end], tmp_path)
    assert '"has_more"' in said


def test_harnesses_know_the_options_that_their_page_names() -> None:
    blocks = [block.text for block in fences("docs/reliability.md") if block.language == "sh"]
    lines = [line.split() for line in "".join(blocks).splitlines()]
    assert lines and all(line[:2] == ["python", "-m"] for line in lines)
    for module in {line[2] for line in lines}:
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=100
        )
        named = {word for line in lines if line[2] == module for word in line if word.startswith("--")}
        assert {name for name in named if not re.search(rf"{name}\b", done.stdout)} == set(), module


@pytest.mark.parametrize("page", ["docs/bi.md", "docs/sql.md"])
def test_accounts_on_mariadb(page: str, mariadb) -> None:
    """A reader's account, made as the page says; PostgreSQL's are tried in tests/service/test_bi.py."""
    text = "\n".join(block.text for block in fences(page) if block.language == "sql")
    statements = re.findall(r"^(?:CREATE USER|GRANT SELECT, SHOW VIEW) .*;", text, re.M)
    assert len(statements) == 2
    name = re.search(r"ON (\w+)\.\*", statements[1])
    assert name is not None
    mariadb.create(name[1])
    for statement in statements:
        mariadb.execute(statement)
    mariadb.execute(re.sub(r"CREATE USER (\S+) .*;", r"DROP USER \1", statements[0]))
    mariadb.drop(name[1])


def test_settings_of_scaling_are_settings(tmp_path: Path) -> None:
    from etl.config import load_config

    [block] = [block for block in fences("docs/scaling.md") if block.language == "yaml"]
    (tmp_path / "e.yaml").write_text("sources: [{name: s, base_url: http://h}]\n" + block.text)
    url = {"DATABASE_URL": "postgresql://etl@h/videos"}
    assert load_config(tmp_path / "e.yaml", url).parallel == 200


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", DEPLOYED)
def test_deployment_comments(name: str, shell: Shell, checkout: Path, tmp_path: Path) -> None:
    """As written, but for the root of the file system, and with stand-ins for what manages machines."""
    shell.with_stand_ins()
    shell.environ |= {"BIFROST_API_KEY": KEY, "DATABASE_URL": "postgresql://etl@db.example.com/videos"}
    root = tmp_path / "root"
    for folder in ("etc/systemd/system", "etc/cron.d"):
        (root / folder).mkdir(parents=True)
    shell.replaced |= {" /etc/": f" {root}/etc/", " /opt/": f" {root}/opt/", "\n/opt/": f"\n{root}/opt/"}
    block = comments(f"deploy/{name}")
    assert block.text.strip()
    shell.run([block], checkout)
    if name == "bifrost-etl.service":
        assert (root / "etc/bifrost-etl/api_key").read_text() == KEY
        assert "BIFROST_API_KEY" in (root / "etc/bifrost-etl/bifrost-etl.yaml").read_text()
