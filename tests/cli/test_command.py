"""The tree, help, the error funnel and exit codes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from etl.cli.errors import explain_error
from etl.cli.root import COMMANDS
from etl.errors import DatabaseUnavailable, EtlError
from tests.support.command import PROGRAM, ROOT, Command

NAMES = [name for group in COMMANDS.values() for name in group]


def test_help_lists_every_command(command: Command):
    done = command("--help")
    assert done.code == 0
    assert [name for name in NAMES if f"\n  {name} " not in done.out] == []
    assert "\x1b" not in done.out


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help(command: Command, name: str):
    done = command(name, "--help")
    assert (done.code, done.err) == (0, "")
    assert "usage" in done.out.lower()


def test_help_imports_nothing_heavy():
    script = (
        "import sys\nfrom etl.cli import main\ncode = main(['--help'])\n"
        "heavy = {'sqlalchemy', 'requests', 'alembic', 'structlog', 'rich', 'msgspec', 'yaml', 'pydantic'}\n"
        "print(code, sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, timeout=60
    )
    assert done.stderr.strip() == "0 []"


def test_version(command: Command):
    done = command("--version")
    assert (done.code, done.out.split()[0]) == (0, "bifrost-etl")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["snc"], "'sync'"),
        (["sync", "--nonsense"], "--nonsense"),
        (["history"], "JOB_ID"),
        (["--log-level", "loud", "status"], "debug, info, warning, error"),
        (["status", "--max-age", "soon"], "15m"),
        (["--config", "absent.yaml", "status"], "absent.yaml"),
        (["sync"], "BIFROST_BASE_URL"),
        (["db", "downgrade", "base"], "--yes"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_wrong(command: Command, arguments: list[str], says: str):
    done = command(*arguments, DATABASE_URL="sqlite:///x.db")
    assert done.code == 2
    assert says in done.err
    assert done.out == ""
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("spend", "report spend"),
        ("budgets", "report budgets"),
        ("budgts", "report budgets"),
        ("monthly", "report monthly"),
        ("snyc", "sync"),
    ],
)
def test_a_command_that_does_not_exist_is_answered_with_what_was_meant(
    command: Command, typed: str, meant: str
):
    done = command(typed)
    assert done.code == 2 and f"No such command '{typed}'. Did you mean '{meant}'?" in done.err


def test_a_command_that_is_near_to_none_gets_no_advice(command: Command):
    assert "Did you mean" not in command("qqqq").err


def test_config_is_taken_before_and_after_the_command(command: Command):
    (command.folder / "mine.yaml").write_text("database:\n  url: sqlite:///mine.db\n")
    for arguments in (["--config", "mine.yaml", "db", "upgrade"], ["db", "upgrade", "--config", "mine.yaml"]):
        assert command(*arguments).code == 0
    assert command("db", "check", BIFROST_ETL_CONFIG="mine.yaml").code == 0
    assert (command.folder / "mine.db").exists()


def test_traceback_only_at_debug(command: Command):
    assert "Traceback" not in command("sync").err
    assert "Traceback" in command("--log-level", "debug", "sync").err


def test_errors_are_explained_with_cause_and_hint():
    error = DatabaseUnavailable("cannot reach the database", hint="start it")
    error.__cause__ = OSError("connection refused")
    assert list(explain_error(error)) == [
        "error: cannot reach the database",
        "  because: connection refused",
        "  hint: start it",
    ]


def test_a_cause_that_says_nothing_new_is_left_out():
    error = EtlError("failed: connection refused")
    error.__cause__ = OSError("connection refused")
    assert list(explain_error(error)) == ["error: failed: connection refused"]


def test_a_cause_that_says_the_same_in_more_words_is_left_out():
    error = DatabaseUnavailable("no route to host (database x at far:1)", hint="look at the cable")
    error.__cause__ = OSError("(2003, 'no route to host')")
    assert list(explain_error(error)) == [
        "error: no route to host (database x at far:1)",
        "  hint: look at the cable",
    ]


def test_the_unexpected_is_named_and_reported():
    lines = list(explain_error(ZeroDivisionError("division by zero")))
    assert lines[0] == "error: unexpected ZeroDivisionError: division by zero"
    assert "--log-level debug" in lines[1]


def test_a_closed_pipe_is_quiet(command: Command):
    script = (
        f'"{sys.executable}" -m etl.cli --help | true; "{sys.executable}" -m etl.cli simulate --help | true'
    )
    done = subprocess.run(
        ["bash", "-c", script],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=60,
        env=command._environment({}),
    )
    assert (done.stdout, done.stderr) == ("", "")


def test_db_commands(command: Command):
    environ = {"DATABASE_URL": "sqlite:///etl.db"}
    assert "empty" in command("db", "current", **environ).out
    assert command("db", "check", **environ).code == 1
    assert "upgraded from nothing" in command("db", "upgrade", **environ).out
    assert "already at" in command("db", "upgrade", **environ).out
    assert command("db", "check", **environ).code == 0
    assert "now at nothing" in command("db", "downgrade", "base", "--yes", **environ).out
    wrong = command("db", "downgrade", "nonsense", "--yes", **environ)
    assert (wrong.code, "base" in wrong.err) == (2, True)


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_streams_that_are_closed_cost_nothing(command: Command, closed: str):
    """As some launchers start programs: a database would be opened under the number of the output."""
    done = subprocess.run(
        ["sh", "-c", f'"$0" "$@" {closed}', *PROGRAM, "db", "upgrade"],
        cwd=command.folder,
        env=command._environment({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, "Traceback" in done.stderr) == (0, False), done.stderr


def test_output_on_a_full_disk_is_an_error_and_no_accident(command: Command):
    command("db", "upgrade")
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [*PROGRAM, "db", "current"],
            cwd=command.folder,
            env=command._environment({}),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            timeout=120,
        )
    assert done.returncode == 1
    assert "error: cannot write the output: No space left on device" in done.stderr
    assert "unexpected" not in done.stderr and "Exception ignored" not in done.stderr
