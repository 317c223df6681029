"""Results in words and as JSON, exit codes, progress lines, and text that came from outside."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from etl.cli.errors import exit_code
from etl.cli.output import make_printable, print_table, show_span
from etl.cli.progress import Plain
from etl.cli.results import result_document, show_results, summarise_result
from etl.cli.status import parse_age
from etl.errors import ConfigError, GatewayError, Unauthorized
from etl.records import Counts, RunResult

START = datetime(2026, 5, 1, 12, tzinfo=UTC)


def result(status: Any = "ok", source: str = "a", **more: Any) -> RunResult:
    counts = Counts(
        pages=3, requests=4, retries=1, jobs_seen=6, jobs_inserted=1, jobs_updated=2, jobs_unchanged=3
    )
    return RunResult(source, "incremental", status, 7, START, START + timedelta(seconds=1.5), counts, **more)


def same(text: str) -> str:
    return text


@pytest.mark.parametrize(
    ("statuses", "code"),
    [
        ("ok", 0),
        ("ok ok", 0),
        ("failed", 1),
        ("failed failed", 1),
        ("failed ok", 3),
        ("failed skipped", 3),
        ("skipped", 0),
        ("ok skipped", 0),
        ("interrupted", 130),
        ("failed interrupted", 130),
    ],
)
def test_exit_codes(statuses: str, code: int):
    assert exit_code([result(status) for status in statuses.split()]) == code


def test_what_is_not_read_is_not_green():
    read, blind, empty = result(), result(gaps=1), replace(result(gaps=1), counts=Counts())
    assert exit_code([blind]) == exit_code([read, blind]) == exit_code([read, empty]) == 3
    assert exit_code([empty]) == exit_code([empty, result("failed")]) == 1


def test_summary_tells_what_was_done():
    assert summarise_result(result()) == (
        "incremental, 1 new, 2 updated, 3 unchanged, 0 rejected, 4 requests, 1 retried in 1.5s"
    )
    assert "another process" in summarise_result(result("skipped"))


def test_json_keys_are_stable():
    failed = result("failed", error=Unauthorized("refused hush", status=401, hint="set hush"), gaps=2)
    shown = result_document(failed, lambda text: text.replace("hush", "****"))
    assert shown == {
        "source": "a",
        "kind": "incremental",
        "status": "failed",
        "run_id": 7,
        "started_at": "2026-05-01T12:00:00Z",
        "finished_at": "2026-05-01T12:00:01.500Z",
        "pages": 3,
        "requests": 4,
        "retries": 1,
        "jobs_seen": 6,
        "jobs_inserted": 1,
        "jobs_updated": 2,
        "jobs_unchanged": 3,
        "jobs_rejected": 0,
        "jobs_unlisted": 0,
        "gaps": 2,
        "gaps_opened": 0,
        "gaps_closed": 0,
        "error": {"class": "Unauthorized", "message": "refused ****", "hint": "set ****"},
    }


def test_show_prints_results_to_stdout_and_failures_to_stderr(capsys: pytest.CaptureFixture[str]):
    failed = result("failed", "b", error=Unauthorized("refused", hint="mend the key"))
    assert show_results([result(gaps=1), failed], same, as_json=False) == 3
    out, err = capsys.readouterr()
    assert out.splitlines()[0].startswith("! a: incremental, 1 new")
    assert "1 coverage gap OPEN" in out.splitlines()[0]
    assert out.splitlines()[2].startswith("✗ b: failed")
    assert err.splitlines() == ["b: error: refused", "  hint: mend the key"]
    show_results([result()], same, as_json=True)
    assert [run["source"] for run in json.loads(capsys.readouterr().out)["sources"]] == ["a"]


def test_plain_progress_speaks_every_ten_seconds(capsys: pytest.CaptureFixture[str]):
    clock = iter([0.0, 3.0, 11.0, 12.0])
    progress = Plain(lambda text: text.replace("hush", "****"), now=lambda: next(clock))
    progress.started("a", "first")
    for _ in range(3):
        progress.advanced("a", Counts(pages=5, jobs_seen=500), 0.1)
    progress.waiting("a", GatewayError("answer 429 hush"), 0.2)
    progress.waiting("a", GatewayError("answer 429 hush"), 8.0)
    assert capsys.readouterr().err.splitlines() == [
        "a: 500 jobs, 5 pages so far",
        "a: waiting 8s: answer 429 ****",
    ]


def test_plain_progress_says_that_the_log_is_read(capsys: pytest.CaptureFixture[str]):
    clock = iter([0.0, 3.0, 11.0, 12.0, 22.0])
    progress = Plain(str, now=lambda: next(clock))
    progress.started("a", "first")
    progress.reading("a", "row of the gateway's log", 40)
    progress.reading("a", "row of the gateway's log", 1_500)
    progress.reading("a", "job by id", 1)
    progress.advanced("a", Counts(pages=1, jobs_seen=12), 0.1)
    assert capsys.readouterr().err.splitlines() == [
        "a: 1,500 rows of the gateway's log read so far",
        "a: 12 jobs, 1 page so far",
    ]


def test_what_comes_from_outside_cannot_steer_the_terminal():
    assert make_printable("a\x1b[31mred\nb\x00\udc80") == "a\ufffd[31mred b\ufffd\ufffd"


def test_a_piped_table_is_aligned(capsys: pytest.CaptureFixture[str]):
    print_table(("NAME", "N"), [["long name", "7"], ["x", "1,000"]], right=(1,))
    assert capsys.readouterr().out == "NAME           N\nlong name      7\nx          1,000\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, "-"),
        (-5, "0s"),
        (59, "59s"),
        (3600, "1h"),
        (11400, "3h 10m"),
        (450000, "5d 5h"),
        (260400, "3d 20m"),
    ],
)
def test_span(seconds: float | None, text: str):
    assert show_span(None if seconds is None else timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(("text", "seconds"), [("90", 90), ("15m", 900), ("1.5h", 5400), ("1d", 86400)])
def test_age(text: str, seconds: int):
    assert parse_age(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["", "m", "-5m", "15 parsecs", "9" * 400])
def test_an_age_that_is_none(text: str):
    with pytest.raises(ConfigError):
        parse_age(text)
