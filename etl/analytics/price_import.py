"""A price file to prices: CSV, YAML or JSON, every problem with its line.

CSV has a header; YAML and JSON hold a list, or a mapping with `prices:` as in the configuration. The keys are
those of the configuration: provider, model, resolution, price, currency, unit, valid_from.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

from etl.config import Price
from etl.config.node import Node
from etl.config.reader import Reader
from etl.errors import ConfigError


def read_file(path: Path) -> list[Price]:
    """The prices of a file. Raises ConfigError that names every line in need of repair."""
    reader = Reader()
    items = _parse_csv(path, reader) if path.suffix.lower() == ".csv" else _parse_tree(path, reader)
    found = [reader.build(reader.read(item, Price, f"price {n}")) for n, item in enumerate(items, 1)]
    if not reader.problems:
        _refuse_duplicates(found, items, reader)
    if reader.problems:
        raise ConfigError("\n".join(reader.problems), hint="nothing was imported; correct the file")
    if not found:
        raise ConfigError(f"{path}: there is no price in it")
    return found


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as exc:
        raise ConfigError(f"{path}: cannot be read: {exc.strerror}") from None


def _parse_tree(path: Path, reader: Reader) -> list[Node]:
    from etl.config.yaml_nodes import parse_yaml  # JSON is YAML too

    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        raise ConfigError(f"{path}: prices come from .csv, .yaml or .json files")
    root = parse_yaml(_read_file(path), str(path), {}, reader.problems)
    if isinstance(root.value, dict) and "prices" in root.value:
        root = root.value["prices"]
    if not isinstance(root.value, list):
        raise ConfigError(f"{root.where}: expects a list of prices")
    return root.value


def _parse_csv(path: Path, reader: Reader) -> list[Node]:
    try:
        text = _read_file(path).decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: this file is not UTF-8 text") from None
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = [name.strip().lower() for name in next(lines, [])]
        return list(_csv_rows(path, lines, header, reader))
    except csv.Error as exc:
        raise ConfigError(f"{path}:{lines.line_num}: not valid CSV: {exc}") from None


def _csv_rows(path: Path, lines: Iterator[list[str]], header: list[str], reader: Reader) -> Iterator[Node]:
    for cells in lines:
        where = f"{path}:{lines.line_num}"  # type: ignore[attr-defined]
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(header):
            reader.report(where, "", f"has {len(cells)} values under {len(header)} headings")
            continue
        # An empty cell is a key that is not there; text may mean a number.
        given = {
            k: Node(v.strip(), where, expanded=True) for k, v in zip(header, cells, strict=True) if v.strip()
        }
        yield Node(given, where)


def _refuse_duplicates(found: list[Price], items: list[Node], reader: Reader) -> None:
    first: dict[tuple[object, ...], str] = {}
    for price, item in zip(found, items, strict=True):
        key = (price.provider, price.model, price.resolution, price.valid_from)
        if key in first:
            reader.report(item.where, "", f"prices the same as {first[key]}")
        first.setdefault(key, item.where)
