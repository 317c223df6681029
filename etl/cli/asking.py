"""Questions to whoever sits at the terminal. Who gives no answer ends the command before it did anything."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer

from etl.errors import ConfigError


def ask_text(question: str, default: str) -> str:
    with _answered():
        return str(typer.prompt(question, default=default, err=True))


def ask_consent(question: str) -> bool:
    with _answered():
        return bool(typer.confirm(question, err=True))


@contextmanager
def _answered() -> Iterator[None]:
    """Click makes one exception of the end of input (Ctrl-D, a closed pipe) and of Ctrl-C."""
    try:
        yield
    except typer.Abort as exc:
        print(file=sys.stderr)
        if not isinstance(exc.__context__, EOFError):
            raise KeyboardInterrupt from None
        raise ConfigError(
            "the input ended before the question was answered; nothing was done",
            hint="give the answer as an option: see --help",
        ) from None
