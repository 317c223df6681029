"""`make test` runs every test: on one database, all three in turn, and of many cases one in eight."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tests.conftest import DATABASES, DESTINATIONS, FEW, choose_by_turns, choose_share


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


def test_of_many_cases_a_share_is_run_always_the_same() -> None:
    few = [item("few", case=str(n)) for n in range(FEW)]
    many = [item(f"many{k}", case=str(n)) for k in range(20) for n in range(9)]
    given = [*few, item("alone"), *many]
    chosen = list(choose_share(given, 4))
    assert [each.nodeid for each in chosen] == [
        each.nodeid for each in choose_share([*few, item("alone"), *many], 4)
    ]
    assert set(map(id, few)) <= set(map(id, chosen)) and len(chosen) == FEW + 1 + 20 * 3
    assert len({each.callspec.params["case"] for each in chosen if each in many}) == 9
    assert len(list(choose_share(many, 1))) == len(many)
