"""What is not installed skips a test, and fails it where everything must be there."""

from __future__ import annotations

import pytest

from tests.conftest import require_module, unavailable


@pytest.mark.parametrize("missing", [lambda: require_module("no_such_package"), lambda: unavailable("gone")])
def test_a_missing_part_fails_where_everything_must_be_there(missing, monkeypatch) -> None:
    monkeypatch.setenv("REQUIRE_ALL", "1")
    with pytest.raises(pytest.fail.Exception):
        missing()
    monkeypatch.delenv("REQUIRE_ALL")
    with pytest.raises(pytest.skip.Exception):
        missing()
