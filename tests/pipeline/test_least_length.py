"""A gateway that shows no page shorter than so many jobs, and holds a record that it cannot read."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from etl.simulator import World
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job, page
from tests.support.rig import Rig

UNREADABLE = b'{"error":{"message":"failed to unmarshal response from provider API"}}'


class LeastLength:
    def __init__(self, count: int, least: int, poison: int) -> None:
        self.jobs = [job(number) for number in range(count)]
        self.least, self.poison = least, job(poison)["id"]

    def __call__(self, ask: Ask) -> bytes:
        if ask.path != "/v1/videos":
            return answer(b'{"error":{"message":"no such video"}}', status="404 Not Found")
        ask.query["limit"] = str(max(self.least, int(ask.query["limit"])))
        shown, more = ask.listed(self.jobs)
        if self.poison in [each["id"] for each in shown]:
            return answer(UNREADABLE, status="500 Internal Server Error")
        return answer(page((shown, more)))


@pytest.mark.parametrize(("least", "poison"), [(5, 62), (20, 62), (20, 60)])
def test_a_record_that_nobody_can_read_is_a_gap(url_by_turns: str, least: int, poison: int) -> None:
    """With it goes what no page shows without it, and all of that stands in the gap."""
    listed = LeastLength(120, least, poison)
    with RawGateway(listed) as raw:
        sim: Any = SimpleNamespace(
            world=World(jobs=1, start=1_767_200_000.0), gateway=raw, base_url=raw.base_url, requests=raw.asked
        )
        r = Rig(sim, url_by_turns, page_size=20)
        with r.app:
            for run in (r.sync, r.sync, r.reconcile):
                result = run()
                assert result.status == "ok", result.error
            (gap,) = r.rows("coverage_gaps")
            ids = [each["id"] for each in listed.jobs]
            low, high = ids.index(gap["last_known_job_id"]), ids.index(gap["oldest_listed_job_id"])
            assert low < poison < high and high - low <= 2 * least
            assert set(r.listed()) == {*ids[: low + 1], *ids[high:]}
            r.assert_accounts()
