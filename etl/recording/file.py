"""The file: JSON lines. The first says what it is, every other is an exchange (docs/simulator.md)."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from etl.errors import ConfigError
from etl.recording.tape import RecordedExchange

FORMAT, VERSION = "bifrost-etl-recording", 1


def write_recording(path: Path, head: dict[str, Any], exchanges: Iterable[RecordedExchange]) -> None:
    """The whole file or none, readable by its owner alone. Raises ConfigError where it cannot be written."""
    lines = [{"format": FORMAT, "version": VERSION, **head}, *map(_exchange_line, exchanges)]
    try:
        descriptor, part = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    except OSError as exc:
        raise ConfigError(f"cannot write {path}: {exc.strerror}", hint="does its folder exist?") from None
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:  # mkstemp's mode is 0600
            file.writelines(json.dumps(line) + "\n" for line in lines)
            file.flush()
            os.fsync(file.fileno())
        Path(part).replace(path)
    except BaseException:
        Path(part).unlink(missing_ok=True)
        raise


def _exchange_line(one: RecordedExchange) -> dict[str, Any]:
    said = {"method": "GET", "path": one.path, "query": one.query, "status": one.status}
    try:
        return {**said, "headers": one.headers, "body": one.body.decode()}
    except UnicodeDecodeError:
        return {**said, "headers": one.headers, "body_base64": base64.b64encode(one.body).decode()}
