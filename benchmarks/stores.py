"""Empty databases on demand, and the configuration that names one. Servers start when first needed."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple, Self

from benchmarks.gateways import TOKEN
from etl.db.engine import make_engine
from tests.support.databases import Server, mariadb_server, postgres_server

DATABASES = ("sqlite", "postgresql", "mariadb")
_NAMES = {"sqlite": "SQLite", "postgresql": "PostgreSQL", "mariadb": "MariaDB"}
#: The servers' own defaults, where the tests' servers are smaller and careless.
_STARTERS = {
    "postgresql": lambda: postgres_server(
        "fsync=on", "synchronous_commit=on", "full_page_writes=on", "shared_buffers=128MB"
    ),
    "mariadb": lambda: mariadb_server(
        "--innodb-flush-log-at-trx-commit=1",
        "--innodb-buffer-pool-size=128M",
        "--innodb-log-file-size=96M",
    ),
}


class Store(NamedTuple):
    """An empty database, and a folder for what belongs to it."""

    url: str
    folder: Path

    def config(self, base_url: str, concurrency: int | None = None) -> str:
        """A configuration file with the defaults, but for the requests at once."""
        more = "" if concurrency is None else f"    concurrency: {concurrency}\n"
        path = self.folder / "bifrost-etl.yaml"
        path.write_text(
            f"database:\n  url: {self.url}\nsources:\n  - name: main\n    base_url: {base_url}\n"
            f"    provider: openai\n    api_key: {TOKEN}\n{more}"
        )
        return str(path)


class Stores:
    """A context manager: leaving it stops every server and removes every file."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._servers: dict[str, Server] = {}
        self._numbers = itertools.count(1)

    def __enter__(self) -> Self:
        self._root = Path(self._stack.enter_context(TemporaryDirectory(prefix="etl-bench-")))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @contextmanager
    def empty(self, kind: str) -> Iterator[Store]:
        """A database that nobody has used, gone afterwards."""
        name = f"bench{next(self._numbers)}"
        folder = self._root / name
        folder.mkdir()
        server = self.server(kind)
        try:
            yield Store(server.create(name) if server else f"sqlite:///{folder / 'etl.db'}", folder)
        finally:
            if server:
                server.drop(name)
            shutil.rmtree(folder, ignore_errors=True)

    def server(self, kind: str) -> Server | None:
        """The running server of a kind; None for SQLite. Raises tests.support.databases.Missing."""
        if kind not in self._servers and kind in _STARTERS:
            self._servers[kind] = self._stack.enter_context(_STARTERS[kind]())
        return self._servers.get(kind)

    def version(self, kind: str) -> str:
        """The database's name and version, as people write them."""
        with self.empty(kind) as store:
            engine = make_engine(store.url)
            with engine.connect():
                numbers = engine.dialect.server_version_info or ()
            engine.dispose()
        return f"{_NAMES[kind]} {'.'.join(str(part) for part in numbers if isinstance(part, int))}"
