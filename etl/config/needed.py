"""Secrets that are not there, found where they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from etl.config.secret import Secret
from etl.errors import ConfigError


def require_secrets(origin: str, *records: Any) -> None:
    """Raises ConfigError that names every missing secret in these records, however deep."""
    problems = list(dict.fromkeys(text for record in records for text in _find_missing(record)))
    if problems:
        head = "" if len(problems) == 1 else f"{len(problems)} secrets are missing\n"
        raise ConfigError(head + "\n".join(problems), hint=hint_where(origin))


def hint_where(origin: str) -> str:
    """What to do about a fault of the configuration that was read from there."""
    if origin.startswith("the environment"):
        return "put it right in the environment, or let bifrost-etl init write a file"
    return f"correct {origin}, or set the variables that it names"


def _find_missing(value: Any) -> Iterator[str]:
    if isinstance(value, Secret):
        if value.problem is not None:
            yield value.problem
        return
    if isinstance(value, msgspec.Struct):
        inner: Any = (getattr(value, name) for name in value.__struct_fields__)
    elif isinstance(value, dict):
        inner = value.values()
    else:
        inner = value if isinstance(value, tuple | list) else ()
    for item in inner:
        yield from _find_missing(item)
