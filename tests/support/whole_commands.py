"""What somebody types, from an empty database to a delivery, and whether the mirror is what was listed."""

from __future__ import annotations

import contextlib
import io
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from etl.cli import main
from etl.db.engine import make_engine
from etl.schema.tables import video_job_versions, video_jobs
from tests.support.command import Done
from tests.support.foreign_gateway import ForeignGateway, serving

T0 = 1_795_000_000
#: What quoting, escaping, encoding and formatting stumble over, one a job.
PROMPTS = (
    'it\'s a "quoted" café 🎬 東京',
    "C:\\new\\table\\0 ends in a backslash \\",
    "100 % of %s, %(name)s and {braces}; -- comment /* and */ || pipe",
    "line\nbreak\ttab\rreturn",
    "`backticks` and $1 and :name and ?",
    "trailing blanks   ",
    "",
    "CASE and case",
)


def jobs_listed(count: int = 260, *, long: int = 0) -> dict[str, dict[str, Any]]:
    """`count` jobs, the last ten of them open; `long` characters are added to every prompt."""
    made: dict[str, dict[str, Any]] = {}
    for n in range(count):
        job: dict[str, Any] = {
            "id": f"video_{n:05d}:openai",
            "object": "video",
            "model": ("sora-2", "Sora-2", "sora-2-pro")[n % 3],
            "status": "completed",
            "created_at": T0 + n,
            "completed_at": T0 + n + 90,
            "seconds": "8",
            "size": "1280x720",
            "prompt": PROMPTS[n % len(PROMPTS)] + ("x🎬" * (long // 2))[:long],
        }
        if n % 17 == 3:
            job |= {"status": "failed", "error": {"code": "moderation", "message": "it's 'barred' \\"}}
        if n >= count - 10:
            job |= {"status": "in_progress", "completed_at": None}
        made[job["id"]] = job
    return made


class WholeCommands:
    """One source's configuration in `folder`, against `url`."""

    def __init__(self, folder: Path, url: str, gateway: ForeignGateway, *, lake: bool = True) -> None:
        self.folder, self.url, self.gateway = folder, url, gateway
        config: dict[str, Any] = {
            "database": {"url": url},
            "sources": [
                {"name": "main", "base_url": gateway.base_url, "api_key": "sk-x", "provider": "openai"}
            ],
        }
        if lake:
            config["feed"] = {
                "destinations": [{"name": "lake", "type": "filesystem", "url": str(folder / "lake")}]
            }
        self.config = folder / "bifrost-etl.yaml"
        self.config.write_text(json.dumps(config))

    def run(self, *arguments: str) -> Done:
        """One command line in this process: to start Python for each takes longer than what they do."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = main(["--config", str(self.config), *arguments])
        return Done(code, out.getvalue(), err.getvalue())

    def ok(self, *arguments: str) -> Done:
        done = self.run(*arguments)
        assert done.code == 0, f"{arguments}: {done.code}\n{done.all}"
        return done

    def fill(self) -> None:
        """From nothing to a delivery; jobs change and come between the two syncs."""
        self.ok("check")
        self.ok("db", "upgrade")
        self.ok("sync")
        for job in self.gateway.jobs.values():
            if job["status"] == "in_progress":
                job |= {"status": "completed", "completed_at": T0 + 9000, "prompt": job["prompt"] + "'\\"}
        more = jobs_listed(len(self.gateway.jobs) + 40)
        self.gateway.jobs |= {name: job for name, job in more.items() if name not in self.gateway.jobs}
        self.ok("sync")
        self.ok("reconcile")
        self.ok("check")
        self.ok("db", "check")
        report = self.ok(
            "report", "models", "--since", "2026-01-01", "--until", "2027-12-31", "--format", "json"
        )
        assert sum(row["jobs"] for row in report.json["tables"]["models"]["rows"]) == len(self.gateway.jobs)
        self.ok("history", "--json", next(iter(self.gateway.jobs)))
        self.ok("status")
        self.ok("sql", "--format", "json", "SELECT job_id, prompt FROM job_facts")
        self.ok("feed")
        self.compare()

    def compare(self) -> None:
        """Rows are what the gateway lists, texts to the last character."""
        engine = make_engine(self.url)
        c = video_jobs.c
        with engine.connect() as connection:
            rows = connection.execute(
                sa.select(c.job_id, c.model, c.status, c.prompt, c.created_at, c.error_message)
            )
            stored = {
                row.job_id: (*tuple(row)[1:4], int(row.created_at.timestamp()), row.error_message)
                for row in rows
            }
            versions = connection.scalar(sa.select(sa.func.count()).select_from(video_job_versions))
        engine.dispose()
        assert stored == {
            name: (
                job["model"],
                job["status"],
                job["prompt"] or None,
                job["created_at"],
                (job.get("error") or {}).get("message"),
            )
            for name, job in self.gateway.jobs.items()
        }
        assert versions is not None and versions >= len(stored)


@contextlib.contextmanager
def listing_gateway(count: int = 260, *, long: int = 0) -> Iterator[ForeignGateway]:
    """A gateway with these jobs, whose clock is ours."""
    gateway = ForeignGateway(provider="openai", listed=True, jobs=jobs_listed(count, long=long))

    def tell_time(_path: str, _query: dict[str, str]) -> None:
        gateway.now = time.time()

    gateway.before = tell_time
    with serving(gateway):
        yield gateway


def whole_commands(folder: Path, url: str, *, count: int = 260, long: int = 0) -> None:
    """Everything that somebody would type, and that all of it is right."""
    with listing_gateway(count, long=long) as gateway:
        WholeCommands(folder, url, gateway).fill()
