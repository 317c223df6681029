"""docs/database.md: its accounts suffice and may do no more, and what its backups hold comes back."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import psycopg
import pytest

from tests.conftest import unavailable
from tests.docs.instructions import Block, fences
from tests.docs.test_commands import Shell, gateway, mirror, shell  # noqa: F401  (fixtures)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

PAGE = fences("docs/database.md")
#: PostgreSQL's owner, MariaDB's, PostgreSQL's account for the service, MariaDB's.
ACCOUNTS = [block.text for block in PAGE if block.language == "sql"]
COMMANDS = [block for block in PAGE if block.language == "sh"]
LOOK = COMMANDS[-1]
#: What a service does and people do beside it; the job is any.
WORK = """bifrost-etl check
bifrost-etl sync
bifrost-etl reconcile
JOB=$(bifrost-etl sql --format csv "SELECT max(job_id) FROM video_jobs" | tail -n 1)
bifrost-etl erase --job "$JOB" --yes
bifrost-etl prune --versions 1d --page-log 1d
"""
COUNT = "bifrost-etl sql --format csv 'SELECT count(*), max(change_seq) FROM video_job_versions'"


def commands(*programs: str) -> list[Block]:
    """The lines of the page that call these, in its order."""
    lines = [line for block in COMMANDS for line in block.text.splitlines()]
    found = [line for line in lines if line.split()[0] in programs]
    assert len(found) == len(programs)
    return [Block("sh", "\n".join(found) + "\n", 0)]


def statements(text: str, **renamed: str) -> list[str]:
    for name, other in renamed.items():
        text = re.sub(rf"\b{name}\b", other, text)
    return [line.rstrip(";") for line in text.splitlines()]


def count(shell: Shell, folder: Path) -> str:  # noqa: F811
    return shell.run([Block("sh", f"{COUNT}\n", 0)], folder).split()[-1]


def work(shell: Shell, folder: Path) -> None:  # noqa: F811
    said = shell.run([Block("sh", WORK, 0)], folder)
    assert "✗" not in said and "texts of 1 row erased" in said, said


def need(*programs: str) -> None:
    for program in programs:
        if shutil.which(program) is None:
            unavailable(f"{program} is not installed")


def test_sqlite(shell: Shell, mirror: Path) -> None:  # noqa: F811
    need("sqlite3")
    (mirror / "bifrost-etl.db").rename(mirror / "etl.db")
    shell.environ["DATABASE_URL"] = "sqlite:///etl.db"
    before = count(shell, mirror)
    shell.run(commands("sqlite3"), mirror)
    (mirror / "etl.db").write_bytes(b"broken")
    (mirror / "etl.db-wal").write_bytes(b"of the file that goes")
    shell.run(commands("rm", "cp"), mirror)
    assert count(shell, mirror) == before
    assert "nothing is missing" in shell.run([LOOK], mirror)


def test_postgresql(shell: Shell, mirror: Path, postgres) -> None:  # noqa: F811
    need("pg_dump", "pg_restore")
    names = {"etl": "page_owner", "etl_run": "page_runner"}
    base = re.sub(r"//.*@", "//page_owner@", postgres.url(""))
    try:
        for statement in [*statements(ACCOUNTS[0], **names), "CREATE DATABASE restored OWNER page_owner"]:
            postgres.execute(statement)
        shell.replaced["postgresql://etl@db.example.com/"] = base
        _back_up_and_restore(shell, mirror, base, commands("pg_dump", "pg_restore"))
        with psycopg.connect(postgres.url("videos"), autocommit=True) as administrator:
            for statement in statements(ACCOUNTS[2], **names):
                administrator.execute(statement)  # type: ignore[arg-type]
        shell.environ["DATABASE_URL"] = f"{base}videos".replace("page_owner", "page_runner")
        work(shell, mirror)
        with (
            psycopg.connect(shell.environ["DATABASE_URL"]) as runner,
            pytest.raises(psycopg.errors.InsufficientPrivilege),
        ):
            runner.execute("DROP TABLE video_jobs")
    finally:
        for name in ("videos", "restored"):
            postgres.drop(name)
        for role in ("page_runner", "page_owner"):
            postgres.execute(f"DROP ROLE IF EXISTS {role}")


def test_mariadb(shell: Shell, mirror: Path, mariadb) -> None:  # noqa: F811
    need("mariadb", "mariadb-dump")
    names = {"etl": "page_owner", "etl_run": "page_runner", "change-me": "pw"}
    base = f"mysql://page_owner:pw@127.0.0.1:{mariadb.port}/"
    try:
        for statement in statements(ACCOUNTS[1], **names):
            mariadb.execute(statement)
        mariadb.execute("CREATE DATABASE restored")
        mariadb.execute("GRANT ALL ON restored.* TO page_owner@'%'")
        shell.environ["MYSQL_PWD"] = "pw"
        here = f"--host=127.0.0.1 --port={mariadb.port} --user=page_owner"
        shell.replaced["--host=db.example.com --user=etl"] = here
        _back_up_and_restore(shell, mirror, base, commands("mariadb-dump", "mariadb"))
        for statement in statements(ACCOUNTS[3], **names):
            mariadb.execute(statement)
        shell.environ["DATABASE_URL"] = f"{base}videos".replace("page_owner", "page_runner")
        work(shell, mirror)
        with pytest.raises(AssertionError, match=r"(?i)denied"):
            drop = f"mariadb {here.replace('owner', 'runner')} -e 'DROP TABLE videos.prices'\n"
            shell.run([Block("sh", drop, 0)], mirror)
    finally:
        for name in ("videos", "restored"):
            mariadb.drop(name)
        mariadb.execute("DROP USER IF EXISTS page_owner@'%', page_runner@'%'")


def _back_up_and_restore(shell: Shell, folder: Path, base: str, backup: list[Block]) -> None:  # noqa: F811
    shell.environ["DATABASE_URL"] = f"{base}videos"
    shell.run([Block("sh", "bifrost-etl sync\n", 0)], folder)
    before = count(shell, folder)
    shell.run(backup, folder)
    shell.environ["DATABASE_URL"] = f"{base}restored"
    assert count(shell, folder) == before
    assert "nothing is missing" in shell.run([LOOK], folder)
