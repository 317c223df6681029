"""The world: the same seed gives the same jobs at the same time, whatever was asked before."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.simulator import ManualClock, World
from etl.simulator.world import START, UnknownCursor

HOUR = 3600.0
OPEN = ("queued", "in_progress")


def living(seed: int = 1, **options: object) -> World:
    defaults: dict[str, object] = {"jobs": 40, "rate": 60.0, "gap": 60.0, "deletions": 0.2, "accounts": 2}
    return World(seed, **{**defaults, **options})  # type: ignore[arg-type]


def everything(world: World, order: str, limit: int, account: int | None = None) -> list[str]:
    found: list[str] = []
    page = world.page(order=order, limit=limit, account=account)
    while True:
        found += page.ids
        if not page.more:
            return found
        page = world.page(order=order, limit=limit, after=page.ids[-1], account=account)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 5), st.lists(st.tuples(st.floats(0, HOUR), st.integers(1, 100)), max_size=6))
def test_the_same_seed_gives_the_same_world_whatever_was_asked(
    seed: int, visits: list[tuple[float, int]]
) -> None:
    asked, left_alone = living(seed), living(seed)
    for seconds, limit in visits:
        asked.advance(seconds)
        everything(asked, "asc" if limit % 2 else "desc", limit)
    left_alone.clock = ManualClock(asked.now())
    assert asked.expected() == left_alone.expected()


def test_another_seed_gives_another_world() -> None:
    assert living(1).expected() != living(2).expected()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 50), st.integers(1, 100), st.floats(0, 6 * HOUR), st.sampled_from([None, 0, 1]))
def test_paging_lists_every_job_once_both_ways(
    seed: int, limit: int, seconds: float, account: int | None
) -> None:
    world = living(seed, retention=2 * HOUR, jobs=60)
    world.add({"id": "video_mine", "created_at": int(START) - 300}, account=1)
    world.advance(seconds)
    world.add({"id": "video_new"})
    truth = [job["id"] for job in world.expected(account=account)]
    assert everything(world, "asc", limit, account) == truth
    assert everything(world, "desc", limit, account) == truth[::-1]


def test_order_is_by_creation_with_ties() -> None:
    made = [job["created_at"] for job in World(jobs=400).expected()]
    assert made == sorted(made)
    assert any(a == b for a, b in itertools.pairwise(made))


def test_openais_ids_begin_with_the_second_of_creation() -> None:
    jobs = World(jobs=400).expected()
    assert [int(job["id"].removeprefix("video_")[:8], 16) for job in jobs] == [j["created_at"] for j in jobs]
    assert [job["id"] for job in jobs] != sorted(job["id"] for job in jobs)  # but for ties
    others = [job["id"] for job in World(jobs=400, provider="studio").expected()]
    assert abs(sum(a < b for a, b in itertools.pairwise(others)) - 200) < 60


def test_exactly_the_asked_number_of_jobs_exists_at_the_start() -> None:
    for count in (0, 1, 2, 5, 100):
        assert len(World(jobs=count, rate=3600).expected()) == count


@pytest.mark.parametrize("index", range(40, 60))
def test_a_life_only_goes_forward(index: int) -> None:
    world = living(deletions=0, failures=0.5, accounts=1)
    id, seen = world.id_at(index), []
    for _ in range(200):
        world.advance(30)
        if job := world.job(id):
            seen.append((job["status"], job["progress"], job.get("completed_at"), bool(job.get("error"))))
    order = [*OPEN, "completed", "failed"]
    states = [order.index(status) for status, *_ in seen]
    assert states == sorted(states)
    assert seen[-1][0] in ("completed", "failed")
    assert [p for _, p, *_ in seen] == sorted(p for _, p, *_ in seen)
    assert (seen[-1][0] == "completed") <= (seen[-1][1] == 100 and seen[-1][2] is not None)
    assert (seen[-1][0] == "failed") == seen[-1][3]


def test_jobs_are_as_various_as_real_ones() -> None:
    jobs = World(jobs=2000, failures=0.2, provider="custom").expected()
    assert {"completed", "failed", "cancelled"} <= {job["status"] for job in jobs}
    assert {"sora-2", "sora-2-pro", "veo-3.1-generate-preview"} <= {job["model"] for job in jobs}
    assert {"moderation_blocked", "internal_error"} <= {j["error"]["code"] for j in jobs if "error" in j}
    known = {job["id"] for job in jobs}
    remixes = [job["remixed_from_video_id"] for job in jobs if "remixed_from_video_id" in job]
    assert remixes
    assert known.issuperset(remixes)
    assert max(job["progress"] for job in jobs) == 1


def test_retention_forgets_from_the_old_end() -> None:
    world = World(jobs=100, gap=60, rate=60, retention=HOUR)
    before = [job["id"] for job in world.expected()]
    assert 50 < len(before) < 70
    world.advance(30 * 60)
    after = [job["id"] for job in world.expected()]
    gone = [id for id in before if id not in after]
    assert gone
    assert gone == before[: len(gone)]
    assert world.job(gone[0]) is None
    with pytest.raises(UnknownCursor):
        world.page(after=gone[0])


def test_stuck_jobs_stay_open_for_days() -> None:
    world = World(jobs=200, stuck=0.1)
    world.advance(24 * HOUR)
    assert 5 < sum(job["status"] in OPEN for job in world.expected()) < 50
    world.advance(96 * HOUR)
    assert not any(job["status"] in OPEN for job in world.expected())


def test_added_changed_and_deleted_jobs() -> None:
    world = World(jobs=5, failures=0)
    drawn = world.id_at(2)
    world.advance(HOUR)
    mine = world.add(model="sora-2-pro", prompt="<b>")
    assert [job["id"] for job in world.expected()][-1] == mine
    world.update(mine, status="completed", progress=100)
    world.update(drawn, prompt="rewritten")
    assert world.job(mine)["status"] == "completed"
    assert world.job(drawn)["prompt"] == "rewritten"
    assert world.job(drawn, now=world.now() - 1)["prompt"] != "rewritten"
    world.delete(drawn)
    world.delete(mine)
    assert world.job(drawn) is None
    assert len(world.expected()) == 4
    assert len(world.expected(now=world.now() - 1)) == 5


def test_hostile_bytes_are_served_as_they_are() -> None:
    world = World(jobs=3)
    world.set(world.id_at(1), b'{"id":null}')
    world.set("video_new:openai", b"not json")
    assert world.page(order="asc").items[1] == b'{"id":null}'
    assert world.expected()[-1] == b"not json"


def test_unknown_ids_are_refused() -> None:
    world = World(jobs=3)
    for change in (world.delete, world.update):
        with pytest.raises(KeyError):
            change("video_nowhere:openai")
    with pytest.raises(ValueError, match="already"):
        world.add(id=world.id_at(1))


def test_a_million_jobs_cost_nothing_until_looked_at() -> None:
    world = World(jobs=1_000_000)
    drawn: list[int] = []
    render = world._store._draw_entry
    world._store._draw_entry = lambda ref, when: (drawn.append(ref), render(ref, when))[1]  # type: ignore[method-assign]
    middle = world.id_at(500_000)
    assert len(world.page(after=middle, order="asc", limit=100).ids) == 100
    assert len(drawn) <= 103
