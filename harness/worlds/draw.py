"""A world from a seed. One `random.Random` draws everything, so the same seed is the same world for ever, as
long as this file does not change; seeds that are kept are kept as files."""

from __future__ import annotations

import random

from harness.worlds import misread, wild
from harness.worlds.world import DAY, Action, Character, Job, Outage, Settings, World

LIES = (
    *("false_end", "empty", "null_data", "more", "repeat", "cursor_ignored", "order_ignored"),
    *("limit_ignored", "other_account", "cached", "wrong_last_id", "dropped", "doubled"),
)
TROUBLES = (
    *(
        "500",
        "502",
        "503",
        "429",
        "504",
        "transient_400",
        "401",
        "cut",
        "reset",
        "timeout",
        "refused",
        "html",
    ),
    *("garbage", "empty_body", "empty_response"),
)
_SETTLED = ("completed", "completed", "completed", "failed", "cancelled")
_ODD = ("null", "number", "no_id", "list")
_LETTERS = "0123456789abcdef"


def draw(seed: int) -> World:
    rng = random.Random(seed)
    character, settings = _character(rng), _settings(rng)
    days = rng.choice((0.05, 0.5, 1.0, 3.0, 10.0))
    jobs = _jobs(rng, days, character)
    world = World(seed, character, settings, jobs, _actions(rng, days))
    if rng.random() < 0.5:
        world.lies = _chances(rng, LIES, 3)
    if rng.random() < 0.5:
        world.troubles = _chances(rng, TROUBLES, 3)
    if rng.random() < 0.3:
        since = rng.uniform(0, days * DAY)
        length = rng.choice((5.0, 600.0, 7200.0))
        world.outages.append(Outage(since, since + length, rng.choice(TROUBLES)))
    if seed >= wild.FIRST:
        wild.make_wild(world)
    if seed >= misread.FIRST:
        misread.make_misread(world)
    return world


def _chances(rng: random.Random, names: tuple[str, ...], most: int) -> dict[str, float]:
    chosen = rng.sample(names, rng.randint(1, most))
    return {name: rng.choice((0.02, 0.1, 0.3)) for name in chosen}


def _character(rng: random.Random) -> Character:
    often = rng.random
    return Character(
        dialect=rng.choice(("bifrost", "bifrost", "bifrost2", "openai", "reference")),
        cap=rng.choice((3, 7, 20)) if often() < 0.15 else None,
        order=rng.choices(("both", "desc", "asc"), (8, 2, 1))[0],
        ties=rng.choice(("sequence", "id")),
        dead_cursor=rng.choice(("400", "404", "410", "422", "empty", "first_page", "exact")),
        retention=rng.choice((0.5, 1.0, 3.0)) * DAY if often() < 0.25 else None,
        window=rng.choice((10, 40)) if often() < 0.05 else None,
        ignores_after=often() < 0.03,
        has_more=rng.choice(("right", "right", "right", "absent", "null")),
        last_id=rng.choice(("right", "right", "right", "absent", "null")),
        by_id=rng.choices(("right", "404", "html", "403"), (8, 1, 1, 1))[0],
        skew=rng.choice((0, 0, 0, -3600, 3600, 90, -90)),
        latency=rng.choice((0.01, 0.2, 2.0, 20.0)),
    )


def _settings(rng: random.Random) -> Settings:
    return Settings(
        page_size=rng.choice((2, 3, 5, 10, 20)),
        lanes=rng.choice((1, 2, 2)),
        concurrency=rng.choice((1, 4)),
        patience=rng.choice((600.0, 86400.0, 86400.0)),
        rereads=rng.choice((0, 2, 20)),
        batch=rng.choice((1, 2, 5, 50)),
        segment=rng.choice((5, 20, 1000)),
        eager=rng.random() < 0.7,
    )


def _actions(rng: random.Random, days: float) -> list[Action]:
    count = rng.randint(1, 6)
    return [_action(rng, days * DAY / count) for _ in range(count)]


