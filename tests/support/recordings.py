"""A recorded gateway as a test: `with replayed(path, url) as mirror: mirror.check_sync_reconcile()`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.app import App
from etl.check import Finding, Probe
from etl.config import Config, DatabaseConfig, SecretUrl, Source
from etl.schema.tables import metadata
from etl.simulator import Replay, Serving

FOLDER = Path(__file__).parents[1] / "recordings"
RECORDINGS = sorted(FOLDER.glob("*.jsonl"))


class Mirror:
    """A source on a replayed gateway, at the time of the recording, with the settings of then."""

    def __init__(self, replay: Replay, base_url: str, url: str, **settings: Any) -> None:
        self.replay = replay
        given = {"name": "recorded", "base_url": base_url, "max_attempts": 2, "max_backoff": 0.0}
        given["probe_accounts"] = False  # nobody had asked that
        self.source = Source(**{**given, **replay.head["source"], **settings})
        config = Config(sources=(self.source,), database=DatabaseConfig(url=SecretUrl(url)))
        recorded = datetime.fromisoformat(replay.head["recorded_at"]).astimezone(UTC)
        self.app = App(config, clock=lambda: recorded, sleep=lambda _: None)

    def check(self) -> list[Finding]:
        with self.app.worker.gateway(self.source) as gateway:
            return list(Probe(self.source, gateway).findings())

    def check_sync_reconcile(self) -> list[dict[str, Any]]:
        """The jobs. All end well, items are accounted for, nothing was asked that is not recorded."""
        assert not [
            finding
            for finding in self.check()
            if finding.what in ("gateway", "list") and finding.good is False
        ]
        for result in (*self.app.sync(), *self.app.reconcile(), *self.app.sync()):
            assert (result.status, result.error) == ("ok", None)
        assert self.replay.unrecorded == []
        for run in self.rows("sync_runs"):
            parts = ("inserted", "updated", "unchanged", "rejected")
            assert run["jobs_seen"] == sum(run[f"jobs_{part}"] for part in parts)
        return self.rows("video_jobs")

    def rows(self, table: str) -> list[dict[str, Any]]:
        with self.app.engine.connect() as conn:
            return [dict(row) for row in conn.execute(sa.select(metadata.tables[table])).mappings()]


@contextmanager
def replayed(path: Path, url: str, **settings: Any) -> Iterator[Mirror]:
    """`settings`: of the source, beside those that the recording names."""
    replay = Replay(path)
    with Serving(replay) as server:
        mirror = Mirror(replay, server.base_url, url, **settings)
        with mirror.app:
            yield mirror
