"""report, prices and sql as a user runs them, over the known world in a file."""

from __future__ import annotations

import csv
import io
import subprocess
from pathlib import Path

import pytest

from etl.db.engine import make_engine
from etl.schema import migrate
from tests.support.command import PROGRAM, Command
from tests.support.world import fill

RANGE = ("--since", "2026-05-01", "--until", "2026-05-08")


@pytest.fixture
def asked(tmp_path: Path) -> Command:
    engine = make_engine(f"sqlite:///{tmp_path / 'etl.db'}")
    migrate.upgrade_schema(engine)
    fill(engine)
    engine.dispose()
    return Command(tmp_path, DATABASE_URL="sqlite:///etl.db")


def test_the_summary(asked):
    done = asked("report", *RANGE)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("Jobs created from 2026-05-01 00:00:00 to 2026-05-09 00:00:00 (UTC)\n")
    for words in (
        "Jobs by model",
        "sora-2-pro",
        "moderation_blocked",
        "Open jobs",
        "j7",
        "How fresh each source is",
    ):
        assert words in done.out
    assert "Coverage gap in b: jobs created from 2026-05-05 00:00:00" in done.out
    assert "1 completed job is not in the cost" in done.out


def test_one_report_in_each_format(asked, tmp_path):
    rows = list(csv.reader(io.StringIO(asked("report", "models", *RANGE, "--format", "csv").out)))
    assert rows[1][:5] == ["openai", "sora-2", "6", "3", "1"]
    document = asked("report", "models", *RANGE, "--format", "json").json
    assert document["tables"]["models"]["rows"][1]["cost"] == 4.0
    assert document["notes"][0].startswith("Coverage gap in b")
    assert "| openai | sora-2 |" in asked("report", "models", *RANGE, "--format", "markdown").out
    for form in ("html", "parquet"):
        file = tmp_path / f"models.{form}"
        done = asked("report", "models", *RANGE, "--format", form, "--output", file.name)
        assert (done.code, done.all) == (0, "") and file.stat().st_size > 500


def test_what_strangers_wrote_cannot_run_in_a_spreadsheet(asked):
    rows = list(csv.reader(io.StringIO(asked("report", "failures", *RANGE, "--format", "csv").out)))
    assert "'=odd()" in [row[2] for row in rows]


def test_an_empty_range_is_said_kindly(asked):
    done = asked("report", "jobs", "--since", "2020-01-01", "--until", "2020-01-02")
    assert (done.code, done.err) == (0, "") and "nothing in this range" in done.out


def test_a_report_without_a_beginning_counts_all_jobs(asked):
    stored = int(asked("sql", "SELECT count(*) AS n FROM video_jobs", "--format", "csv").out.split()[1])
    [row] = csv.DictReader(io.StringIO(asked("report", "totals", "--since", "all", "--format", "csv").out))
    assert int(row["jobs"]) == stored > 0
    assert "at any time" in asked("report", "models", "--since", "all").out


def test_a_terminal_gets_bars(asked):
    code, text = asked.on_terminal("report", "daily", *RANGE)
    assert code == 0 and "█" in text
    assert "█" not in asked("report", "daily", *RANGE).out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("report", "costs"), "there is no report 'costs'"),
        (("report", "--since", "soon"), "not a date, a time or a length of time"),
        (("report", "--since", "-7d"), "already counted back from now"),
        (("report", "--since", "-7d"), "write 7d"),
        (("report", "hourly", "--by", "team"), "report totals --by hour,team"),
        (("report", "models", "--by", "day"), "report totals --by model,day"),
        (("report", "jobs", "--by", "day"), "report totals --by day"),
        (("report", "--since", "2026-05-02", "--until", "2026-05-01"), "the range is empty"),
        (("report", "--source", "c"), "there is no source 'c'"),
        (("report", "--format", "pdf"), "no format 'pdf'"),
        (("report", "jobs", "--format", "parquet"), "needs a name"),
        (("report", "--format", "csv"), "a csv file holds one table"),
        (("report", "jobs", "--format", "csv", "--output", "no/such/folder.csv"), "cannot be written"),
        (("prices", "import", "none.csv"), "cannot be read"),
        (("sql", "DELETE FROM video_jobs"), "only statements that read are run here"),
    ],
)
def test_wrong_usage_is_said_and_exits_2(asked, arguments, said):
    done = asked(*arguments)
    assert (done.code, done.out) == (2, "") and said in done.err


