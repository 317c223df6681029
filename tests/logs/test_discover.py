"""Jobs found in the gateway's log: the same rows and history as those found in its list."""

from __future__ import annotations

from typing import Any

import pytest

from etl.simulator import World
from tests.support.rig import Rig, rig

HOUR = 3600.0
#: What differs by how a job was found, and not by what it is.
OWN = {"list_position", "first_run_id", "reread_at", "progress", "unlisted_reason", "twin_source_id"}
OWN |= {"first_seen_within", "started_seen_within", "ended_seen_within", "content_hash"}
TIMES = {"first_seen_at", "last_changed_at", "started_seen_at", "ended_seen_at", "unlisted_at", "valid_from"}


def facts(row: dict[str, Any]) -> dict[str, Any]:
    """The row but for its own; our times to the second."""
    kept = {name: value for name, value in row.items() if name not in OWN}
    return {n: v.replace(microsecond=0) if n in TIMES and v is not None else v for n, v in kept.items()}


def history(r: Rig) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for row in r.rows("video_job_versions"):
        told = {n: v for n, v in facts(row).items() if n not in ("change_seq", "run_id")}
        found.setdefault(row["job_id"], []).append(told)
    return {job: sorted(rows, key=lambda row: row["version"]) for job, rows in found.items()}


def mirror(r: Rig) -> dict[str, dict[str, Any]]:
    return {job: facts(row) for job, row in r.jobs().items()}


def lives(url: str, discover: str, version: str, **options: Any) -> tuple[Any, Any]:
    """Six ticks of a living world, read in one of the three ways."""
    world = World(**{"jobs": 30, "version": version, "rate": 40.0, "failures": 0.2, "seed": 5, **options})
    with rig(world, url, settings={"discover": discover, "rereads_per_run": 50}) as r:
        for _ in range(6):
            r.ok()
            r.sim.advance(240)
        r.ok()
        r.assert_accounts()
        return mirror(r), history(r)


@pytest.mark.parametrize("version", ["2.0", "2.1"])
@pytest.mark.parametrize("discover", ["logs", "both"])
def test_the_log_gives_what_the_list_gives(
    migrated_url: str, tmp_path: Any, version: str, discover: str
) -> None:
    by_list = lives(f"sqlite:///{tmp_path / 'list.db'}", "list", version)
    by_log = lives(migrated_url, discover, version)
    assert by_log[0].keys() == by_list[0].keys()
    assert by_log[0] == by_list[0]
    assert by_log[1] == by_list[1]


def test_a_log_that_names_no_job_is_never_green(migrated_url: str) -> None:
    world = World(provider="gemini", jobs=10, version="2.0", rate=60.0)
    with rig(world, migrated_url, settings={"discover": "logs"}, log_content=False) as r:
        assert r.ok().gaps == 1
        assert r.jobs() == {}
        r.sim.advance(600)
        r.ok()
        (gap,) = r.rows("coverage_gaps")
        assert "content logging" in gap["reason"]


def test_gemini_is_taken_from_the_log_and_gets_no_version_at_each_poll(migrated_url: str) -> None:
    world = World(provider="gemini", jobs=12, version="2.0", rate=0.0, failures=0.0)
    with rig(world, migrated_url, settings={"discover": "logs"}) as r:
        for _ in range(5):
            r.ok()
            r.sim.advance(60)
        r.sim.advance(7200)
        r.ok()
        for job_id, row in r.jobs().items():
            made = next(m for m in r.sim.gateway.log.book.rows_of(job_id, world.now()) if m.prompt)
            assert row["prompt"] == made.prompt
            assert made.model in ("", row["model"])  # a remix names none
            if "seconds" in made.params:
                assert row["seconds"] == float(made.params["seconds"])
            assert row["created_at"].timestamp() == int(made.answered)
            assert row["status"] == "completed"
            statuses = [v["status"] for v in r.rows("video_job_versions", job_id=job_id)]
            assert len(statuses) == len(set(statuses)) <= 3


@pytest.mark.parametrize("prompts", ["hash", "drop"])
def test_prompts_of_the_log_are_dropped(migrated_url: str, prompts: str) -> None:
    world = World(provider="gemini", jobs=40, version="2.0", rate=0.0)
    with rig(world, migrated_url, settings={"discover": "logs", "prompts": prompts}) as r:
        r.ok()
        said = {m.prompt for m in r.sim.gateway.log.book.visible(world.now()) if m.prompt}
        stored = repr([r.rows(name) for name in ("video_jobs", "video_job_versions", "job_requests")])
        assert len(said) > 10
        assert not [prompt for prompt in said if prompt in stored]


def test_what_is_new_or_open_is_what_a_tick_costs(migrated_url: str) -> None:
    world = World(provider="gemini", jobs=300, version="2.0", rate=0.0)
    with rig(world, migrated_url, settings={"discover": "logs"}) as r:
        r.ok()
        r.sim.advance(86_400)
        r.ok()
        asked = len(r.sim.requests)
        r.ok()
        assert [q.path for q in r.sim.requests[asked:]] == ["/api/logs"]


def test_a_job_that_is_gone_leaves_the_mirror_after_two_looks(migrated_url: str) -> None:
    world = World(provider="gemini", jobs=5, version="2.0", rate=0.0)
    with rig(world, migrated_url, settings={"discover": "logs"}) as r:
        r.ok()
        job_id = next(job for job, row in r.jobs().items() if not row["settled"])
        world.delete(job_id)
        r.ok()
        assert r.jobs()[job_id]["unlisted_at"] is None
        r.ok()
        assert r.jobs()[job_id]["unlisted_reason"] == "not_found"
        assert r.reconcile().status == "ok"


def test_a_log_that_refuses_stops_no_list(migrated_url: str) -> None:
    with rig(
        World(jobs=20, version="2.0", rate=0.0),
        migrated_url,
        settings={"read_logs": True},
        dashboard=("admin", "canary-pw-81723"),
    ) as r:
        result = r.sync()
        assert type(result.error).__name__ in ("LogUnreadable", "Unauthorized")
