"""Secrets hide in every repr, and all of them are known to the redactor."""

from __future__ import annotations

import base64
import copy
import pickle
from pathlib import Path

import pytest

from etl.config import Config, Secret, SecretUrl, load_config
from etl.log import Redactor

TEXT = """
database: {url: "postgresql://u:db%40canary-01@h/d?sslpassword=canary-02"}
service: {token: canary-03-token}
notify: {urls: ["mailto://canary-04"]}
feed:
  destinations:
    - name: a
      type: dlt
      url: snowflake://u:canary-05@h
      options: {aws: {secret_access_key: canary-06, region: eu}}
sources:
  - name: a
    base_url: http://h
    api_key: canary-07-key
    virtual_key: sk-bf-canary-08
    headers: {X-Auth: "Bearer canary-09"}
    proxy: http://u:canary-10@proxy:3128
  - name: b
    base_url: http://h
    username: admin
    password: canary-11
"""


@pytest.fixture
def config(tmp_path: Path) -> Config:
    path = tmp_path / "c.yaml"
    path.write_text(TEXT)
    return load_config(path, {})


def test_no_repr_shows_a_secret(config: Config) -> None:
    shown = f"{config!r} {config} {config.sources} {config.feed.destinations[0]!r}"
    assert "canary" not in shown
    assert "postgresql://u:****@h/d?sslpassword=****" in shown


def test_the_redactor_is_told_every_secret(config: Config) -> None:
    known = " ".join(config.secrets())
    for number in range(1, 12):
        assert f"canary-{number:02}" in known
    assert base64.b64encode(b"admin:canary-11").decode() in config.secrets()
    assert {"db@canary-01", "db%40canary-01", "canary-09", "Bearer canary-09"} <= set(config.secrets())
    assert "eu" not in config.secrets() and "admin" not in config.secrets()


def test_what_is_revealed_is_redacted(config: Config) -> None:
    redact = Redactor(config.secrets())
    assert "canary" not in redact(TEXT)
    assert "canary" not in redact(config.database.reveal())


def test_a_secret_survives_a_trip_to_another_process() -> None:
    secret = pickle.loads(pickle.dumps(Secret("text")))
    assert secret.reveal() == "text" and repr(secret) == "Secret('****')"
    assert copy.deepcopy(secret) == secret and f"{secret}{secret:>9}" == "****     ****"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("sqlite:///x.db", "sqlite:///x.db"),
        ("postgresql://u@h/d", "postgresql://u@h/d"),
        ("postgresql://u:p@ss@h/d", "postgresql://u:****@h/d"),
        ("mysql://:only@h/d", "mysql://:****@h/d"),
        ("s3://b/p?aws_secret_key=abc&x=1", "s3://b/p?aws_secret_key=****&x=1"),
    ],
)
def test_a_url_hides_only_what_is_secret(url: str, shown: str) -> None:
    assert str(SecretUrl(url)) == shown and SecretUrl(url).reveal() == url