def test_reports_are_listed(asked):
    names = [line.split()[0] for line in asked("report", "--list").out.splitlines()]
    assert "totals" in names and "freshness" in names


def test_prices(asked, tmp_path):
    assert "veo-3.1" in asked("prices", "list").out
    done = asked("prices", "check")
    assert done.code == 1 and "sora-2" in done.out and "1080p" in done.out
    (tmp_path / "own.csv").write_text("model,price,valid_from,resolution\nsora-2,0.5,2026-01-01,1080p\n")
    assert "imported 1 price; 0 were there already" in asked("prices", "import", "own.csv").out
    assert "imported 0 prices; 1 were there already" in asked("prices", "import", "own.csv").out
    assert asked("prices", "check").code == 0
    (tmp_path / "bad.csv").write_text("model,price,valid_from\nsora-2,free,2026-01-01\n")
    done = asked("prices", "import", "bad.csv")
    assert done.code == 2 and "bad.csv:2: price 1.price" in done.err


def test_a_price_that_the_book_would_round_is_refused(asked, tmp_path):
    """The book keeps millionths. Noughts behind them change nothing."""
    head = "model,price,valid_from\n"
    (tmp_path / "own.csv").write_text(f"{head}fine,0.12345600,2026-01-01\nfiner,0.1234567,2026-01-01\n")
    done = asked("prices", "import", "own.csv")
    assert done.code == 2
    assert "own.csv:3: price 2.price: at most 6 decimals: 0.1234567" in done.err
    assert "own.csv:2" not in done.err
    assert "fine" not in asked("prices", "list").out


def test_prices_of_the_configuration_are_used_once_they_are_applied(asked, tmp_path):
    (tmp_path / "bifrost-etl.yaml").write_text(
        "database: {url: 'sqlite:///etl.db'}\n"
        "prices:\n  - {model: sora-2, price: 2, valid_from: 2026-01-01}\n"
    )
    told = asked("report", "cost", *RANGE, "--format", "csv")
    assert ",24,0" not in told.out and "bifrost-etl prices apply" in told.err
    assert "1 configured price in force" in asked("prices", "apply").out
    done = asked("report", "cost", *RANGE, "--format", "csv")
    rows = list(csv.reader(io.StringIO(done.out)))
    assert done.err == ""
    assert ["openai", "sora-2", "USD", "3", "12", "24", "0"] in rows


@pytest.mark.parametrize("asks", [".tables", "\\d", "\\dt"])
def test_the_habits_of_other_shells_list_the_tables(asked, asks):
    listed = asked("sql", asks).out
    assert "job_facts" in listed and "video_jobs" in listed
    assert "job_id" in asked("sql", ".schema video_jobs;").out
    typed = subprocess.run(
        [*PROGRAM, "sql"], cwd=asked.folder, env=asked._environment({}), capture_output=True, text=True,
        input=f"{asks}\nSELECT 41 + 1\n", timeout=60,
    )  # fmt: skip
    assert "job_facts" in typed.stdout and "42" in typed.stdout


def test_sql(asked):
    done = asked("sql", "SELECT job_id, cost FROM job_facts WHERE cost > 1 ORDER BY 1", "--format", "csv")
    assert (done.code, done.out) == (0, "job_id,cost\nj3,4\nj9,4.8\n")
    assert "the first 1 row;" in asked("sql", "SELECT job_id FROM video_jobs", "--limit", "1").out
    done = asked("sql", "SELECT nowhere")
    assert done.code == 1 and "no such column: nowhere" in done.err


def test_statements_from_a_pipe(asked):
    done = subprocess.run(
        [*PROGRAM, "sql"], cwd=asked.folder, env=asked._environment({}), capture_output=True, text=True,
        input="\\d open_jobs\nSELECT 1\n  AS a;\nSELECT 2 AS b", timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "expected_at" in done.stdout and done.stdout.endswith("a\n1\nb\n2\n")


def test_without_a_database_there_is_nothing_to_ask(tmp_path):
    for arguments in (("report",), ("prices", "check"), ("sql", "SELECT 1")):
        done = Command(tmp_path, DATABASE_URL="sqlite:///none.db")(*arguments)
        assert done.code == 2 and "bifrost-etl sync" in done.err
    assert not (tmp_path / "none.db").exists()