def _action(rng: random.Random, usual: float) -> Action:
    action = Action(rng.choice((5.0, 60.0, usual, 2 * usual)), rng.choices(("sync", "reconcile"), (4, 1))[0])
    fate = rng.random()
    if fate < 0.15:
        action.kill = (rng.choice(("request", "before", "after")), rng.choice((1, 1, 2, 3, 5, 8, 13)))
    elif fate < 0.2:
        action.stop = rng.choice((1, 2, 4, 8))
    return action


def _jobs(rng: random.Random, days: float, character: Character) -> list[Job]:
    """A history from before the first moment, and what comes while the disorder lasts; alone or in bursts."""
    count = rng.choice((0, 1, 3, 5, 10, 10, 20, 20, 40, 60, 150, 300))
    past = rng.choice((0.01, 1.0, 10.0)) * DAY
    recent = rng.choice((0.05, 0.3, 0.6))
    births: list[float] = []
    while len(births) < count:
        at = rng.uniform(0, days * DAY * 1.2) if rng.random() < recent else -rng.uniform(0, past)
        burst = rng.choice((1, 1, 1, 1, 1, 2, 5, 30))
        births += [at + rng.random() * rng.choice((0.0, 0.5, 5.0)) for _ in range(burst)]
    births = sorted(births[:count])
    traits = {name: rng.choice((0.0, 0.0, chance)) for name, chance in _TRAITS.items()}
    wide = rng.choice((0.0, 4.0))
    jobs = [_job(rng, at, traits, wide) for at in births]
    if character.dialect == "bifrost2" or rng.random() < 0.5:
        jobs += [_job(rng, at, {}, 0.0, stranger=True) for at in births[:: max(1, len(births) // 30)]]
    return jobs


#: How often a job is so, in worlds where any is.
_TRAITS = {
    "gone": 0.1,
    "back": 0.3,
    "undated": 0.05,
    "odd": 0.02,
    "poison": 0.01,
    "edits": 0.05,
    "stuck": 0.02,
}


def _job(
    rng: random.Random, at: float, traits: dict[str, float], wide: float, *, stranger: bool = False
) -> Job:
    def has(trait: str) -> bool:
        return rng.random() < traits.get(trait, 0.0)

    name = "video_" + "".join(rng.choices(_LETTERS, k=10))
    job = Job(name, at, at + rng.random() * wide, _steps(rng, at, stuck=has("stuck")), stranger=stranger)
    if has("gone"):
        job.gone = job.shown + rng.choice((30.0, 3600.0, DAY, 4 * DAY)) * rng.random()
        if has("back"):
            job.back = job.gone + rng.choice((60.0, DAY)) * rng.random()
    job.dated = not has("undated")
    if has("odd"):
        job.odd = rng.choice(_ODD)
    elif has("poison"):
        job.poison = job.shown + rng.choice((0.0, 0.0, DAY)) * rng.random()
        job.cured = job.poison + rng.choice((3600.0, DAY)) if rng.random() < 0.3 else None
    if has("edits"):
        job.edits = [
            (job.steps[-1][0] + rng.choice((10.0, DAY)) * rng.random(), "expires_at", rng.randint(1, 9))
        ]
    return job


def _steps(rng: random.Random, at: float, *, stuck: bool) -> list[tuple[float, str, int]]:
    steps = [(at, "queued", 0)]
    moment = at + rng.choice((1.0, 20.0, 600.0)) * rng.random()
    for progress in sorted(rng.sample(range(1, 100), rng.randint(0, 3))):
        steps.append((moment, "in_progress", progress))
        moment += rng.choice((5.0, 60.0, 3600.0)) * rng.random()
    if not stuck:
        status = rng.choice(_SETTLED)
        steps.append((moment + 1, status, 100 if status == "completed" else steps[-1][2]))
    return steps
