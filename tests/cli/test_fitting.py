"""Tables on narrow terminals: whole columns go, texts shrink, numbers and ids stay whole."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from etl.cli.fitting import fit_columns
from etl.cli.tables import text_bars
from etl.simulator import Simulator, World
from tests.support.command import Command

TOKEN = "canary-1122fe09aa"
ESCAPES = re.compile(r"\x1b\[[0-9;]*m")


def test_columns_go_in_order_of_their_worth():
    headings = ["provider", "model", "jobs", "vanished", "seconds", "cost"]
    cells = [["openai", "sora-2-pro", "1,633", "0", "12,276", "6,243.60"]]
    assert fit_columns(headings, cells, (2, 3, 4, 5), 100).left_out == []
    assert fit_columns(headings, cells, (2, 3, 4, 5), 50).left_out == ["vanished"]
    narrow = fit_columns(headings, cells, (2, 3, 4, 5), 38)
    assert narrow.left_out == ["vanished", "seconds"]
    assert narrow.widths == [8, 10, 5, 8]


def test_a_text_shrinks_before_a_column_goes():
    found = fit_columns(["job_id", "prompt", "jobs"], [["v" * 30, "p" * 500, "12"]], (2,), 80)
    assert (found.left_out, found.widths) == ([], [30, 42, 4])


def test_an_id_stays_whole_even_where_it_does_not_fit():
    found = fit_columns(["source", "job_id", "model"], [["demo", "v" * 67, "sora-2"]], (), 60)
    assert found.left_out == ["source", "model"] and found.widths == [67]


def test_beside_ids_their_age_stays_longest():
    headings, cells = (
        ["source", "job_id", "status", "age", "is_late"],
        [["demo", "v" * 58, "queued", "2d", "no"]],
    )
    assert fit_columns(headings, cells, (), 80).left_out == ["is_late"]
    assert fit_columns(headings, cells, (), 76).left_out == ["status", "is_late"]
    assert fit_columns(headings, cells, (), 70).left_out == ["source", "status", "is_late"]


def test_beside_ids_their_state_stays_where_nothing_else_tells():
    headings = ["source", "job_id", "model", "status", "created_at"]
    cells = [["openai", "v" * 62, "sora-2", "in_progress", "2026-12-01 00:49:24"]]
    assert fit_columns(headings, cells, (), 80).columns == [1, 3]
    narrow = fit_columns(headings, cells, (), 70)
    assert narrow.columns == [1] and narrow.says_too_little(headings)


@pytest.fixture
def mirrored(tmp_path: Path) -> Command:
    with Simulator(World(jobs=300, stuck=0.05), token=TOKEN) as sim:
        environ = {"BIFROST_BASE_URL": sim.base_url, "BIFROST_API_KEY": TOKEN, "BIFROST_PROVIDER": "openai"}
        command = Command(tmp_path, DATABASE_URL="sqlite:///etl.db", **environ)
        assert command("sync").code == 0
    return command


@pytest.mark.slow
def test_a_terminal_of_any_width_shows_each_row_on_a_line(mirrored: Command):
    ids = mirrored("sql", "SELECT job_id FROM video_jobs", "--format", "csv").out.split()[1:]
    whole = mirrored("report", "models", "--since", "9999d").out
    numbers = set(re.findall(r"\d[\d,]*\.\d\d\b", whole))
    for width in ("60", "80", "100", "120"):
        text = _screen(mirrored, width, "report", "models", "--since", "9999d")
        assert numbers <= set(re.findall(r"\d[\d,]*\.\d\d\b", text)), (width, text)
        assert max(map(len, text.splitlines()[:5])) <= int(width)
        listed = _screen(mirrored, width, "sql", "SELECT source_id, job_id, model, prompt FROM video_jobs")
        assert all(job in listed for job in ids), width


def test_what_does_not_fit_beside_an_id_is_told_a_field_a_line(mirrored: Command):
    """What somebody selected is shown; and a list of ids alone answers nothing."""
    asked = "SELECT job_id, model, status, created_at, 2.50 AS cost FROM job_facts ORDER BY job_id LIMIT 2"
    said = _screen(mirrored, "80", "sql", asked)
    one, two = (dict(line.split(None, 1) for line in row.splitlines()) for row in said.strip().split("\n\n"))
    for row in (one, two):
        assert list(row) == ["job_id", "model", "status", "created_at", "cost"]
        assert row["job_id"].endswith(":openai") and row["model"].startswith("sora-2")
    listed = _screen(mirrored, "60", "report", "open", "--since", "9999d")
    assert "left out" not in listed and re.search(r"^age +(\d+[dhms] ?){1,2}$", listed, re.MULTILINE)
    total = listed.split("\n\n")[-1].splitlines()
    assert [line.split()[0] for line in total] == ["source", "seconds"], "of the sum only what was added up"
    assert "model" in _screen(mirrored, "80", "report", "models", "--since", "9999d").splitlines()[1]


@pytest.mark.slow
def test_the_summary_tells_an_open_job_a_line(mirrored: Command):
    listed = _screen(mirrored, "80", "report", "--since", "9999d")
    heading, _, *lines = listed.partition("\nOpen jobs\n")[2].partition("\nleft out")[0].splitlines()
    assert heading.split() == ["source", "job_id", "age"]
    ids = mirrored("sql", "SELECT job_id FROM open_jobs", "--format", "csv").out.split()[1:]
    assert len(lines) > 2 and {line.split()[1] for line in lines} <= set(ids)
    assert all(re.fullmatch(r"default +\S+ +(\d+[dhms] ?){1,2}", line) for line in lines)


@pytest.mark.parametrize(
    "report, kept", [("open", "age"), ("slowest", "took"), ("jobs", "took"), ("remixes", "jobs")]
)
def test_a_list_of_jobs_keeps_what_it_was_asked_for_at_80_columns(mirrored: Command, report: str, kept: str):
    lines = _screen(mirrored, "80", "report", report, "--since", "9999d").splitlines()
    heading = next(number for number, line in enumerate(lines) if "job_id" in line)
    assert kept in lines[heading].split(), lines[heading]
    cells = lines[heading + 2].split()
    assert any(len(cell) > 40 for cell in cells) and len(cells) > 1, cells


def _screen(command: Command, width: str, *arguments: str) -> str:
    code, text = command.on_terminal(*arguments, COLUMNS=width)
    assert code == 0, text
    return ESCAPES.sub("", text).replace("\r", "")


def test_who_spent_it_is_a_table_at_80_columns(mirrored: Command):
    """It has twelve columns, of which the first five fit."""
    lines = _screen(mirrored, "80", "report", "spend", "--by", "model", "--since", "9999d").splitlines()
    assert lines[1].split()[:2] == ["model", "jobs"] and "cost" in lines[1]
    assert [line.split()[0] for line in lines[3:6]] == ["sora-2-pro", "sora-2", "total"]


def test_an_unknown_model_and_an_unknown_source_are_answered_alike(mirrored: Command):
    model = mirrored("report", "models", "--model", "sora-9")
    assert model.code == 2
    assert "there is no model 'sora-9'" in model.err and "did you mean sora-2?" in model.err
    source = mirrored("report", "models", "--source", "nowhere")
    assert (
        source.code == 2 and "there is no source 'nowhere'" in source.err and "sources: default" in source.err
    )
    assert mirrored("report", "models", "--model", "sora-2").code == 0


def test_a_column_that_was_asked_for_is_shown_though_it_is_empty(mirrored: Command):
    done = mirrored("sql", "SELECT 1 AS one, NULL AS missing, 2 AS two")
    assert done.out.split()[:3] == ["one", "missing", "two"]
    asked = mirrored("report", "spend", "--by", "team", "--since", "9999d").out
    assert "team" in asked and "other_costs" not in asked


def test_bars_are_as_long_as_their_numbers() -> None:
    assert text_bars([0, 5, 10, None], width=2) == ["", "█", "██", ""]
    assert text_bars([1, 1000]) == ["▏", "█" * 20]
    assert text_bars([]) == [] and text_bars([0, 0]) == ["", ""]
