"""The product beside a foreign gateway, by the gateway's clock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from etl.app import App
from etl.config import Config, DatabaseConfig, LeaseConfig, Secret, SecretUrl, Source
from etl.records import RunResult
from etl.schema.tables import metadata
from tests.support.foreign_gateway import ForeignGateway, serving


class Site:
    """`sync()` gives the one source's result; `rows(table)` and `view(name)` read as dicts."""

    def __init__(self, gateway: ForeignGateway, url: str, **settings: Any) -> None:
        self.gateway = gateway
        fast = {"max_backoff": 0.0, "max_attempts": 2, "retry_after_cap": 0.0, "passthrough": "never"}
        key = {} if "username" in settings else {"api_key": Secret("canary-5512-aa71-key")}
        own = {"name": "main", "provider": gateway.provider, "base_url": gateway.base_url}
        unasked = {"probe_accounts": False}  # requests are counted
        self.source = Source(**{**own, **key, **fast, **unasked, **settings})
        self.config = Config(
            sources=(self.source,), database=DatabaseConfig(url=SecretUrl(url)), lease=LeaseConfig(seconds=60)
        )
        self.app = App(self.config, clock=self.clock, sleep=lambda seconds: None)

    def clock(self) -> datetime:
        return datetime.fromtimestamp(self.gateway.now, UTC)

    def sync(self) -> RunResult:
        return self.app.sync()[0]

    def ok(self) -> RunResult:
        result = self.sync()
        if result.error is not None:
            raise result.error
        return result

    def forget_lease(self) -> None:
        """The dead one's lease runs out."""
        with self.app.engine.begin() as conn:
            conn.exec_driver_sql("UPDATE leases SET holder = NULL, expires_at = NULL")

    def rows(self, table: str) -> list[dict[str, Any]]:
        return self._read(sa.select(metadata.tables[table]))

    def view(self, name: str) -> list[dict[str, Any]]:
        return self._read(sa.text(f"SELECT * FROM {name}"))

    def _read(self, query: Any) -> list[dict[str, Any]]:
        with self.app.engine.connect() as conn:
            return [dict(row) for row in conn.execute(query).mappings()]

    def asked(self, path: str) -> list[dict[str, str]]:
        """The queries of all requests so far whose path begins so."""
        return [query for at, query in self.gateway.asked if at.startswith(path)]


@contextmanager
def site(gateway: ForeignGateway, url: str, **settings: Any) -> Iterator[Site]:
    with serving(gateway):
        made = Site(gateway, url, **settings)
        with made.app:
            yield made
