"""An operator without the keys can look at everything; who needs a key says which one, and where."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.simulator import Simulator, World
from tests.support.command import Command

TOKEN = "canary-9f11c0de55"
FILE = """\
database: {{url: "sqlite:///etl.db"}}
service: {{token: "${{PAGE_TOKEN}}", port: 0}}
notify: {{urls: ["json://127.0.0.1:9/${{HOOK}}"]}}
feed:
  destinations:
    - name: lake
      type: filesystem
      url: "file://{folder}/lake"
      every: 1h
      options: {{secret_access_key: "${{LAKE_KEY}}"}}
sources:
  - name: main
    base_url: {base_url}
    provider: openai
    api_key: ${{BIFROST_API_KEY}}
"""
ALL = {"BIFROST_API_KEY": TOKEN, "PAGE_TOKEN": "x" * 40, "HOOK": "h", "LAKE_KEY": "k"}
WITHOUT = (
    *(
        "status",
        "status --json",
        "report",
        "history {job}",
        "prices list",
        "prune --dry-run --page-log 90d",
        "db current",
    ),
    *("export {folder}/out", "feed status"),
)


@pytest.fixture
def filled(tmp_path: Path) -> Command:
    """A mirror of 20 jobs; the environment that follows knows no key."""
    command = Command(tmp_path)
    with Simulator(World(jobs=20), token=TOKEN) as sim:
        text = FILE.format(base_url=sim.base_url, folder=tmp_path)
        (tmp_path / "bifrost-etl.yaml").write_text(text)
        done = command("sync", **ALL)
        assert done.code == 0, done.all
    return command


def test_whoever_only_looks_needs_no_key(filled: Command, tmp_path: Path):
    listed = filled("sql", "SELECT job_id FROM video_jobs LIMIT 1", "--format", "csv")
    assert listed.code == 0, listed.all
    job = listed.out.splitlines()[1]
    for line in WITHOUT:
        done = filled(*line.format(job=job, folder=tmp_path).split())
        assert "is not set" not in done.all and done.code in (0, 1), (line, done)


@pytest.mark.parametrize("command", ["sync", "reconcile", "run", "run --once", "check"])
def test_whoever_needs_the_key_says_where_it_is_missing(filled: Command, command: str):
    done = filled(*command.split())
    assert done.code == 2
    said = "bifrost-etl.yaml:15: sources[0].api_key: the environment variable BIFROST_API_KEY is not set"
    assert said in done.all
    assert "BIFROST_API_KEY_FILE" in done.all


def test_the_service_needs_its_token_its_urls_and_its_scheduled_destinations(filled: Command):
    done = filled("run", BIFROST_API_KEY=TOKEN)
    assert done.code == 2
    for setting in ("service.token", "notify.urls[0]", "feed.destinations[0].options.secret_access_key"):
        assert setting in done.err
    one_round = filled("run", "--once", BIFROST_API_KEY=TOKEN)
    assert one_round.code == 2 and "options.secret_access_key" in one_round.err
    assert "service.token" not in one_round.err


def test_a_delivery_needs_its_destination_s_secrets(filled: Command):
    done = filled("feed", "lake")
    assert done.code == 2 and "LAKE_KEY is not set" in done.err


def test_a_missing_token_does_not_open_the_page(filled: Command):
    done = filled("dashboard", "--port", "0")
    assert done.code == 2 and "service.token: the environment variable PAGE_TOKEN is not set" in done.err


def test_a_key_file_that_only_the_service_may_read(filled: Command, tmp_path: Path):
    path = tmp_path / "bifrost-etl.yaml"
    text = path.read_text().replace("api_key: ${BIFROST_API_KEY}", "api_key_file: /run/credentials/x/key")
    path.write_text(text)
    assert filled("status").code == 0
    done = filled("sync")
    assert done.code == 2
    assert "bifrost-etl.yaml:15: sources[0].api_key_file: there is no such file" in done.err


def test_other_problems_and_missing_secrets_come_together(filled: Command, tmp_path: Path):
    path = tmp_path / "bifrost-etl.yaml"
    path.write_text(path.read_text().replace("provider: openai", "pruvider: openai"))
    done = filled("status")
    assert done.code == 2
    assert "pruvider: unknown key" in done.err and "BIFROST_API_KEY is not set" in done.err
