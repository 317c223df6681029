"""`make prove`: its parts are commands that exist, and fit into the time that is given."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

from harness import prove


def test_shares_add_up_to_the_whole_time() -> None:
    assert sum(part.share for part in prove.parts()) == pytest.approx(1.0)


@pytest.mark.parametrize("part", prove.parts(), ids=lambda part: part.name)
def test_a_part_is_a_command_that_exists(part: prove.Part) -> None:
    module, *options = part.line(90.0)[2:]
    name = f"{module}.__main__" if module in ("harness.worlds", "harness.nth") else module
    assert importlib.import_module(name)._parser().parse_args(options)


def test_a_part_that_finds_something_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bad = prove.Part("bad", 1.0, ("harness.worlds", "--seeds", "nonsense"))
    monkeypatch.setattr(prove, "parts", lambda: [bad])
    assert prove.prove(0.01, tmp_path, []) == ["bad"]
    assert "Error" in (tmp_path / "bad.log").read_text()
