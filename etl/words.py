"""Words that many rooms say: how many of what, and how to install what is missing."""

from __future__ import annotations

import shlex
import sys


def count_noun(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 job`, `2 jobs`; with `nouns`, `1 job is`, `2 jobs are`."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"


def how_to_install(extra: str) -> str:
    """The command that adds an extra to this very environment: another one's pip would look for the package
    in the public index, where it is not."""
    return f"{shlex.quote(sys.executable or 'python3')} -m pip install 'bifrost-etl[{extra}]'"
