"""`bifrost-etl erase`: counts first, asks before it acts, and says what it did."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.cli import main
from etl.db.engine import make_engine, write_transaction
from etl.schema import migrate
from etl.schema.tables import job_requests
from tests.support.feed_history import Writer, add_source

WORDS = "Zebraquux counts 77 moons"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Path:
    """A database with jobs, some of which the virtual key `anna` asked for."""
    url = f"sqlite:///{tmp_path / 'jobs.db'}"
    monkeypatch.setenv("DATABASE_URL", url)
    monkeypatch.setenv("BIFROST_BASE_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("BIFROST_API_KEY", "k")
    monkeypatch.setenv("BIFROST_PROVIDER", "openai")
    monkeypatch.chdir(tmp_path)
    engine = make_engine(url)
    migrate.upgrade_schema(engine)
    writer = Writer(engine, add_source(engine, "default"))
    run = writer.step(new=4, changes=0)
    with write_transaction(engine) as conn:
        conn.execute(sa.text("UPDATE video_jobs SET prompt = :p"), {"p": WORDS})
        row = {"source_id": 1, "run_id": run, "request_type": "video_generation", "status": "success"}
        row |= {"requested_at": writer.at, "first_seen_at": writer.at, "virtual_key_name": "anna"}
        for number in (1, 2):
            own = {
                "request_id": f"r{number}",
                "job_id": f"video_1_{number:07d}",
                "role": "made",
                "request_seq": 100 + number,
            }
            conn.execute(sa.insert(job_requests).values(**row, **own))
    engine.dispose()
    return tmp_path


def prompts(folder: Path) -> list[str | None]:
    with sqlite3.connect(folder / "jobs.db") as conn:
        return [row[0] for row in conn.execute("SELECT prompt FROM video_jobs ORDER BY job_id")]


def test_it_counts_and_does_not_act(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["erase", "--virtual-key", "anna", "--dry-run", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["dry_run"], told["jobs"], told["erased"]["video_jobs"]) == (True, 2, 2)
    assert prompts(folder) == [WORDS] * 4


def test_without_yes_nobody_who_cannot_answer_is_asked(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["erase", "--virtual-key", "anna"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert prompts(folder) == [WORDS] * 4


def test_it_acts(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["erase", "--virtual-key", "anna", "--yes"]) == 0
    assert "2 jobs chosen" in capsys.readouterr().out
    assert prompts(folder) == [WORDS, None, None, WORDS]
    assert main(["erase", "--source", "default", "--yes"]) == 0
    assert prompts(folder) == [None] * 4
    files = b"".join(path.read_bytes() for path in folder.glob("jobs.db*"))
    assert WORDS.encode() not in files  # nor in pages that were freed, nor in the log


@pytest.mark.parametrize("options", [[], ["--prompt-match", " "], ["--source", "defualt"]])
def test_what_says_nothing_or_too_much_is_refused(
    folder: Path, options: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["erase", *options, "--yes"]) == 2
    assert prompts(folder) == [WORDS] * 4
    if options and options[0] == "--source":
        assert "there is no source 'defualt'" in capsys.readouterr().err


def test_destinations_that_hold_earlier_versions_are_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """An erasure reaches a destination with the next delivery: whoever erases must hear where it stands."""
    (folder / "bifrost-etl.yaml").write_text(
        f"database: {{url: 'sqlite:///{folder / 'jobs.db'}'}}\n"
        "feed: {destinations: [{name: lake, type: filesystem, url: a},"
        " {name: house, type: delta, url: d}]}\n"
    )
    assert main(["erase", "--prompt-match", "zebraquux", "--dry-run"]) == 0
    assert "lake, house" not in capsys.readouterr().out
    assert main(["erase", "--prompt-match", "zebraquux", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "delivered to lake, house still holds these texts" in said and "docs/erase.md" in said


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--job", "nosuch"], ("no job matches --job nosuch", "no stored id looks like it")),
        (["--job", "video_1_0000001"], ("no job matches --job video_1_0000001", "did you mean ID?")),
        (["--job", "ID", "--user", "bob"], ("no job matches --user;", "docs/gateway-log.md")),
        (["--job", "ID", "--prompt-match", "x9"], ("matches --job ID, --prompt-match", "every option given")),
        (["--user", "bob"], ("no job matches --user", "docs/gateway-log.md")),
        (["--prompt-match", "tell nobody"], ("no job matches --prompt-match", "no stored text says so")),
        (["--job", "ID", "--job", "nosuch"], ("no job matches --job nosuch", "nothing was erased")),
        (["--job", "ID", "--job", "video_1_0000001"], ("--job video_1_0000001", "did you mean ID?")),
        (["--user", "bob", "--virtual-key", "anna"], ("no job matches --user;",)),
        (["--virtual-key", "anna", "--virtual-key", "ann"], ("no job matches --virtual-key number 2",)),
    ],
)
@pytest.mark.parametrize("more", [["--yes"], ["--dry-run"], ["--dry-run", "--json"]])
def test_what_matches_nothing_is_no_success(
    folder: Path,
    options: list[str],
    said: tuple[str, ...],
    more: list[str],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever mistypes an id must not believe that it was erased."""
    whole = "video_1_0000001:openai"
    with sqlite3.connect(folder / "jobs.db") as conn:
        conn.execute("UPDATE video_jobs SET job_id = ? WHERE job_id = 'video_1_0000001'", (whole,))
        conn.execute("UPDATE job_requests SET job_id = ? WHERE job_id = 'video_1_0000001'", (whole,))
    assert main(["erase", *(part.replace("ID", whole) for part in options), *more]) == 1
    told = capsys.readouterr()
    assert all(part.replace("ID", whole) in told.err for part in said), told.err
    assert "bob" not in told.err and "tell nobody" not in told.err
    assert told.out == "" and prompts(folder) == [WORDS] * 4


def test_a_history_does_not_say_none_of_what_was_erased(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["erase", "--job", "video_1_0000001", "--yes"]) == 0
    said = capsys.readouterr().out
    assert "video_jobs: texts of 1 row erased" in said and " 0 rows" not in said
    assert main(["history", "video_1_0000001"]) == 0
    told = capsys.readouterr().out
    assert "prompt erased" in told and "none → none" not in told
