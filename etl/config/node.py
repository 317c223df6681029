"""Values that know where they stand, and texts from the environment and from secret files."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from etl.config.secret import read_secret_file

_KEY = re.compile(r"[A-Za-z_][\w.-]{0,39}")

#: Stands for a value whose problem is already reported.
BROKEN = object()


class BothGiven(ValueError):
    """A variable and the file that stands for it: a mistake, whoever needs it."""


@dataclass(frozen=True, slots=True)
class Unset:
    """Stands for a text that cannot be had now: `problem` says why, `secret` what to do where it is a secret,
    `file` is the secret file that may come later."""

    problem: str
    secret: str
    file: str | None = None


@dataclass(frozen=True, slots=True)
class Node:
    """A value and where it stands. `value` is a dict of nodes, a list of nodes, or a scalar.

    `expanded` says that variables were put in, so that the text may also mean a number or a boolean. `file`
    is the path of the secret file that holds the whole text.
    """

    value: Any
    where: str
    expanded: bool = False
    file: str | None = None

    def plain(self) -> Any:
        """The value without places."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value


def show_key(key: str) -> str:
    """A key as a message may name it: not when it looks like a secret that slipped into its place."""
    return key if _KEY.fullmatch(key) and not key.startswith("sk-") else "(not shown)"


def variable_file(environ: Mapping[str, str], name: str) -> str | None:
    """The path of the file that NAME_FILE names for a variable, if it is given that way."""
    return None if environ.get(name) else environ.get(f"{name}_FILE") or None


def read_variable(environ: Mapping[str, str], name: str) -> str | None:
    """An environment variable, or the content of the file that NAME_FILE names; None when neither is set."""
    text, file = environ.get(name), environ.get(f"{name}_FILE")
    if text and file:
        raise BothGiven(f"{name} and {name}_FILE are both set; keep one")
    if not file:
        return text or None
    try:
        return read_secret_file(file)
    except ValueError as exc:
        raise ValueError(f"{name}_FILE: {exc}") from None
