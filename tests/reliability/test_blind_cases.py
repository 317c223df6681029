"""Records that a gateway cannot decode, told to the whole commands by a gateway that shares no code with etl.

Each page with such a record is answered 500, as Bifrost does it; the provider's own bytes are behind
`/openai_passthrough`, where the gateway has one. Judged by what was listed, written here by hand.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.reliability.raw_gateway import Ask, RawGateway, answer, job
from tests.support.command import Command

UNREADABLE = {
    "is_bifrost_error": True,
    "error": {"message": "failed to unmarshal response from provider API"},
    "extra_fields": {"provider": "openai", "request_type": "video_list"},
}
VERSIONS = ["1.4.19", "1.5.1", "2.0"]


def reply(body: dict[str, Any], status: int = 200, kind: str = "application/json") -> bytes:
    return answer(json.dumps(body).encode(), f"Content-Type: {kind}", status=f"{status} X")


@dataclass
class StrictGateway:
    """`jobs` oldest first, as the provider has them; ids carry the gateway's suffix."""

    version: str
    passthrough: bool
    jobs: list[dict[str, Any]] = field(default_factory=list)
    asked: int = 0
    lists_only: bool = False

    def __call__(self, ask: Ask) -> bytes:
        self.asked += 1
        if ask.path == "/health":
            return reply({"status": "ok", "components": {"db_pings": "ok"}})
        if ask.path == "/v1/videos":
            return self._list(ask)
        if ask.path.startswith("/v1/videos/"):
            return self._by_id(ask.path.removeprefix("/v1/videos/"))
        if ask.path == "/openai_passthrough/v1/videos" and self.passthrough:
            return self._provider_list(ask)
        if ask.path.startswith("/openai_passthrough/v1/videos/") and self.passthrough and not self.lists_only:
            return self._provider_job(ask.path.removeprefix("/openai_passthrough/v1/videos/"))
        return reply({"error": {"message": "not found"}}, status=404)

    def _list(self, ask: Ask) -> bytes:
        shown, more = ask.listed(self.jobs)
        if any(not isinstance(one["seconds"], str) for one in shown):
            return reply(UNREADABLE, status=500)
        extra: dict[str, Any] = {"request_type": "video_list", "provider": "openai", "latency": 12}
        if self.version == "2.0":
            extra["routing_info"] = {"provider": "openai", "key": "key-a"}
        return reply({"object": "list", "data": shown, "has_more": more, "extra_fields": extra})

    def _by_id(self, wanted: str) -> bytes:
        for one in self.jobs:
            if one["id"] == wanted:
                good = isinstance(one["seconds"], str)
                return reply(one if good else UNREADABLE, status=200 if good else 500)
        return reply({"error": {"message": "not found"}}, status=404)

    def _provider_job(self, native: str) -> bytes:
        for one in self.jobs:
            if one["id"] == f"{native}:openai":
                return reply(one | {"id": native}, kind=self._raw_kind)
        return reply({"error": {"message": "not found"}}, status=404)

    @property
    def _raw_kind(self) -> str:
        return "application/json" if self.version == "2.0" else "text/plain"

    def _provider_list(self, ask: Ask) -> bytes:
        native = [one | {"id": one["id"].removesuffix(":openai")} for one in self.jobs]
        shown, more = ask.listed(native)
        return reply({"object": "list", "data": shown, "has_more": more}, kind=self._raw_kind)


@contextmanager
def mirrored(folder: Path, told: StrictGateway) -> Iterator[Command]:
    with RawGateway(told) as gateway:
        (folder / "bifrost-etl.yaml").write_text(
            "database: {url: 'sqlite:///etl.db'}\n"
            "sources:\n"
            f"  - {{name: a, base_url: '{gateway.base_url}', api_key: sk-x, provider: openai}}\n"
        )
        yield Command(folder)


def stored(folder: Path) -> set[str]:
    with closing(sqlite3.connect(folder / "etl.db")) as connection:
        return {str(row[0]) for row in connection.execute("SELECT job_id FROM video_jobs")}


def missing(folder: Path, told: StrictGateway) -> int:
    return len({one["id"] for one in told.jobs} - stored(folder))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("passthrough", [True, False])
@pytest.mark.slow
def test_every_new_job_is_unreadable(tmp_path: Path, version: str, passthrough: bool) -> None:
    told = StrictGateway(version, passthrough, [job(number) for number in range(300)])
    with mirrored(tmp_path, told) as command:
        assert command("sync").code == 0
        for number in range(300, 340):
            told.jobs.append(job(number, seconds=8))
            if number % 10 == 9:
                done = command("sync")
        if passthrough:
            assert (done.code, missing(tmp_path, told)) == (0, 0), done.all
            assert command("status").code == 0
            return
        assert missing(tmp_path, told) == 40
        assert done.code == 3, done.all
        assert "1 coverage gap OPEN" in done.all
        assert command("status").code == 3
        assert len(command("status", "--json").json["sources"][0]["gaps"]) >= 1
        before = told.asked
        assert command("sync").code == 3
        assert told.asked - before <= 3, "a tick asks again once: no search, and no way around"
        for one in told.jobs:
            one["seconds"] = "8"
        command("sync")
        command("reconcile")
        assert missing(tmp_path, told) == 0
        assert command("status").code == 0, "what could be read at last is no gap"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("passthrough", [True, False])
@pytest.mark.slow
def test_two_unreadable_records_far_apart(tmp_path: Path, version: str, passthrough: bool) -> None:
    told = StrictGateway(version, passthrough, [job(number) for number in range(2000)])
    for number in (100, 1900):
        told.jobs[number]["seconds"] = 8
    with mirrored(tmp_path, told) as command:
        done = command("sync")
        lost = missing(tmp_path, told)
        if passthrough:
            assert (done.code, lost) == (0, 0), done.all
            return
        # No cursor leads into what lies between them: the gateway shows nobody an id of it.
        assert (done.code, lost) == (3, 1801), done.all
        assert "1 coverage gap OPEN" in done.all
        done = command("sync")
        assert (done.code, missing(tmp_path, told)) == (3, 1801), done.all
        assert command("status").code == 3
        gap = command("status", "--json").json["sources"][0]["gaps"][0]
        assert gap["last_known_job_id"] == "video_00099:openai"
        assert gap["oldest_listed_job_id"] == "video_01901:openai"


@pytest.mark.slow
def test_an_old_open_job_is_read_around_where_only_lists_are(tmp_path: Path) -> None:
    """It is read by id alone, and the way around the gateway's decoder knows no jobs by id."""
    told = StrictGateway("2.0", True, [job(number) for number in range(60)])
    told.jobs[20] = job(20, status="in_progress", completed_at=None)
    told.lists_only = True
    with mirrored(tmp_path, told) as command:
        assert command("sync").code == 0
        told.jobs[20] = job(20, seconds=8)
        assert command("sync").code == 0
    with closing(sqlite3.connect(tmp_path / "etl.db")) as connection:
        query = "SELECT status FROM video_jobs WHERE job_id = ?"
        assert connection.execute(query, (told.jobs[20]["id"],)).fetchone() == ("completed",)
