"""`check` looks at all that `run` will use: notifications, destinations, packages, secrets, cron lines."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etl.cli.check_service import check_service
from etl.config import Config, load_config

FILE = """\
sources:
  - {name: a, base_url: 'http://h', schedule: {cron: '0 4 * * *', timezone: Europe/Berlin}}
notify: {urls: ['%s']}
service: {token: '${TOKEN}'}
feed: {destinations: [{name: lake, type: delta, url: '/lake/${LAKE}', every: 1h}]}
"""


def load(folder: Path, url: str, **environ: str) -> Config:
    path = folder / "c.yaml"
    path.write_text(FILE % url)
    return load_config(path, environ)


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_what_is_right_is_said(tmp_path: Path):
    config = load(tmp_path, "json://127.0.0.1:9", TOKEN="t" * 20, LAKE="x")
    found = {finding.what: finding for finding in check_service(config)}
    assert list(found) == ["notify", "token", "feed lake", "cron of a"]
    assert all(finding.good for finding in found.values())
    assert "04:00 Europe/Berlin" in found["cron of a"].detail


@pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
def test_what_is_wrong_is_found_before_the_service_starts(tmp_path: Path, monkeypatch: Any):
    found = {f.what: f for f in check_service(load(tmp_path, "nosuch://x"))}
    assert [f.what for f in found.values() if f.good is False] == ["notify", "token", "feed lake"]
    assert "number 1" in found["notify"].detail
    assert "TOKEN is not set" in found["token"].detail and "LAKE is not set" in found["feed lake"].detail
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    config = load(tmp_path, "json://127.0.0.1:9", TOKEN="t" * 20, LAKE="x")
    [lake] = [f for f in check_service(config) if f.what == "feed lake"]
    assert lake.good is False and "bifrost-etl[delta]" in str(lake.hint)
