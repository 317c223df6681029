"""`check` says whether the log can be read, how far it reaches back, and whether it names jobs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etl.check import Finding, Probe
from etl.config import Secret
from etl.simulator import World
from tests.support.rig import rig


def findings(folder: Path, world: World, settings: dict[str, Any], **options: Any) -> dict[str, Finding]:
    url = f"sqlite:///{folder / 'etl.db'}"
    with (
        rig(world, url, settings=settings, **options) as r,
        r.app.worker.gateway(r.source) as gateway,
    ):
        return {finding.what: finding for finding in Probe(r.source, gateway).findings()}


def gemini(version: str = "2.0") -> World:
    return World(provider="gemini", jobs=20, version=version, rate=0.0)


@pytest.mark.parametrize(
    ("version", "good", "words"), [("2.0", True, "detail"), ("2.1", True, "row"), ("1.5", None, "1.5.1")]
)
def test_where_jobs_are_named(tmp_path: Path, version: str, good: bool | None, words: str) -> None:
    found = findings(tmp_path, gemini(version), {"discover": "logs"})
    assert found["log"].good
    assert "reaches back to 20" in found["log"].detail
    assert found["log names jobs"].good is good
    assert words in found["log names jobs"].detail
    assert "list" not in found  # it cannot list, and need not


def test_a_log_without_content_names_nothing(tmp_path: Path) -> None:
    found = findings(tmp_path, gemini(), {"discover": "logs"}, log_content=False)
    assert found["log names jobs"].good is False
    assert "disable_content_logging" in str(found["log names jobs"].hint)


def test_a_log_behind_a_login_says_what_to_set(tmp_path: Path) -> None:
    settings = {"discover": "logs"}
    found = findings(tmp_path, gemini(), settings, dashboard=("admin", "canary-pw-81723"))
    assert found["log"].good is False
    assert "logs_username" in str(found["log"].hint)
    settings |= {"logs_username": "admin", "logs_password": Secret("canary-pw-81723")}
    found = findings(tmp_path, gemini(), settings, dashboard=("admin", "canary-pw-81723"))
    assert found["log"].good


def test_a_gateway_that_keeps_no_log_is_told_apart(tmp_path: Path) -> None:
    found = findings(tmp_path, gemini(), {"discover": "logs"}, logs=False)
    assert found["log"].good is False
    assert "log is switched on" in str(found["log"].hint)


def test_the_key_that_jobs_are_read_with_is_tried(tmp_path: Path) -> None:
    """The log may be open to everybody: a wrong key would be seen at the first sync only."""
    good = findings(tmp_path, gemini(), {"discover": "logs"})["credentials"]
    assert (good.good, good.detail) == (True, "accepted: the newest job was read by id")
    settings: dict[str, Any] = {"discover": "logs", "api_key": Secret("canary-wrong-61527f")}
    wrong = findings(tmp_path, gemini(), settings)
    assert wrong["log"].good
    assert wrong["credentials"].good is False
    assert findings(tmp_path, gemini("1.5"), {"discover": "logs"})["credentials"].good is None
