"""Revisions are one chain: two of one number leave databases that no upgrade finishes."""

from __future__ import annotations

import re
from pathlib import Path

VERSIONS = Path(__file__).parents[2] / "migrations" / "versions"


def test_each_revision_follows_the_one_before() -> None:
    chain = []
    for path in sorted(VERSIONS.glob("[0-9]*_*.py")):
        text = path.read_text(encoding="utf-8")
        found = re.search(r'^revision = "(\w+)"\ndown_revision = (?:"(\w+)"|None)$', text, re.M)
        assert found and path.name.startswith(found[1] + "_"), path.name
        chain.append((found[1], found[2]))
    numbers = [number for number, _ in chain]
    assert [before for _, before in chain] == [None, *numbers[:-1]]
