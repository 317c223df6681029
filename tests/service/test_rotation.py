"""Virtual keys that rotate by themselves, with some grace: during a long first load, and during `run`."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Command
from tests.support.foreign_servers import OpenAI, serving
from tests.support.running import until

pytestmark = pytest.mark.slow
HOW = ["api_key_file", "variable's file", "command", "virtual_key_file"]


@dataclass
class Rotating(OpenAI):
    """Every tenth request brings a new key; the one before is let in three times more. Who hands keys out
    replaces the file at that moment."""

    file: Path = Path()
    number: int = 0
    grace: int = 0
    refused: int = 0
    keys: list[str] = field(default_factory=list)

    def rotate(self) -> None:
        self.number += 1
        self.grace = 3
        self.keys = [f"sk-bf-{self.number:04}aX9c4e7Qz2", *self.keys[:1]]
        fresh = self.file.with_suffix(".new")
        fresh.write_text(self.keys[0] + "\n")
        fresh.replace(self.file)

    def admits(self, headers: dict[str, str]) -> bool:
        if len(self.asked) % 10 == 0:
            self.rotate()
        given = headers.get("x-bf-vk") or headers.get("authorization", "").removeprefix("Bearer ")
        if given == self.keys[0]:
            return True
        self.grace -= 1
        self.refused += self.grace < 0 or given not in self.keys
        return given in self.keys and self.grace >= 0


def configure(command: Command, server: Rotating, how: str) -> None:
    file = server.file
    key = {
        "api_key_file": f"api_key_file: '{file}'",
        "variable's file": "api_key: '${BIFROST_API_KEY}'",
        "command": f"api_key_command: 'cat {file}'",
        "virtual_key_file": f"virtual_key_file: '{file}'",
    }[how]
    command.environ["BIFROST_API_KEY_FILE"] = str(file)
    (command.folder / "bifrost-etl.yaml").write_text(
        f"database: {{url: 'sqlite:///etl.db'}}\nservice: {{port: 0, log_format: json}}\n"
        f"sources:\n  - {{name: main, base_url: '{server.base_url}', {key}, profile: openai, "
        "schedule: {every: 1s}}\n"
    )


def read(folder: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(folder / "etl.db")) as conn:
        return conn.execute(query).fetchall()


@pytest.mark.parametrize("how", HOW)
def test_a_first_load_and_a_service_outlive_their_keys(tmp_path: Path, how: str) -> None:
    server = Rotating(cap=7, file=tmp_path / "key")
    server.make(300, time.time() - 6 * 3600)
    server.rotate()
    command = Command(tmp_path)
    with serving(server):
        configure(command, server, how)
        done = command("sync")
        assert done.code == 0, done.all
        assert server.number > 4 and server.refused > 0
        assert read(tmp_path, "SELECT count(*) FROM video_jobs") == [(300,)]
        before = server.number
        process = command.start("run")
        try:
            until(lambda: server.number > before + 2 or process.poll() is not None, "three more keys")
            assert process.poll() is None, process.communicate()
        finally:
            process.terminate()
            said = process.communicate(timeout=60)
        ended = read(tmp_path, "SELECT DISTINCT status FROM sync_runs")
        assert {status for (status,) in ended} <= {"ok", "interrupted"}, said
        shown = "".join(said) + repr(read(tmp_path, "SELECT * FROM sync_runs"))
        assert "aX9c4e7Qz2" not in shown
