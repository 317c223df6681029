"""Keys that stand in files are read again: platforms replace such files while a service runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from etl import errors
from etl.config import load_config
from etl.config.key_command import key_from_command
from etl.records import PageRequest
from tests.extract.conftest import Client

NEW = "sk-new-9f27c1d4"


@pytest.mark.parametrize("how", ["api_key_file", "variable", "environment", "command"])
def test_a_replaced_key_is_used_at_the_first_refusal(
    how: str, client: Callable[..., Client], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, config = tmp_path / "key", tmp_path / "c.yaml"
    c = client()
    file.write_text("canary-51c09e7d\n")
    environ = {
        "BIFROST_API_KEY_FILE": str(file),
        "BIFROST_BASE_URL": c.sim.base_url,
        "BIFROST_PROVIDER": "openai",
    }
    key = {
        "api_key_file": f"api_key_file: {file}",
        "variable": "api_key: '${BIFROST_API_KEY}'",
        "command": f"api_key_command: 'cat {file}'",
    }.get(how, "")
    config.write_text(f"sources:\n  - {{name: a, base_url: '{c.sim.base_url}', provider: openai, {key}}}\n")
    monkeypatch.chdir(tmp_path)
    [source] = load_config(None if how == "environment" else config, environ).sources
    c.gateway.close()
    c.source = source.renewed()
    c.gateway = c._wired(lambda _: None)
    c.gateway.page(PageRequest())
    c.sim.gateway.credentials.token = NEW
    fresh = tmp_path / "fresh"
    fresh.write_text(NEW + "\n")
    fresh.replace(file)
    assert c.gateway.page(PageRequest()).items
    assert c.gateway.requests == 3, "refused once, and asked again with what the file holds now"


def test_the_new_key_is_masked_as_well(client: Callable[..., Client], tmp_path: Path) -> None:
    c, file = client(), tmp_path / "key"
    file.write_text("canary-51c09e7d\n")
    c.source = c.source.__class__(
        name="a", base_url=c.sim.base_url, provider="openai", api_key=c.source.api_key.kept_in(str(file))
    )
    c.gateway.close()
    c.gateway = c._wired(lambda _: None)
    file.write_text(NEW + "\n")
    c.sim.gateway.credentials.token = "another"
    with pytest.raises(errors.Unauthorized) as found:
        c.gateway.page(PageRequest())
    assert NEW not in str(found.value)


def test_a_file_that_is_gone_for_a_moment_changes_nothing(tmp_path: Path) -> None:
    from etl.config import Secret

    assert Secret("old", str(tmp_path / "none")).renewed().reveal() == "old"


@pytest.mark.parametrize(
    ("command", "what"),
    [
        ("false", "exit code 1"),
        ("no-such-program-anywhere", "cannot be started"),
        ("printf ''", "printed no key"),
        ("printf 'two\\nlines'", "printed no key"),
        ("sh 'unbalanced", "cannot be started"),
    ],
)
def test_a_command_that_prints_no_key_is_said_plainly(command: str, what: str) -> None:
    with pytest.raises(errors.ConfigError, match=what):
        key_from_command(command)


def test_what_a_failed_command_printed_stays_unsaid() -> None:
    with pytest.raises(errors.ConfigError) as found:
        key_from_command("sh -c 'echo canary-51c09e7d; exit 3'")
    assert "canary" not in f"{found.value}{found.value.hint}"


@pytest.mark.parametrize("written", [NEW, f" {NEW} \n", f"\ufeff{NEW}\r\n", f"\t{NEW}\n\n"])
def test_a_file_is_read_the_same_way_each_time(
    client: Callable[..., Client], tmp_path: Path, written: str
) -> None:
    """A byte order mark or blanks around a key are no part of it, at the start and when it is read again."""
    file, config, c = tmp_path / "key", tmp_path / "c.yaml", client()
    c.sim.gateway.credentials.token = NEW
    file.write_bytes(written.encode())
    config.write_text(
        f"sources:\n  - {{name: a, base_url: '{c.sim.base_url}', provider: openai, api_key_file: {file},"
        f" headers: {{X-Team: '${{TEAM}}'}}}}\n"
    )
    [source] = load_config(config, {"TEAM_FILE": str(file)}).sources
    assert source.renewed().api_key == source.api_key
    assert source.renewed().headers == source.headers
    c.gateway.close()
    c.source = source.renewed()
    c.gateway = c._wired(lambda _: None)
    assert c.gateway.page(PageRequest()).items


@pytest.mark.parametrize("written", ["sk-two-51c09e7d\nX-Team: other\n", "sk-\x00-51c09e7d", "sk-ö-51c09e7d"])
def test_what_no_header_can_carry_is_not_sent(
    client: Callable[..., Client], tmp_path: Path, written: str
) -> None:
    """The key that was in use goes on until the gateway refuses it: by name, and without the file's text."""
    c, file = client(), tmp_path / "key"
    file.write_text("canary-51c09e7d\n")
    c.source = c.source.__class__(
        name="a", base_url=c.sim.base_url, provider="openai", api_key=c.source.api_key.kept_in(str(file))
    )
    file.write_text(written)
    c.gateway.close()
    c.source = c.source.renewed()
    c.gateway = c._wired(lambda _: None)
    assert c.gateway.page(PageRequest()).items
    c.sim.gateway.credentials.token = "another"
    with pytest.raises(errors.Unauthorized) as found:
        c.gateway.page(PageRequest())
    assert "51c09e7d" not in str(found.value)
