"""A folder with costs in FOCUS: one CSV file, and a manifest with its sums."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.focus import FocusSum, count_uncosted, focus_columns, focus_rows
from etl.analytics.rendering import plain_json
from etl.errors import ConfigError
from etl.spreadsheets import spreadsheet_safe
from etl.version import __version__


def export_focus(
    engine: sa.Engine, folder: Path, chosen: Filter, version: str, *, raw: bool = False
) -> FocusSum:
    """Writes `folder`, which must not exist or be empty; it appears when all of it is written. Raises
    ConfigError, StorageError, OSError."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(f"{folder} is not empty", hint="name a new folder")
    building = folder.absolute().with_name(f".{folder.name}.partial")
    shutil.rmtree(building, ignore_errors=True)
    building.mkdir(parents=True)
    try:
        name = f"focus-{version}.csv"
        rows, billed = _write_rows(building / name, focus_rows(engine, chosen, version), version, raw=raw)
        found = FocusSum(rows, billed, count_uncosted(engine, chosen))
        manifest = _manifest_of(found, name, chosen, version)
        (building / "manifest.json").write_text(json.dumps(manifest, default=plain_json, indent=2) + "\n")
        if folder.exists():
            folder.rmdir()
        building.rename(folder)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    return found


def _write_rows(
    path: Path, rows: Iterator[dict[str, Any]], version: str, *, raw: bool
) -> tuple[int, dict[str, Decimal]]:
    count, billed = 0, dict[str, Decimal]()
    with path.open("w", encoding="utf-8", newline="") as out:
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(focus_columns(version))
        for row in rows:
            count += 1
            writer.writerow([_cell(value, raw=raw) for value in row.values()])
            currency = row["BillingCurrency"]
            billed[currency] = billed.get(currency, Decimal(0)) + row["BilledCost"]
    return count, billed


def _cell(value: Any, *, raw: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        text = f"{value.normalize() + 0:f}"
        return (
            text if "." in text else f"{text}.0"
        )  # FOCUS wants decimals: a column of 8 and 12 reads as integers
    return str(value) if raw else spreadsheet_safe(str(value))


def _manifest_of(found: FocusSum, name: str, chosen: Filter, version: str) -> dict[str, Any]:
    return {
        "version": __version__,
        "format": "focus",
        "focus_version": version,
        "exported_at": chosen.now,
        "since": chosen.since,
        "until": chosen.until,
        "file": name,
        "rows": found.rows,
        "billed": {currency: str(amount) for currency, amount in sorted(found.billed.items())},
        "uncosted_jobs": found.uncosted,
    }
