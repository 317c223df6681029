"""Lists that never say that they end, are empty for once, or show again what they had dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from etl.pipeline.turns import AGREED
from tests.reliability.raw_gateway import Ask, Pieces, answer, job, page
from tests.reliability.test_storms import Mirror, Sky, mirror


class Endless(Sky):
    """Every page says that more follows, and names a cursor: the empty one behind the last job too."""

    says: dict[str, Any]

    def __call__(self, ask: Ask) -> bytes | Pieces:
        if not ask.path.endswith("/v1/videos") or "passthrough" in ask.path:
            return self._elsewhere()
        listed, _ = ask.listed(self.jobs)
        last = listed[-1]["id"] if listed else self.jobs[-1]["id"]
        return answer(page((listed, True), last_id=last, **self.says))


@pytest.mark.parametrize(
    "says", [{}, {"has_more": None}, {"has_more": "yes"}], ids=["true", "null", "another type"]
)
@pytest.mark.parametrize("count", [1, 20, 40, 50])
def test_a_list_that_never_says_that_it_ends(tmp_path: Path, count: int, says: dict[str, Any]) -> None:
    sky = Endless([job(number) for number in range(count)], one_way=False)
    sky.says = says
    with mirror(tmp_path, count, sky=sky) as told:
        for run in (told.sync, told.sync, told.reconcile):
            result = run()
            assert result.error is None and result.counts.requests <= 12 + AGREED
        assert told.missing() == []


def test_a_job_that_is_dropped_and_comes_back(tmp_path: Path) -> None:
    with mirror(tmp_path, 60) as told:
        told.sync()
        dropped = told.sky.jobs.pop(25)
        assert told.reconcile().counts.jobs_unlisted == 1
        told.sky.jobs.insert(25, dropped)
        assert told.reconcile().error is None
        assert told.sync().error is None
        assert _life(told, dropped["id"]) == [(1, "insert"), (2, "unlist"), (3, "relist")]


def _life(told: Mirror, job_id: str) -> list[tuple[int, str]]:
    rows = told.tables.rows("video_job_versions", "version")
    return [(row.version, row.op) for row in rows if row.job_id == job_id]


@pytest.mark.parametrize("one_way", [False, True], ids=["both ways", "newest first"])
def test_a_list_that_is_empty_for_once_and_then_fails_in_its_middle(tmp_path: Path, one_way: bool) -> None:
    with mirror(tmp_path, 90, one_way=one_way) as told:
        told.sync()
        jobs, told.sky.jobs = told.sky.jobs, []
        assert told.app.reconcile()[0].status == "failed"
        told.app.sync()
        told.sky.jobs, told.sky.walled = jobs, "f"
        assert told.app.reconcile()[0].status == "failed"
        assert not [row for row in told.tables.rows("video_jobs", "list_position") if row.unlisted_at]
        told.sky.walled = ""
        told.sync()
        assert told.reconcile().error is None
        assert told.missing() == []
        assert not [row for row in told.tables.rows("video_jobs", "list_position") if row.unlisted_at]
