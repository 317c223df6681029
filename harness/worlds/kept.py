"""Worlds that once failed, shrunk, each in a file of `kept/`; and those that still fail, with the reason."""

from __future__ import annotations

from pathlib import Path

_FOLDER = Path(__file__).with_name("kept")

#: By file: what is wrong. Whoever mends it strikes it off.
KNOWN_FAILING: dict[str, str] = {}
#: Of the seeds that the tests draw anew each time.
KNOWN_SEEDS: dict[int, str] = {}


def worlds() -> list[Path]:
    return sorted(_FOLDER.glob("*.json"))
