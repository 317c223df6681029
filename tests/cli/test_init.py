"""`init` writes a file that `sync` accepts, for its owner only, and no secret."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.config import load_config
from tests.support.command import Command


def test_what_it_writes_loads(command: Command):
    done = command(
        "init",
        "--base-url",
        "https://gateway.example:8443",
        "--provider",
        "azure",
        "--api-key-env",
        "MY_KEY",
        "--database",
        "postgresql://etl@db.example/history",
    )
    assert done.code == 0, done.err
    file = command.folder / "bifrost-etl.yaml"
    config = load_config(file, {"MY_KEY": "k-123456"})
    source = config.sources[0]
    assert (source.base_url, source.provider) == ("https://gateway.example:8443", "azure")
    assert source.api_key is not None and source.api_key.reveal() == "k-123456"
    assert config.database.reveal() == "postgresql://etl@db.example/history"
    assert file.stat().st_mode & 0o777 == 0o600
    assert "MY_KEY" in done.out


def test_it_never_overwrites_silently(command: Command):
    file = command.folder / "bifrost-etl.yaml"
    file.write_text("mine")
    done = command("init")
    assert (done.code, file.read_text()) == (2, "mine")
    assert "--force" in done.err
    assert command("init", "--force").code == 0
    assert "sources:" in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("--api-key-env", "sk-canary-51be0c7d94"),
        ("--database", "postgresql://etl:canary-51be0c7d94@db.example/history"),
        ("--base-url", "https://me:canary-51be0c7d94@gateway.example"),
        ("--base-url", "not an address"),
        ("--database", "nonsense"),
        ("--database", "sqlite:///a}b.db"),
    ],
)
def test_it_refuses_secrets_and_nonsense(command: Command, option: str, value: str):
    done = command("init", option, value)
    assert done.code == 2
    assert "canary" not in done.all
    assert list(command.folder.iterdir()) == []


def test_full_writes_every_setting(command: Command):
    assert command("init", "--full", "--path", "all.yaml").code == 0
    assert "open_job_patience" in Path(command.folder, "all.yaml").read_text()


def test_on_a_terminal_it_asks(command: Command):
    import os
    import pty
    import subprocess

    from tests.support.command import PROGRAM

    ours, theirs = pty.openpty()
    child = subprocess.Popen(
        [*PROGRAM, "init"],
        cwd=command.folder,
        env=command._environment({}),
        stdin=theirs,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    os.close(theirs)
    os.write(ours, b"https://asked.example\n\n\n\n")
    out, _ = child.communicate(timeout=60)
    os.close(ours)
    assert child.returncode == 0, out
    config = load_config(command.folder / "bifrost-etl.yaml", {"BIFROST_API_KEY": "k-123456"})
    assert config.sources[0].base_url == "https://asked.example"


def test_whoever_ends_the_input_is_told(command: Command):
    """Ctrl-D at the second question."""
    code, shown = command.on_terminal("init", typed=b"http://gateway:8080\n\x04")
    assert code == 2 and "nothing was done" in shown and "--help" in shown and "Aborted" not in shown
    assert not (command.folder / "bifrost-etl.yaml").exists()


def test_it_asks_for_no_variable_that_is_set(command: Command):
    assert "next: export OF_NOBODY=…" in command("init", "--api-key-env", "OF_NOBODY").out
    set_now = command("init", "--force", "--api-key-env", "OF_SOMEBODY", OF_SOMEBODY="k")
    assert "next: bifrost-etl check" in set_now.out


def test_an_answer_that_cannot_be_used_is_asked_for_again(command: Command):
    typed = b"gateway:8080\nhttps://second.example\n\nsk-my-key\n\npostgres://etl:pw@db/videos\npostgresql://etl@db/videos\n"
    code, shown = command.on_terminal("init", typed=typed)
    assert code == 0, shown
    assert "starts with http:// or https://" in shown and "holds a password" in shown
    config = load_config(command.folder / "bifrost-etl.yaml", {"BIFROST_API_KEY": "k-123456"})
    assert config.sources[0].base_url == "https://second.example"
    assert config.database.reveal() == "postgresql://etl@db/videos"
