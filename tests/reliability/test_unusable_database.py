"""A database that is full, read-only, barred or not there: said clearly, nothing half written."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.cli.errors import explain_error
from etl.errors import EtlError
from etl.simulator import Simulator, World
from tests.support.command import PROGRAM, Command, Done
from tests.support.databases import PASSWORD, Server
from tests.support.rig import TOKEN, Rig
from tests.support.running import configure, source

JOBS = 3000
NOBODY = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups", "--"]


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(World(seed=81, jobs=JOBS, rate=0), token=TOKEN) as running:
        yield running


def refused(done: Done, *words: str) -> None:
    """One error that says what and where, and one hint; exit code 1; no secret, no traceback, no rows."""
    assert done.code == 1, done.all
    clear(done.all, *words)


def clear(text: str, *words: str) -> None:
    assert len([line for line in text.splitlines() if "error: " in line]) == 1, text
    for word in words:
        assert word in text, (word, text)
    for never in (PASSWORD, "p%40ss", TOKEN, "Traceback", "sqlalche.me", "unexpected"):
        assert never not in text


def barred(sim: Simulator, url: str, *words: str) -> None:
    """The same of a sync in this process."""
    with Rig(sim, url).app as app:
        try:
            [result] = app.sync()
            error = result.error
        except EtlError as raised:
            error = raised
    assert error is not None
    clear(app.redact("\n".join(explain_error(error))), *words)


def stored(sim: Simulator, url: str) -> int:
    """How many jobs are stored, after a look that they are stored whole."""
    seen = Rig(sim, url)
    with seen.app:
        seen.assert_accounts()
        for row in seen.rows("sync_runs"):
            assert row["pages"] == len(seen.rows("list_pages", run_id=row["id"]))
        return len(seen.jobs())


def made_whole(sim: Simulator, url: str, folder: Path) -> None:
    """The next run ends with everything."""
    assert stored(sim, url) < JOBS
    done = Command(folder)("sync")
    assert done.code == 0, done.all
    assert stored(sim, url) == JOBS


def limited(folder: Path, size: int) -> Done:
    """`sync` by a process whose files may not grow beyond `size` bytes."""
    done = subprocess.run(
        [*PROGRAM, "sync"],
        cwd=folder,
        env=Command(folder)._environment({}),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


@pytest.mark.slow
def test_a_sqlite_file_that_cannot_grow(tmp_path: Path, sim: Simulator) -> None:
    url = f"sqlite:///{tmp_path / 'etl.db'}"
    configure(tmp_path, url, [source(sim, api_key=TOKEN)])
    refused(limited(tmp_path, 64 << 10), "etl.db", "hint: free space")
    refused(limited(tmp_path, 3 << 19), "etl.db", "hint: free space")
    assert stored(sim, url) > 0, "the newest jobs were there before the end"
    made_whole(sim, url, tmp_path)


def test_a_postgres_disk_that_is_full(
    tmp_path: Path, sim: Simulator, postgres: Server, _postgres_template: str
) -> None:
    disk = postgres.folder / "small"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(disk)], capture_output=True, text=True
    )
    if mounted.returncode:
        disk.rmdir()
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    try:
        if postgres.account:
            shutil.chown(disk, postgres.account)
        postgres.execute(f"CREATE TABLESPACE small LOCATION '{disk}'")
        postgres.execute(f"CREATE DATABASE full_disk TEMPLATE {_postgres_template} TABLESPACE small")
        url = postgres.url("full_disk")
        configure(tmp_path, url, [source(sim, api_key=TOKEN)])
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(shutil.disk_usage(disk).free - (1 << 20)))
        refused(Command(tmp_path)("sync"), "No space left on device", "(database full_disk at", "free space")
        assert stored(sim, url) > 0
        ballast.unlink()
        made_whole(sim, url, tmp_path)
    finally:
        postgres.execute("DROP DATABASE IF EXISTS full_disk WITH (FORCE)")
        postgres.execute("DROP TABLESPACE IF EXISTS small")
        subprocess.run(["umount", str(disk)], check=True)


def test_a_sqlite_file_that_may_not_be_written(tmp_path: Path, sim: Simulator) -> None:
    url = f"sqlite:///{tmp_path / 'etl.db'}"
    configure(tmp_path, url, [source(sim, api_key=TOKEN)])
    assert Command(tmp_path)("sync").code == 0
    for path in tmp_path.glob("etl.db*"):
        path.chmod(0o444)
    refused(
        _as_somebody_else(tmp_path, "sync"), "readonly database", "etl.db", "hint: the database is read-on"
    )
    configure(tmp_path, f"sqlite:///{tmp_path / 'nobodys/etl.db'}", [source(sim, api_key=TOKEN)])
    refused(_as_somebody_else(tmp_path, "sync"), "nobodys", "hint: may this user write")


def _as_somebody_else(folder: Path, *arguments: str) -> Done:
    """Root may write anything, so root steps down."""
    if os.geteuid() == 0:
        for place in (folder, *folder.parents):
            if place.stat().st_uid == 0 and place.is_relative_to(tempfile.gettempdir()):
                place.chmod(place.stat().st_mode | 0o055)  # all of pytest's folders are closed to others
    done = subprocess.run(
        [*(NOBODY if os.geteuid() == 0 else []), *PROGRAM, *arguments],
        cwd=folder,
        env=Command(folder)._environment({"PYTHONDONTWRITEBYTECODE": "1"}),
        capture_output=True,
        text=True,
        timeout=120,
    )
    return Done(done.returncode, done.stdout, done.stderr)


def test_postgres_refuses(sim: Simulator, postgres: Server, migrated: str) -> None:
    name = migrated.rpartition("/")[2]
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    where = f"(database {name} at 127.0.0.1:{postgres.port})"
    barred(sim, migrated, "read-only transaction", where, "hint: the database is read-only")
    postgres.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = off")

    postgres.execute("CREATE ROLE poor LOGIN")
    postgres.execute("CREATE ROLE locked LOGIN PASSWORD 'x'")
    hba = postgres.folder / "data/pg_hba.conf"
    hba.write_text("host all locked 127.0.0.1/32 scram-sha-256\n" + hba.read_text())
    postgres.execute("SELECT pg_reload_conf()")
    barred(sim, migrated.replace("etl:", "poor:"), "permission denied", where, "hint: grant this user")
    barred(
        sim, migrated.replace("etl:", "locked:"), "password authentication", "hint: check user and password"
    )
    barred(sim, migrated.replace("etl:", "stranger:"), '"stranger"', "hint: check user and password")
    barred(sim, postgres.url("nowhere"), '"nowhere"', "hint: create the database")


@pytest.fixture
def migrated(postgres: Server, _postgres_template: str) -> Iterator[str]:
    """A migrated PostgreSQL database that nobody is connected to."""
    yield postgres.create("refusing", template=_postgres_template)
    postgres.drop("refusing")


def test_mariadb_refuses(sim: Simulator, mariadb: Server) -> None:
    url = mariadb.create("refusing")
    poor = url.replace("etl:", "reader:")
    mariadb.execute(f"CREATE OR REPLACE USER reader@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
    mariadb.execute("GRANT SELECT ON refusing.* TO reader@'127.0.0.1'")
    where = f"(database refusing at 127.0.0.1:{mariadb.port})"
    barred(sim, poor, "denied", where, "hint: grant this user")
    barred(sim, url.replace("etl:", "etl:wrong-"), "Access denied", "hint: check user and password")
    barred(sim, mariadb.url("nowhere"), "nowhere", "hint: create the database")
    mariadb.execute("GRANT ALL ON refusing.* TO reader@'127.0.0.1'")
    mariadb.execute("SET GLOBAL read_only = 1")
    try:
        barred(sim, poor, "read-only", where, "hint: the database is read-only")
    finally:
        mariadb.execute("SET GLOBAL read_only = 0")
    mariadb.drop("refusing")
