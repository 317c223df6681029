"""The log of a gateway that is not the simulator, read while it moves: judged by what it has sent.

What is expected is counted by hand from the script that the gateway plays: which rows it has, when each is
written, which it forgets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from etl.load import CommitBatch, Store
from etl.pipeline import read_log
from tests.logs.site import Site, site
from tests.support.foreign_gateway import ForeignGateway

START = 1_795_992_000.0
OVERLAP = 900.0
#: A failing script is short anyway, and each try of it is a whole mirror.
UNSHRUNK = (Phase.explicit, Phase.reuse, Phase.generate)


class Killed(BaseException):
    """As a signal 9: nothing catches it."""


def kill_at(patch: pytest.MonkeyPatch, deaths: dict[int, bool]) -> None:
    """Each n-th commit dies: before it is durable, or (True) right after."""
    real, commits = Store.commit, [0]

    def commit(store: Store, batch: CommitBatch) -> None:
        commits[0] += 1
        after = deaths.pop(commits[0], None)
        if after is False:
            raise Killed
        real(store, batch)
        if after:
            raise Killed

    patch.setattr(Store, "commit", commit)


def stored(s: Site) -> set[str]:
    return {row["request_id"] for row in s.rows("job_requests")}


#: Of one job: seconds after the one before it (0: the same second), and how late its row is written.
BIRTHS = st.lists(
    st.tuples(st.sampled_from([0.0, 0.0, 0.25, 1.0, 70.0]), st.sampled_from([0.0, 0.0, 3.0, 400.0, 890.0])),
    min_size=1,
    max_size=14,
)


@pytest.mark.slow
@pytest.mark.parametrize("version", ["2.0", "2.1"])
@settings(
    max_examples=12,
    deadline=None,
    phases=UNSHRUNK,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    bursts=st.lists(BIRTHS, min_size=1, max_size=4),
    page=st.integers(2, 6),
    moves=st.lists(st.sampled_from(["nothing", "row comes", "old row goes", "time goes"]), max_size=12),
    deaths=st.dictionaries(st.integers(1, 12), st.booleans(), max_size=2),
)
def test_nothing_that_was_written_is_skipped(
    tmp_path: Path,
    version: str,
    bursts: list[list[tuple[float, float]]],
    page: int,
    moves: list[str],
    deaths: dict[int, bool],
) -> None:
    """Late rows, rows that come and go between two pages, ties within a second, kills: every row that is in
    the log at the end is stored, every row that was ever sent is stored, and every job they name."""
    number = len(list(tmp_path.iterdir()))
    made = ForeignGateway(version=version)
    left, born, died = list(moves), [0], False

    def bear(at: float, late: float) -> None:
        born[0] += 1
        made.make(f"v{born[0]:03}", at, late=late, status="completed", model="veo")

    def before(path: str, query: dict[str, str]) -> None:
        move = left.pop(0) if path == "/api/logs" and left else "nothing"
        if move == "row comes":
            bear(made.now, 0.0)
        elif move == "old row goes" and len(made.rows) > 3:
            gone = min(made.rows, key=lambda row: row["timestamp"])
            if gone["id"] in made.sent:  # what nobody ever asked for in time is lost to everybody
                made.rows.remove(gone)
        elif move == "time goes":
            made.now += 5

    made.before = before
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(read_log, "ROWS_PER_PAGE", page)
        kill_at(patch, deaths)
        settings_ = {"discover": "logs", "logs_overlap": OVERLAP, "rereads_per_run": 50}
        with site(made, f"sqlite:///{tmp_path / f'{number}.db'}", **settings_) as s:
            for burst in bursts:
                for wait, late in burst:
                    made.now += wait
                    bear(made.now, late)
                try:
                    s.ok()
                except Killed:
                    died = True
                    s.forget_lease()
                made.now += 60
            deaths.clear()
            made.now += OVERLAP
            s.ok()
            written = {row["id"] for row in made.rows}
            assert stored(s) >= written, sorted(written - stored(s))
            if not (died and "old row goes" in moves):  # sent to one who died, and gone since
                assert stored(s) >= made.sent, sorted(made.sent - stored(s))
            jobs = {row["job_id"] for row in s.rows("video_jobs")}
            assert jobs >= {row["video_generation_output"]["id"] for row in made.rows}
            if "old row goes" not in moves:
                assert not s.rows("coverage_gaps")


def test_a_row_that_comes_in_before_its_page_stops_nothing(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within one second a late row of an earlier moment moves the page that was read to the next offset."""
    monkeypatch.setattr(read_log, "ROWS_PER_PAGE", 2)
    made = ForeignGateway()
    for n in range(4):
        made.make(f"v{n}", START + 0.5 + n / 100, status="completed", model="veo")
    late = iter(("late1", "late2"))

    def before(path: str, query: dict[str, str]) -> None:
        if path == "/api/logs" and query.get("offset") == "1" and (name := next(late, None)):
            made.make(name, START + 0.1, status="completed", model="veo")

    made.before, made.now = before, START + 60
    with site(made, migrated_url, discover="logs") as s:
        s.ok()
        s.ok()
        assert {row["job_id"] for row in s.rows("video_jobs")} == set(made.jobs)


