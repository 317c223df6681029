"""Which module writes which kind of destination, and what it needs to be installed."""

from __future__ import annotations

import importlib.util
from importlib import import_module

from etl.config import Destination
from etl.errors import ConfigError
from etl.feed.sinks.base import Sink
from etl.words import how_to_install

#: Kind of destination → module with `open_sink(destination)`, the package it needs, and our extra for that.
_KINDS = {
    "filesystem": ("etl.feed.sinks.parquet", "pyarrow", "parquet"),
    "delta": ("etl.feed.sinks.delta", "deltalake", "delta"),
    "iceberg": ("etl.feed.sinks.iceberg", "pyiceberg", "iceberg"),
    "duckdb": ("etl.feed.sinks.duckdb", "duckdb", "duckdb"),
    "postgres": ("etl.feed.sinks.dlt", "dlt", "warehouse"),
    "dlt": ("etl.feed.sinks.dlt", "dlt", "warehouse"),
}


def open_sink(destination: Destination) -> Sink:
    """Raises ConfigError for a destination that lacks a setting or a package."""
    require_package(destination)
    sink: Sink = import_module(_KINDS[destination.type][0]).open_sink(destination)
    return sink


def require_package(destination: Destination) -> None:
    """Raises ConfigError when what this kind of destination needs is not installed. Opens nothing."""
    _module, package, extra = _KINDS[destination.type]
    for needed in ("pyarrow", package):
        if importlib.util.find_spec(needed) is None:
            raise ConfigError(
                f"feed destination {destination.name!r} needs the package {needed}",
                hint=how_to_install(extra),
            )
