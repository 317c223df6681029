"""Real PostgreSQL and MariaDB servers for tests, the crash harness and benchmarks.

    with postgres_server() as server:
        url = server.create("jobs")     # an empty database; server.drop("jobs") removes it
        server.kill(); server.start()   # a power cut, as far as the server is concerned

Each has its own folder, socket and free port on loopback, trusts everybody, and dies with this process.
Binaries come from Debian's packages; `Missing` says which one is not installed. To try another version, name
the folder of its programs: `POSTGRES_BIN` (postgres, initdb), `MARIADB_BIN` (mariadbd, mariadb-install-db; or
mysqld alone: then everything that says MariaDB runs on MySQL).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa

PASSWORD = "p@ss/w0rd-that-must-not-leak"
_QUOTED = "p%40ss%2Fw0rd-that-must-not-leak"
_PATIENCE = 60.0  # seconds for a server to start or stop


class Missing(Exception):
    """The server's binaries are not on this machine."""


@dataclass
class Server:
    """A running server. `command` starts it in the foreground; `admin` is a URL for making databases."""

    family: str
    command: list[str]
    account: str | None
    folder: Path
    port: int
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def log(self) -> Path:
        return self.folder / "server.log"

    def url(self, name: str) -> str:
        return f"{self.family}://etl:{_QUOTED}@127.0.0.1:{self.port}/{name}"

    def create(self, name: str, *, template: str | None = None) -> str:
        """A new database and its URL. `template` (PostgreSQL only) copies another one that nobody uses."""
        self.execute(f"CREATE DATABASE {name}" + (f" TEMPLATE {template}" if template else ""))
        return self.url(name)

    def drop(self, name: str) -> None:
        force = " WITH (FORCE)" if self.family == "postgresql" else ""
        self.execute(f"DROP DATABASE IF EXISTS {name}{force}")

    def execute(self, statement: str, *, database: str | None = None) -> None:
        """Runs a statement as administrator; on MariaDB several, with semicolons between, in `database`."""
        if self.family == "postgresql":
            import psycopg

            with psycopg.connect(self.url("postgres"), autocommit=True, connect_timeout=5) as connection:
                connection.execute(statement)
        else:
            self._execute_mariadb(statement, database)

    def _execute_mariadb(self, statement: str, database: str | None) -> None:
        import pymysql
        from pymysql.constants import CLIENT

        connection = pymysql.connect(
            unix_socket=str(self.folder / "server.sock"),
            user="root",
            database=database,
            autocommit=True,
            ssl_disabled=True,  # TLS would read the machine's certificates, 30 ms for each test
            client_flag=CLIENT.MULTI_STATEMENTS,
        )
        with contextlib.closing(connection):
            cursor = connection.cursor()
            cursor.execute(statement)
            while cursor.nextset():
                """Each may fail."""

    def start(self) -> None:
        """Starts it and waits until it answers. After `kill`, PostgreSQL first waits for its own orphans."""
        deadline = time.monotonic() + _PATIENCE
        self._launch()
        while not self._answers():
            ended = self._process is None or self._process.poll() is not None
            if ended and b"pre-existing shared memory" in self.log.read_bytes()[-500:]:
                self._launch()
            elif ended or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"{self.family} did not start:\n{self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def _launch(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*_dying_with_us(self.account), *self.command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,  # Ctrl-C is for the tests; they stop it in order
            )

    def stop(self) -> None:
        """An orderly end; open connections are cut."""
        self._end(signal.SIGINT if self.family == "postgresql" else signal.SIGTERM)

    def kill(self) -> None:
        """SIGKILL, also to PostgreSQL's children: they are in its process group."""
        self._end(signal.SIGKILL)

    def abort(self) -> None:
        """PostgreSQL's immediate shutdown: no farewell, no checkpoint; the next start recovers."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None or process.poll() is not None:
            return
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)
        else:
            process.send_signal(number)
        try:
            process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait(_PATIENCE)

    def _answers(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=5).close()
            self.execute("SELECT 1")
        except Exception:  # noqa: BLE001 - whatever a starting server does, it is not ready
            return False
        return True


def mariadb_script(connection: sa.Connection, name: str) -> str:
    """What makes another database the same: its tables, their rows, its views in working order."""
    kinds = connection.exec_driver_sql("SHOW FULL TABLES").fetchall()
    tables = [table for table, kind in kinds if kind == "BASE TABLE"]
    views = connection.exec_driver_sql(
        "SELECT table_name FROM information_schema.views WHERE table_schema = DATABASE()"
    )
    made = [_creation(connection, table) for table in tables]
    filled = [
        table for table in tables if connection.exec_driver_sql(f"SELECT 1 FROM `{table}` LIMIT 1").first()
    ]
    rows = [f"INSERT INTO `{table}` SELECT * FROM `{name}`.`{table}`" for table in filled]
    waiting = {str(view): _creation(connection, str(view)).replace(f"`{name}`.", "") for (view,) in views}
    return ";\n".join(["SET foreign_key_checks = 0", *made, *rows, *_in_working_order(waiting)])


def _creation(connection: sa.Connection, table: str) -> str:
    return str(connection.exec_driver_sql(f"SHOW CREATE TABLE `{table}`").fetchone()[1])  # type: ignore[index]


def _in_working_order(views: dict[str, str]) -> Iterator[str]:
    """Those first that read no view which is still to come."""
    while views:
        ready = {
            name: text
            for name, text in views.items()
            if not any(f" `{other}`" in text.partition(" AS ")[2] for other in views if other != name)
        }
        assert ready, list(views)
        yield from ready.values()
        views = {name: text for name, text in views.items() if name not in ready}


@contextlib.contextmanager
def postgres_server(*settings: str) -> Iterator[Server]:
    """A PostgreSQL server; `settings` are further NAME=VALUE pairs, the last one wins."""
    binaries = _postgres_binary()
    if binaries is None:
        raise Missing("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with _folder("postgres") as (folder, account):
        initdb = [str(binaries.with_name("initdb")), "-D", str(folder / "data"), "-U", "etl", "--auth=trust"]
        initdb += ["--encoding=UTF8", "--locale=C", "--no-sync"]
        _run([*_as(account), *initdb])
        port = _free_port()
        fixed = (f"unix_socket_directories={folder}", f"port={port}", "listen_addresses=127.0.0.1")
        fast = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "shared_buffers=64MB")
        options = [part for setting in (*fixed, *fast, *settings) for part in ("-c", setting)]
        command = [str(binaries), "-D", str(folder / "data"), *options]
        with _running(Server("postgresql", command, account, folder, port)) as server:
            yield server


@contextlib.contextmanager
def mariadb_server(*options: str) -> Iterator[Server]:
    """A MariaDB server; `options` are further --name=value arguments."""
    daemon, installer = _mariadb_binaries()
    if daemon is None or installer is None:
        raise Missing("MariaDB is not installed (Debian: apt-get install mariadb-server)")
    with _folder("mysql") as (folder, account):
        data = ["--no-defaults", f"--datadir={folder / 'data'}"]
        first = ["--auth-root-authentication-method=normal", "--skip-test-db"]
        if installer == daemon:
            first = ["--initialize-insecure", "--secure-file-priv=NULL"]
            first += [option for option in options if option.startswith("--lower-case")]  # for good
            options = ("--mysqlx=OFF", "--secure-file-priv=NULL", *options)
        _run([*_as(account), installer, *data, *first, f"--tmpdir={folder}", _SMALL_LOG])
        port = _free_port()
        fast = [
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync",
            "--innodb-buffer-pool-size=64M",
            "--skip-log-bin",
        ]
        fast += [_SMALL_LOG, "--skip-name-resolve", "--performance-schema=OFF"]
        own = [f"--socket={folder / 'server.sock'}", f"--port={port}", "--bind-address=127.0.0.1"]
        command = [daemon, *data, *own, *fast, f"--tmpdir={folder}", *options]
        with _running(Server("mariadb", command, account, folder, port)) as server:
            server.execute(f"CREATE USER etl@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
            server.execute("GRANT ALL ON *.* TO etl@'127.0.0.1'")
            yield server


def is_installed(kind: str) -> bool:
    """Whether a server of this kind (or a file, for sqlite) can be had on this machine."""
    if kind == "postgresql":
        return _postgres_binary() is not None
    return kind != "mariadb" or None not in _mariadb_binaries()


def _postgres_binary() -> Path | None:
    if _POSTGRES_BIN:
        return next(Path(_POSTGRES_BIN).glob("postgres"), None)
    return max(Path("/usr/lib/postgresql").glob("*/bin/postgres"), default=None)


def _mariadb_binaries() -> tuple[str | None, str | None]:
    """The server, and what makes its first tables: MySQL does that itself."""
    path = _MARIADB_BIN or os.pathsep.join((os.environ.get("PATH", ""), "/usr/sbin", "/usr/bin"))
    mysql = shutil.which("mysqld", path=path) if _MARIADB_BIN else None
    return (
        shutil.which("mariadbd", path=path) or mysql,
        shutil.which("mariadb-install-db", path=path) or mysql,
    )


#: Read once: a test's environment is a clean one.
_POSTGRES_BIN, _MARIADB_BIN = os.environ.get("POSTGRES_BIN"), os.environ.get("MARIADB_BIN")
#: By whatever name a version has it; MySQL no longer does.
_SMALL_LOG = "--loose-innodb-log-file-size=16M"


@contextlib.contextmanager
def _running(server: Server) -> Iterator[Server]:
    try:
        server.start()
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def _folder(account: str) -> Iterator[tuple[Path, str | None]]:
    """A folder for the server, and the account to run as: servers refuse to run as root."""
    run_as = account if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix=f"etl-{account}-"))
    try:
        if run_as:
            shutil.chown(folder, run_as)
        yield folder, run_as
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _as(account: str | None) -> list[str]:
    if account is None:
        return []
    return ["setpriv", f"--reuid={account}", f"--regid={account}", "--clear-groups", "--"]


def _dying_with_us(account: str | None) -> list[str]:
    """Even a SIGKILL of the tests leaves no server behind (Linux; elsewhere nothing is promised)."""
    if shutil.which("setpriv") is None:
        return []
    become = _as(account)[1:-1]
    return ["setpriv", *become, "--pdeathsig=TERM", "--"]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
