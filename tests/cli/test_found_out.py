"""`profile: auto` finds out what answers: the whole commands against servers written from documents."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.command import Command
from tests.support.foreign_servers import (
    KEY,
    Foundry,
    Inworld,
    LenientInworld,
    LiteLLM,
    Merge,
    Numbered,
    OpenAI,
    serving,
)

pytestmark = pytest.mark.slow
HOUR = 3600


def stored(folder: Path) -> dict[str, str]:
    with closing(sqlite3.connect(folder / "etl.db")) as conn:
        return dict(conn.execute("SELECT job_id, status FROM video_jobs WHERE unlisted_at IS NULL"))


def seen_an_hour_ago(folder: Path) -> None:
    """As if the sync before had been then: of some lists it shows only later that they stand still."""
    with closing(sqlite3.connect(folder / "etl.db")) as conn, conn:
        for column in ("first_seen_at", "last_changed_at"):
            conn.execute(f"UPDATE video_jobs SET {column} = datetime({column}, '-1 hour') || '.000000'")


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    yield Command(tmp_path, BIFROST_API_KEY=KEY)


def configure(command: Command, server: OpenAI, more: str = "") -> None:
    (command.folder / "bifrost-etl.yaml").write_text(
        f"database: {{url: 'sqlite:///etl.db'}}\nsources:\n"
        f"  - {{name: main, base_url: '{server.base_url}', api_key: '${{BIFROST_API_KEY}}'{more}}}\n"
    )


def run(command: Command, *arguments: str) -> str:
    done = command(*arguments)
    assert done.code == 0, done.all
    return done.out


#: The server, what else the source says, and what `check` calls it.
SERVERS = {
    "openai": (OpenAI, "", "OpenAI"),
    "openai, with a provider": (OpenAI, ", provider: openai", "OpenAI"),
    "foundry": (Foundry, "", "Azure"),
    "foundry, with a provider": (Foundry, ", provider: azure", "Azure"),
    "inworld": (Inworld, "", "Basic"),
    "inworld, lenient": (LenientInworld, "", "Basic"),
    "merge": (Merge, "", "OpenAI"),
}


@pytest.mark.parametrize("name", SERVERS)
def test_the_whole_commands_find_out_what_answers(command: Command, name: str) -> None:
    kind, more, title = SERVERS[name]
    began = int(time.time()) - 4 * HOUR
    server = kind()
    server.make(130, began, status="completed")
    server.jobs[-1]["status"] = server.jobs[-40]["status"] = "in_progress"
    if isinstance(server, Merge):
        server.now = time.time()
        server.polled = {job["id"]: job["status"] for job in server.jobs}
    with serving(server):
        configure(command, server, more)
        told = run(command, "check")
        assert "✗" not in told, told
        assert title in told
        run(command, "sync")
        assert stored(command.folder) == {job["id"]: job["status"] for job in server.jobs}
        server.jobs[-40]["status"] = "completed"
        server.jobs[-1]["status"] = "failed"
        server.make(15, began, begin=130, status="queued")
        asked = len(server.asked)
        seen_an_hour_ago(command.folder)
        run(command, "sync")
        assert len(server.asked) - asked <= 3 + 17, "what was found out is not asked again"
        run(command, "reconcile")
        assert stored(command.folder) == {job["id"]: job["status"] for job in server.jobs}
        assert "1 ok" in run(command, "status")


def test_a_foundry_address_with_its_path(command: Command) -> None:
    """As the portal shows it: https://NAME.openai.azure.com/openai/v1"""
    server = Foundry()
    server.make(30, time.time() - HOUR)
    with serving(server):
        server.base_url += "/openai/v1"
        configure(command, server)
        assert "✗" not in run(command, "check")
        run(command, "sync")
        assert len(stored(command.folder)) == 30


def test_a_litellm_proxy_is_asked_for_its_provider_in_a_header(command: Command) -> None:
    server = LiteLLM(headers={"x-litellm-version": "1.108.7"})
    server.make(12, time.time() - HOUR)
    with serving(server):
        configure(command, server, ", provider: azure")
        assert "LiteLLM" in command("check").out
        run(command, "sync")
        assert set(stored(command.folder)) == {server.wrapped(job["id"]) for job in server.jobs}
        server.make(5, time.time() - HOUR, begin=12)
        run(command, "sync")
        run(command, "reconcile")
        assert len(stored(command.folder)) == 17


def test_a_litellm_proxy_with_more_than_a_page_is_no_fault(command: Command) -> None:
    """It shows its newest page only, which nobody can mend: what is deployed behind `check` may go on. What
    was never listed is a gap until somebody says that he knows."""
    server = LiteLLM(headers={"x-litellm-version": "1.108.7"})
    server.make(45, time.time() - HOUR)
    with serving(server):
        configure(command, server, ", provider: azure")
        said = run(command, "check")
        assert "– cursor: ignored" in said and "sync so often that pages overlap" in said
        assert command("sync").code == command("status").code == 3
        assert len(stored(command.folder)) == 20
        (gap,) = command("gaps", "--json").json["sources"][0]["gaps"]
        shown = run(command, "gaps", "--accept", str(gap["id"]))
        assert "window, accepted" in shown and "down to the oldest job" in shown and " -" not in shown
        run(command, "sync")
        run(command, "status")


def test_a_server_that_pages_by_other_words_is_told_of(command: Command) -> None:
    """It pages by `page=2` and knows no cursor: its first page passed for the whole, and sync ended 0."""
    server = Numbered()
    server.make(250, time.time() - HOUR)
    with serving(server):
        configure(command, server)
        assert "its answers name page, total_pages" in command("check").out
        assert command("sync").code == 3
        assert "its answers name page, total_pages" in command("gaps").out
        assert command("status").code == 3
        assert len(stored(command.folder)) == 100


@pytest.mark.parametrize("cap", [7, 20, 50])
def test_a_silent_cap_is_ordinary(command: Command, cap: int) -> None:
    server = OpenAI(cap=cap)
    server.make(130, time.time() - 5 * HOUR)
    with serving(server):
        configure(command, server)
        assert "✗" not in run(command, "check")
        run(command, "sync")
        server.make(30, time.time() - 5 * HOUR, begin=130)
        run(command, "sync")
        run(command, "reconcile")
        assert len(stored(command.folder)) == 160
        assert "1 ok" in run(command, "status")


def test_a_wrong_key_stays_a_wrong_key(command: Command) -> None:
    """No kind of server lets it in: the refusal is told as the first one said it."""
    server = OpenAI()
    with serving(server):
        configure(command, server)
        done = command("check", BIFROST_API_KEY="sk-another-9Qw8e7R6t5")
        assert done.code == 1
        assert "Incorrect API key" in done.out
        assert "BIFROST" not in done.out or "sk-another" not in done.out
