"""Servers whose list is not Bifrost's, each read by its profile: from the settings to equal rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etl.check import Probe
from etl.config import Secret
from etl.simulator import World
from tests.support.rig import TOKEN, rig

BASIC = {"api_key": None, "username": "ann", "password": Secret("canary-7f3a9c51e2")}


def settings(profile: str) -> dict[str, Any]:
    return {"profile": profile, "provider": None} | (BASIC if profile == "inworld" else {})


@pytest.mark.parametrize("profile", ["openai", "azure", "litellm", "window24h", "inworld"])
def test_each_kind_of_server_is_mirrored(url_by_turns: str, profile: str) -> None:
    world = World(jobs=15, shape=profile, rate=0.0, failures=0.2)
    with rig(world, url_by_turns, settings=settings(profile)) as r:
        if profile == "inworld":
            r.sim.gateway.credentials.token = f"ann:{TOKEN}"
        r.ok()
        assert len(r.jobs()) == 15
        r.sim.advance(3600)
        r.ok()
        r.ok()
        assert all(row["settled"] for row in r.jobs().values())
        assert not [q for q in r.sim.requests if "provider" in q.query]


def findings(folder: Path, shape: str, **more: Any) -> dict[str, Any]:
    world = World(jobs=15, shape=shape, rate=0.0)
    url = f"sqlite:///{folder / 'etl.db'}"
    with (
        rig(world, url, settings={"provider": None, **more}) as r,
        r.app.worker.gateway(r.source) as gateway,
    ):
        return {found.what: found for found in Probe(r.source, gateway).findings()}


def test_check_finds_out_what_answers(tmp_path: Path) -> None:
    assert "Bifrost" in findings(tmp_path, "bifrost", provider="openai")["profile"].detail
    assert "OpenAI" in findings(tmp_path, "openai")["profile"].detail
    assert findings(tmp_path, "azure")["profile"].detail == "found out: Azure OpenAI, Foundry, and asked so"
    assert findings(tmp_path, "litellm")["profile"].detail == "found out: LiteLLM proxy"
    assert "as configured" in findings(tmp_path, "azure", profile="azure")["profile"].detail
