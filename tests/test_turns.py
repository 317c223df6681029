"""`make test` runs each test on one database, all three get their share, and nothing else is left out."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tests.conftest import DATABASES, DESTINATIONS, choose_by_turns


def item(name: str, **params: str) -> Any:
    inside = "-".join(params.values())
    callspec = SimpleNamespace(params=params)
    return SimpleNamespace(nodeid=f"tests/x.py::{name}[{inside}]" if params else name, callspec=callspec)


def test_each_test_gets_one_database_and_always_the_same() -> None:
    plain = [item("alone"), item("other", shape="a"), item("other", shape="b")]
    many = [item(f"test{n}", database=kind, order=o) for n in range(150) for kind in DATABASES for o in "ud"]
    feeds = [item("feed", kind=kind, database="sqlite") for kind in DESTINATIONS]
    two = [item("two", database=kind) for kind in ("postgresql", "mariadb")]
    chosen = list(choose_by_turns([*plain, *many, *feeds, *two]))
    assert chosen == list(choose_by_turns([*plain, *many, *feeds, *two]))
    assert [each for each in chosen if each in plain] == plain
    assert len(chosen) == 3 + 300 + 1 + 1
    shares = Counter(each.callspec.params["database"] for each in chosen if each in many)
    assert set(shares) == set(DATABASES) and min(shares.values()) > 70


def test_a_database_that_is_not_installed_has_no_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conftest, "is_installed", lambda kind: kind in ("", "sqlite"))
    many = [item(f"test{n}", database=kind) for n in range(30) for kind in DATABASES]
    only = [item("server", database=kind) for kind in ("postgresql", "mariadb")]
    chosen = list(choose_by_turns([*many, *only]))
    assert {each.callspec.params["database"] for each in chosen[:30]} == {"sqlite"}
    assert len(chosen) == 31  # and says why it is skipped