def test_a_log_that_ignores_offset_ends_with_an_error(
    migrated_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(read_log, "ROWS_PER_PAGE", 2)
    made = ForeignGateway()
    for n in range(4):
        made.make(f"v{n}", START + n / 100, status="completed", model="veo")

    def before(path: str, query: dict[str, str]) -> None:
        query.pop("offset", None)

    made.before, made.now = before, START + 60
    with site(made, migrated_url, discover="logs") as s:
        assert type(s.sync().error).__name__ == "RepeatedPage"


def test_a_log_that_reaches_back_less_than_we_knew_is_a_gap(migrated_url: str) -> None:
    """Down for longer than the log remembers: what was asked for in between is lost, and that is recorded."""
    made = ForeignGateway()
    for n in range(5):
        made.make(f"old{n}", START + n, status="completed", model="veo")
    made.now = START + 60
    with site(made, migrated_url, discover="logs") as s:
        s.ok()
        assert not s.rows("coverage_gaps")
        made.now = START + 9 * 86_400
        made.rows.clear()  # its retention is a week
        made.make("new", made.now - 3600, status="completed", model="veo")
        result = s.sync()
        assert result.gaps == 1
        (gap,) = s.rows("coverage_gaps")
        assert "log" in gap["reason"]
        assert "new:gemini" in {row["job_id"] for row in s.rows("video_jobs")}
        s.sync()
        assert len(s.rows("coverage_gaps")) == 1


def test_an_emptied_log_is_a_gap_once(migrated_url: str) -> None:
    made = ForeignGateway()
    made.make("one", START, status="completed", model="veo")
    made.now = START + 60
    with site(made, migrated_url, discover="logs") as s:
        s.ok()
        made.rows.clear()
        for _ in range(3):
            made.now += 3600
            s.sync()
        assert len(s.rows("coverage_gaps")) == 1


def test_a_single_removed_row_is_no_gap(migrated_url: str) -> None:
    made = ForeignGateway()
    for n in range(5):
        made.make(f"v{n}", START + n, status="completed", model="veo")
    made.now = START + 60
    with site(made, migrated_url, discover="logs") as s:
        s.ok()
        made.rows.pop()
        s.ok()
        assert not s.rows("coverage_gaps")


def test_a_job_that_was_never_there(migrated_url: str) -> None:
    """Its request is known, with its owner; no job is made up, and it is asked for twice, not for ever."""
    made = ForeignGateway()
    made.make("ghost", START, status="completed", model="veo")
    made.jobs.clear()
    made.now = START + 60
    with site(made, migrated_url, discover="logs") as s:
        for _ in range(4):
            s.ok()
            made.now += 60
        assert s.rows("video_jobs") == []
        (row,) = s.rows("job_requests")
        assert (row["job_id"], row["team_name"], row["reads_left"]) == ("ghost:gemini", "Team-1", 0)
        assert len(s.asked("/v1/videos/")) == 2


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ((401, {"error": "Unauthorized"}), "logs_username"),
        ((403, {"error": "Forbidden"}), ""),
        ((404, {"error": "not found"}), ""),
        ((200, b"<html>dashboard</html>"), "log is switched on"),
        ((503, {"error": "logging plugin is not initialised"}), ""),
    ],
)
def test_a_log_that_cannot_be_read_fails_and_loses_nothing(
    migrated_url: str, answer: tuple[int, Any], says: str
) -> None:
    made = ForeignGateway()
    made.make("one", START, status="completed", model="veo")
    made.now = START + 60
    with site(made, migrated_url, discover="logs") as s:
        made.before = lambda path, query: answer if path == "/api/logs" else None
        result = s.sync()
        assert result.status == "failed"
        assert result.error is not None
        assert says in f"{result.error} {getattr(result.error, 'hint', '')}"
        made.before = lambda path, query: None
        s.ok()
        assert [row["job_id"] for row in s.rows("video_jobs")] == ["one:gemini"]


@pytest.mark.parametrize("prompts", ["drop", "hash"])
def test_no_prompt_of_the_log_is_kept(migrated_url: str, prompts: str) -> None:
    """Nor one that the log repeats elsewhere: in its summary, in an error."""
    secret = "a heron at dawn over the grey marsh"
    made = ForeignGateway()
    made.make("one", START, status="completed", model="veo", prompt=secret)
    made.make("two", START + 1, model="veo", prompt=secret)
    refused = made.rows[-1]
    refused["status"] = "error"
    refused["error_details"] = {"error": {"code": "moderation", "message": f"refused: {secret}"}}
    del refused["video_generation_output"]
    made.now = START + 60
    with site(made, migrated_url, discover="logs", prompts=prompts) as s:
        s.ok()
        assert len(s.rows("job_requests")) == 2
        tables = ("video_jobs", "video_job_versions", "job_requests", "rejected_items", "unknown_fields")
        assert "heron" not in repr([s.rows(name) for name in tables])


def test_only_this_sources_provider_is_asked_for(migrated_url: str) -> None:
    """Whatever a gateway makes of the filter, another provider's request is not this source's."""
    made = ForeignGateway()
    made.make("one", START, status="completed", model="veo")
    made.provider = "runway"
    made.make("two", START + 1, status="completed", model="gen4")
    made.provider = "gemini"
    made.now = START + 60
    with site(made, migrated_url, discover="logs") as s:
        s.ok()
        assert {row["request_id"] for row in s.rows("job_requests")} == {"req-one"}
        asked = s.asked("/api/logs")[0]
        assert asked["providers"] == "gemini"
        assert asked["objects"].split(",")[0] == "video_generation"
