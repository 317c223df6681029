"""The smallest world that still fails in the same way: parts are left out, greedily, as long as it does."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any

from harness.worlds.world import World

Findings = Callable[[World], list[str]]


def shrink(world: World, findings: Findings, plays: int = 2000) -> World:
    """`findings` plays a world, at most so often. Raises ValueError when the world does not fail."""
    wanted = kinds(findings(world))
    if not wanted:
        raise ValueError("this world does not fail")

    def fails(candidate: World) -> bool:
        nonlocal plays
        plays -= 1
        return plays > 0 and bool(wanted & kinds(findings(candidate)))

    smaller: World | None = world
    while smaller is not None:
        world = smaller
        smaller = next(_improved(world, fails), None)
    return world


def kinds(found: list[str]) -> set[str]:
    return {finding.partition(":")[0] for finding in found}


def _improved(world: World, fails: Callable[[World], bool]) -> Iterator[World]:
    """One world that is smaller in every way that was tried, if any way worked."""
    current, better = world, False
    for part in ("outages", "actions", "jobs"):
        current, shorter = _shorter(current, part, fails)
        better = better or shorter
    for candidate in _simpler(current):
        changed = candidate(copy.deepcopy(current))
        if changed is not None and fails(changed):
            current, better = changed, True
    if better:
        yield current


def _shorter(world: World, part: str, fails: Callable[[World], bool]) -> tuple[World, bool]:
    """Without stretches of a list: halves first, single elements in the end."""
    better = False
    size = max(1, len(getattr(world, part)) // 2)
    while size:
        start = 0
        while start < len(getattr(world, part)):
            candidate = copy.deepcopy(world)
            del getattr(candidate, part)[start : start + size]
            if fails(candidate):
                world, better = candidate, True
            else:
                start += size
        size //= 2
    return world, better


Change = Callable[[World], World | None]


def _simpler(world: World) -> Iterator[Change]:
    for name in [*world.lies]:
        yield _without("lies", name)
    for name in [*world.troubles]:
        yield _without("troubles", name)
    for owner in ("character", "settings"):
        for each in fields(getattr(world, owner)):
            yield _plain(owner, each.name, each.default)
    for index, _ in enumerate(world.actions):
        yield _reset("actions", index, ("kill", "stop"))
    for index, _ in enumerate(world.jobs):
        yield _reset("jobs", index, ("gone", "back", "odd", "poison", "cured"))
        yield _still(index)


def _without(part: str, name: str) -> Change:
    def change(world: World) -> World | None:
        return world if getattr(world, part).pop(name, None) is not None else None

    return change


def _plain(owner: str, name: str, default: Any) -> Change:
    def change(world: World) -> World | None:
        if getattr(getattr(world, owner), name) == default:
            return None
        setattr(getattr(world, owner), name, default)
        return world

    return change


def _reset(part: str, index: int, names: tuple[str, ...]) -> Change:
    def change(world: World) -> World | None:
        element = getattr(world, part)[index]
        if all(getattr(element, name) is None for name in names):
            return None
        for name in names:
            setattr(element, name, None)
        return world

    return change


def _still(index: int) -> Change:
    """A job that was born as it ends, and shown at once."""

    def change(world: World) -> World | None:
        job = world.jobs[index]
        if len(job.steps) == 1 and job.shown == job.born and not job.edits:
            return None
        job.steps = [(job.born, *job.steps[-1][1:])]
        job.shown, job.edits = job.born, []
        return world

    return change
