"""`prices propose` as a user runs it."""

from __future__ import annotations

import pytest

from tests.support.command import Command


@pytest.mark.parametrize("command", [("prices", "propose"), ("prices", "propose", "--apply")])
def test_the_command(configured: Command, command: tuple[str, ...]) -> None:
    assert configured("sync").code == 0
    done = configured(*command)
    assert done.code == 0, done.err
