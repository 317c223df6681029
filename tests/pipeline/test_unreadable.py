"""Jobs that the gateway cannot decode: read around it where that is possible, loudly missing where not."""

from __future__ import annotations

from typing import Any

import pytest

from etl.cli.errors import exit_code
from etl.simulator import World
from tests.support.rig import Rig, rig

AUTO: dict[str, Any] = {"passthrough": "auto"}
VERSIONS = ("1.4", "1.5", "2.0")


def grown(world: World, count: int, **members: Any) -> list[str]:
    made = []
    for number in range(count):
        world.advance(30)
        made.append(world.add({"prompt": f"take {number}", "status": "completed", **members}))
    return made


def requests_of(r: Rig) -> int:
    before = len(r.sim.requests)
    r.ok()
    return len(r.sim.requests) - before


@pytest.mark.parametrize("version", VERSIONS)
def test_every_new_job_is_unreadable_and_is_read_through_the_passthrough(
    url_by_turns: str, version: str
) -> None:
    world = World(seed=301, jobs=300, rate=0, version=version)
    with rig(world, url_by_turns, settings=AUTO) as r:
        r.ok()
        new = grown(world, 40, seconds=8)
        result = r.ok()
        assert (len(r.jobs()), result.gaps, exit_code([result])) == (340, 0, 0)
        assert {r.jobs()[job_id]["seconds"] for job_id in new} == {8.0}
        assert not r.rows("coverage_gaps") and not r.rows("rejected_items")
        assert requests_of(r) <= 3
        versions = len(r.rows("video_job_versions"))
        assert r.reconcile().error is None
        assert len(r.rows("video_job_versions")) == versions
        r.assert_accounts()


@pytest.mark.parametrize("version", VERSIONS)
def test_every_new_job_is_unreadable_and_says_so(url_by_turns: str, version: str) -> None:
    world = World(seed=301, jobs=300, rate=0, version=version)
    with rig(world, url_by_turns, settings={"passthrough": "never"}) as r:
        r.ok()
        new = grown(world, 40, seconds=8)
        result = r.ok()
        (gap,) = r.rows("coverage_gaps")
        assert (gap["kind"], gap["last_known_job_id"]) == ("unreadable", world.id_at(299))
        assert gap["oldest_listed_job_id"] is None
        assert (result.gaps, result.gaps_opened, exit_code([result])) == (1, 1, 3)
        assert requests_of(r) <= 4, "known poison costs a probe, not a search"
        assert exit_code([r.ok()]) == 3
        for job_id in new:
            world.update(job_id, seconds="8")
        result = r.ok()
        assert (len(r.jobs()), result.gaps, result.gaps_closed, exit_code([result])) == (340, 0, 1, 0)
        assert not r.rows("coverage_gaps")
        r.assert_equals_gateway()
        r.assert_accounts()


@pytest.mark.parametrize("passthrough", ["auto", "never"])
@pytest.mark.parametrize("version", VERSIONS)
def test_two_unreadable_jobs_far_apart(url_by_turns: str, version: str, passthrough: str) -> None:
    world = World(seed=302, jobs=2000, rate=0, version=version)
    with rig(world, url_by_turns, settings={"passthrough": passthrough}) as r:
        for index in (100, 1900):
            world.update(world.id_at(index), seconds=8)
        result = r.ok()
        if passthrough == "auto":
            assert (len(r.jobs()), result.gaps) == (2000, 0)
        else:
            (gap,) = r.rows("coverage_gaps")
            assert gap["last_known_job_id"] == world.id_at(99)
            assert gap["oldest_listed_job_id"] == world.id_at(1901)
            assert (len(r.jobs()), exit_code([result])) == (199, 3)
            for index in (100, 1900):
                world.update(world.id_at(index), seconds="8")
            result = r.ok()
            assert (len(r.jobs()), result.gaps, result.gaps_closed) == (2000, 0, 1)
        r.assert_accounts()


