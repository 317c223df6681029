"""How many of what, as people say it."""

from __future__ import annotations


def count_noun(count: int, noun: str, nouns: str | None = None) -> str:
    """`1 job`, `2 jobs`; with `nouns`, `1 job is`, `2 jobs are`."""
    return f"{count:,} {noun if count == 1 else nouns or f'{noun}s'}"
