"""Values that know where they stand, and texts from the environment and from secret files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_KEY = re.compile(r"[A-Za-z_][\w.-]{0,39}")

#: Stands for a value whose problem is already reported.
BROKEN = object()


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands. `value` is a dict of nodes, a list of nodes, or a scalar.

    `expanded` says that variables were put in, so that the text may also mean a number or a boolean.
    """

    value: Any
    where: str
    expanded: bool = False

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def shown(key: str) -> str:
    """A key as a message may name it: not when it looks like a secret that slipped into its place."""
    return key if _KEY.fullmatch(key) and not key.startswith("sk-") else "(not shown)"


def read_secret_file(path: str) -> str:
    """The text of a secret file without its trailing newline. ValueError says why not, without the path."""
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
    except FileNotFoundError:
        raise ValueError("there is no such file") from None
    except UnicodeDecodeError:
        raise ValueError("this file is not UTF-8 text") from None
    except (OSError, RuntimeError, ValueError) as exc:
        reason = getattr(exc, "strerror", None) or "not a usable path"
        raise ValueError(f"this file cannot be read: {reason}") from None
    if not text.strip():
        raise ValueError("this file is empty")
    return text


def variable(environ: Mapping[str, str], name: str) -> str | None:
    """An environment variable, or the content of the file that NAME_FILE names; None when neither is set."""
    text, file = environ.get(name), environ.get(f"{name}_FILE")
    if text and file:
        raise ValueError(f"{name} and {name}_FILE are both set; keep one")
    if not file:
        return text or None
    try:
        return read_secret_file(file)
    except ValueError as exc:
        raise ValueError(f"{name}_FILE: {exc}") from None
