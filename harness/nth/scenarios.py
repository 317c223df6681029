"""The runs whose every call fails once: a small world each, what happened before, and the run itself.

A world stands still from the run on, so that a disturbed run and the one after it must end as an undisturbed
one does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from harness.worlds.world import DAY, Action, Character, Job, Settings, World

#: When the run under test happens; everything in the world has happened by then.
AT = 2 * DAY


def _small(*, lanes: int = 2, patience: float = 86_400.0) -> Settings:
    return Settings(page_size=5, batch=2, segment=6, lanes=lanes, patience=patience)


@dataclass
class Scenario:
    """`before` are undisturbed actions at the world's first moment; `kind` is the run under test at `AT`,
    and so many runs come `after` it."""

    name: str
    jobs: list[Job]
    kind: str = "sync"
    before: tuple[Action, ...] = (Action(0.0),)
    character: Character = field(default_factory=Character)
    settings: Settings = field(default_factory=lambda: _small())
    accept: bool = False
    after: int = 1

    def world(self) -> World:
        return World(1, self.character, self.settings, self.jobs)


def _job(number: int, born: float | None = None, **more: Any) -> Job:
    at = -10_000.0 + 60.0 * number if born is None else born
    steps = [(at, "queued", 0), (at + 30, "in_progress", 40), (at + 50, "completed", 100)]
    return Job(**{"name": f"video_{number:04d}", "born": at, "shown": at, "steps": steps, **more})


def _history(count: int = 17) -> list[Job]:
    return [_job(number) for number in range(count)]


def _open(number: int) -> Job:
    """Open at the first moment, failed when the run comes."""
    at = -10_000.0 + 60.0 * number
    return _job(number, steps=[(at, "queued", 0), (DAY, "failed", 0)])


def _with(jobs: list[Job], number: int, **more: Any) -> list[Job]:
    jobs[number] = _job(number, **more)
    return jobs


def _new(count: int) -> list[Job]:
    return [_job(100 + number, born=DAY + number // 2) for number in range(count)]


def _list() -> list[Scenario]:
    desc, no_id = Character(order="desc"), Character(by_id="404")
    one_lane, given_up = _small(lanes=1), _small(patience=600.0)
    cut_short = (Action(0.0, kill=("request", 4)),)
    deleted = [job if number % 5 else _job(number, gone=DAY) for number, job in enumerate(_history())]
    changed = [_open(number) if number % 4 == 0 else job for number, job in enumerate(_history())]
    mixed = [_job(number, gone=DAY) if number % 5 == 1 else job for number, job in enumerate(changed)]
    back, reconciled = _with(_history(), 6, gone=30.0, back=DAY), (Action(0.0), Action(0.0, "reconcile"))
    all_gone = [*(_job(number, gone=DAY) for number in range(17)), *_new(2)]
    forgetful = Character(retention=2 * DAY + 6_000)
    aging = [
        job if number < 6 else _job(number, born=number - 100.0) for number, job in enumerate(_history())
    ]
    scan = "reconcile"
    return [
        Scenario("first load", _history(), before=()),
        Scenario("first load, one lane", _history(), before=(), settings=one_lane),
        Scenario("first load, newest first only", _history(), before=(), character=desc),
        Scenario("first load, oldest first only", _history(), before=(), character=Character(order="asc")),
        Scenario("first load, empty list", [], before=()),
        Scenario("first load, poison", _with(_history(), 8, poison=-9_000.0), before=()),
        Scenario("first load, odd items", _with(_history(), 8, odd="no_id"), before=()),
        Scenario("first load, resumed", [*_history(27), *_new(3)], before=cut_short),
        Scenario("first load, one second", [_job(n, born=-100.0) for n in range(17)], before=()),
        Scenario("tick, nothing new", _history()),
        Scenario("tick, new jobs", [*_history(), *_new(12)]),
        Scenario("tick, late changes", changed),
        # Each run finds one more of the newest jobs gone: the list must show nearly all others beside it.
        Scenario("tick, dead cursor", [_job(n, gone=DAY if n > 12 else None) for n in range(17)] + _new(3),
                 after=5),
        Scenario("tick, poison", [*_history(), *_with([*_new(7)], 3, born=DAY + 1, poison=DAY)]),
        Scenario("tick, newest first", [*changed, *_new(7)], character=desc),
        Scenario("tick, read by id", changed, settings=given_up),
        Scenario("tick, gone by id", _with(changed[:], 4, steps=[(-9_760.0, "queued", 0)], gone=DAY),
                 settings=given_up),
        Scenario("tick, re-read in the list", changed, settings=given_up, character=no_id),
        Scenario("reconcile, nothing new", _history(), kind=scan),
        Scenario("reconcile, changed and deleted", [*mixed, *_new(4)], kind=scan),
        Scenario("reconcile, newest first", [*deleted, *_new(4)], kind=scan, character=desc),
        Scenario("reconcile, aged out", aging, kind=scan, character=forgetful),
        Scenario("reconcile, poison", _with(_history(), 8, poison=DAY), kind=scan),
        Scenario("reconcile, back again", back, kind=scan, before=reconciled),
        Scenario("reconcile, refused", all_gone, kind=scan),
        Scenario("reconcile, accepted", all_gone, kind=scan, accept=True),
    ]  # fmt: skip


def _named(name: str) -> Scenario:
    """Made anew for each who asks."""
    return next(found for found in _list() if found.name == name)


SCENARIOS: dict[str, Callable[[], Scenario]] = {each.name: partial(_named, each.name) for each in _list()}
