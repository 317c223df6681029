"""The public Python API: what the commands do, for schedulers and notebooks. Stable and typed.

    import etl
    for result in etl.sync("bifrost.yaml"):
        print(result.source, result.status, result.counts.jobs_inserted)

`config` is a path, a `Config`, or None: then BIFROST_ETL_CONFIG or the environment says, as for the command.
Every function raises ConfigError for wrong settings or unknown names and StorageError for an unusable
database; what goes wrong with one source or destination is in its result, and `raise_failed` raises it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING

from etl.config import Config, load_config
from etl.errors import EtlError

if TYPE_CHECKING:
    from etl.app import App
    from etl.feed.delivery import DeliveryWatch, FeedResult
    from etl.feed.export import Manifest
    from etl.feed.export_formats import Format
    from etl.feed.lag import DestinationStatus
    from etl.observer import Observer
    from etl.records import RunResult

Settings = str | os.PathLike[str] | Config | None


def sync(
    config: Settings = None,
    names: Sequence[str] = (),
    *,
    progress: Observer | None = None,
    stop: Event | None = None,
) -> list[RunResult]:
    """Bring sources (all enabled ones, if none is named) up to date, side by side; a result for each.

    Safe to call from many processes at once: a source that another one is writing is `skipped`. Setting
    `stop` ends it after the current batch.
    """
    with _open_app(config) as app:
        return app.sync(names, progress=progress, stop=stop)


def reconcile(
    config: Settings = None,
    names: Sequence[str] = (),
    *,
    accept_suspicious: bool = False,
    progress: Observer | None = None,
    stop: Event | None = None,
) -> list[RunResult]:
    """Compare everything listed with everything stored, and mark what is no longer listed; as `sync`."""
    with _open_app(config) as app:
        return app.reconcile(names, progress=progress, accept_suspicious=accept_suspicious, stop=stop)


def deliver(
    config: Settings = None,
    names: Sequence[str] = (),
    *,
    watch: DeliveryWatch | None = None,
    stop: Event | None = None,
) -> list[FeedResult]:
    """Deliver every change to the named destinations (all configured ones, if none is named).

    `watch` is told (destination, table, rows so far) after every batch. Needs the extra of its
    kind (docs/install.md).
    """
    from etl.feed.delivery import deliver_to_all

    with _open_app(config) as app:
        return deliver_to_all(app.engine, app.config, names, watch=watch, stop=stop)


def delivery_status(config: Settings = None, names: Sequence[str] = ()) -> list[DestinationStatus]:
    """How far behind each destination is, per source, and whether its tables hold what was delivered."""
    from etl.feed.delivery import choose_destinations
    from etl.feed.lag import destination_statuses

    with _open_app(config) as app:
        return destination_statuses(app.engine, choose_destinations(app.config, names))


def export(
    folder: str | os.PathLike[str],
    config: Settings = None,
    *,
    format: Format = "parquet",
    tables: Sequence[str] = (),
    since: datetime | None = None,
    until: datetime | None = None,
    raw: bool = False,
) -> Manifest:
    """Write the mirror (or only `tables`) into a new folder. `since` and `until` are aware; until is outside.

    `raw` leaves texts in CSV that look like a spreadsheet's formulas as they are.
    """
    from etl.feed.export import DAYS, Selection, export_tables

    chosen = Selection(tuple(tables or DAYS), since, until)
    with _open_app(config) as app:
        return export_tables(app.engine, Path(folder), format, chosen, raw=raw)


def prune(config: Settings = None, *, dry_run: bool = False) -> dict[str, int]:
    """Remove what is older than the configured `retention`; rows removed (or removable) per table."""
    from etl.feed.prune import prune_tables

    with _open_app(config) as app:
        return prune_tables(
            app.engine,
            app.config.retention,
            app.config.feed.destinations,
            now=datetime.now(UTC),
            dry_run=dry_run,
        )


def raise_failed(results: Iterable[RunResult | FeedResult]) -> None:
    """Raise the first failure among the results, with the others as notes; nothing when there is none."""
    failed = [result for result in results if result.status == "failed"]
    if not failed:
        return
    first = failed[0].error or EtlError("a run failed")
    for other in failed[1:]:
        first.add_note(f"also failed: {other.error}")
    raise first


@contextmanager
def _open_app(config: Settings) -> Iterator[App]:
    from etl.app import App

    with App(_load_settings(config)) as app:
        yield app


def _load_settings(config: Settings) -> Config:
    if isinstance(config, Config):
        return config
    return load_config(None if config is None else Path(config), os.environ)
