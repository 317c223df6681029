"""The mutation harness: what it changes, that it tells a noticed mutant from another, and touches no file."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from harness.mutants.operators import mutants_of, mutated_tree
from harness.processes import ROOT

SOURCE = '''"""A docstring."""
__all__ = ["last"]

def last(found: list[int] | None, most: int = 3):
    """Another."""
    if found and len(found) > most:
        return found[-1] + 1
'''


def test_what_is_changed() -> None:
    told = [str(mutant) for mutant in mutants_of(SOURCE)]
    assert told == [
        "4: 3 → 4",
        "4: 3 → 2",
        "6: if found and len(found) > most: return found[-1] + 1 → if not (found and len(found) > most): return found[-1] + 1",  # noqa: E501
        "6: found and len(found) > most → found or len(found) > most",
        "6: len(found) > most → len(found) >= most",
        "6: len(found) > most → len(found) == most",
        "6: len(found) > most → len(found) != most",
        "7: found[-1] + 1 → found[-1] - 1",
        "7: found[-1] + 1 → found[-1] * 1",
        "7: -1 → +1",
        "7: 1 → 2",
        "7: 1 → 0",
        "7: 1 → 2",
        "7: 1 → 0",
    ]


def test_each_mutant_is_the_module_but_for_its_change() -> None:
    for mutant in mutants_of(SOURCE):
        lines = ast.unparse(mutated_tree(SOURCE, mutant)).splitlines()
        plain = ast.unparse(ast.parse(SOURCE)).splitlines()
        assert sum(a != b for a, b in zip(lines, plain, strict=True)) == 1


@pytest.mark.slow
def test_one_is_noticed_and_one_is_not_and_the_file_is_as_it_was() -> None:
    path = ROOT / "etl/pipeline/ending.py"
    before = path.read_bytes(), path.stat().st_mtime_ns
    line = next(n for n, text in enumerate(path.read_text().splitlines(), 1) if "self._claims > 0" in text)
    command = [sys.executable, "-m", "harness.mutants", str(path), "--lines", str(line), "--tests"]

    done = subprocess.run(
        [*command, "tests/pipeline/test_ending.py"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )

    assert done.returncode == 0, done.stderr
    assert f"{line}: self._claims > 0 → self._claims != 0" in done.stdout  # the same: it is never less
    assert "self._claims > 0 → self._claims == 0" not in done.stdout
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