TYPES = (
    *("seconds_number", "id_number", "code_number", "created_float", "created_text", "completed_float"),
    *("completed_text", "error_text", "progress_text"),
)


@pytest.mark.parametrize("kind", TYPES)
def test_each_type_that_upstream_may_change(url_by_turns: str, kind: str) -> None:
    world = World(seed=303, jobs=250, rate=0, version="1.5")
    with rig(world, url_by_turns, settings=AUTO) as r:
        r.sim.fault("poison_type", kind=kind, index=120)
        result = r.ok()
        assert (result.gaps, result.counts.jobs_rejected) == (0, 0)
        assert len(r.jobs()) == 250
        r.assert_accounts()


def test_an_open_job_that_becomes_unreadable_settles(url_by_turns: str) -> None:
    world = World(seed=304, jobs=50, rate=0, version="1.4")
    with rig(world, url_by_turns, settings=AUTO) as r:
        job_id = world.add({"prompt": "waits", "status": "in_progress"})
        r.ok()
        assert r.jobs()[job_id]["status"] == "in_progress"
        world.update(job_id, status="completed", seconds=8)
        r.ok()
        assert r.jobs()[job_id]["status"] == "completed"


def test_another_account_behind_the_passthrough_is_not_believed(url_by_turns: str) -> None:
    """It knows none of the jobs that the list has shown: what it says is not this source's history."""
    world = World(seed=305, jobs=150, rate=0, version="1.5")
    with rig(world, url_by_turns, settings=AUTO) as r:
        r.ok()
        grown(world, 5, seconds=8)
        r.sim.fault("other_account", through="openai_passthrough")
        r.sim.fault("not_found", through="openai_passthrough")
        result = r.ok()
        assert (len(r.jobs()), result.gaps) == (150, 1)


def test_one_readable_and_one_unreadable_behind_it_in_each_others_way(url_by_turns: str) -> None:
    """A tick's page holds a known gap and what came behind it: both are dealt with, at a probe's cost."""
    world = World(seed=306, jobs=120, rate=0, version="2.0")
    with rig(world, url_by_turns, settings={"passthrough": "never"}) as r:
        r.ok()
        (poisoned,) = grown(world, 1, seconds=8)
        readable = grown(world, 3)
        r.ok()
        (gap,) = r.rows("coverage_gaps")
        assert (gap["last_known_job_id"], gap["oldest_listed_job_id"]) == (world.id_at(119), readable[0])
        more = grown(world, 2)
        assert requests_of(r) <= 4
        assert set(readable + more) <= r.jobs().keys()
        world.update(poisoned, seconds="8")
        assert r.ok().gaps == 0
        assert poisoned in r.jobs()
        r.assert_equals_gateway()


def test_a_passthrough_that_is_missing_is_asked_for_once_a_day(url_by_turns: str) -> None:
    world = World(seed=307, jobs=150, rate=0, version="1.5")
    with rig(world, url_by_turns, settings=AUTO, passthrough=False) as r:
        r.ok()
        poisoned = grown(world, 5, seconds=8)
        assert r.ok().gaps == 1
        assert asks_around(r) == 0, "it is known to be missing"
        world.advance(2 * 86_400)
        assert asks_around(r) > 0
        r.sim.gateway.settings.passthrough = True
        assert r.ok().gaps == 1, "the day is not over"
        assert r.reconcile().gaps == 0
        assert set(poisoned) <= r.jobs().keys()


def test_a_clock_put_back_does_not_keep_the_passthrough_missing(url_by_turns: str) -> None:
    world = World(seed=308, jobs=150, rate=0, version="1.5")
    with rig(world, url_by_turns, settings=AUTO, passthrough=False) as r:
        r.ok()
        grown(world, 5, seconds=8)
        world.advance(900 * 86_400)
        r.ok()
        world.advance(-800 * 86_400)
        assert asks_around(r) > 0


def asks_around(r: Rig) -> int:
    before = len(r.sim.requests)
    r.ok()
    return sum("passthrough" in request.path for request in r.sim.requests[before:])
