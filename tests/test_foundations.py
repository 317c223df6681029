"""What the tests stand on: a missing part fails them in CI, and none leaves its logging to the next."""

from __future__ import annotations

import pytest

from etl.log import Redactor, get_logger, set_up_logging
from tests.conftest import require_module, unavailable


@pytest.mark.parametrize("missing", [lambda: require_module("no_such_package"), lambda: unavailable("gone")])
def test_a_missing_part_fails_where_everything_must_be_there(missing, monkeypatch) -> None:
    monkeypatch.setenv("REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception):
        missing()
    monkeypatch.delenv("REQUIRE_ALL")
    with pytest.raises(pytest.skip.Exception):
        missing()


@pytest.mark.parametrize("order", ["a command is run in this process", "a later test reads what is logged"])
def test_logging_of_one_test_is_not_the_next_ones(order: str, caplog: pytest.LogCaptureFixture) -> None:
    if order.startswith("a command"):
        set_up_logging("error", "json", Redactor())
        return
    get_logger("tests").warning("heard")
    assert "heard" in caplog.text
