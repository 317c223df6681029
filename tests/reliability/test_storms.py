"""Storms: a gateway answers well, fails, cannot decode, or is cut short, in any order and in any walk.

What the test's own gateway holds is the truth. After every run: nothing that it lists below the frontier is
missing unless a gap covers it, and no run that left something out ends with 0. After the storm, good syncs
store everything.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from etl.app import App
from etl.cli.results import exit_code
from etl.config import Config, DatabaseConfig, LeaseConfig, Secret, SecretUrl, Source
from etl.records import RunResult
from harness.truth import Tables
from tests.reliability.raw_gateway import JSON, Ask, Pieces, RawGateway, answer, job, page

SAD = b'{"error":{"message":"The server had an error while processing your request","type":"server_error"}}'
POISON = b'{"is_bifrost_error":true,"error":{"message":"failed to unmarshal response from provider API"}}'
#: k: as asked; f: a plain 500; u: cannot decode; c: cut short.
WEATHER = "kfuc"


class Sky:
    """Answers by the letters of `weather`, then well. `walled`: how pages with a cursor fail, if set."""

    def __init__(self, jobs: list[dict[str, Any]], *, one_way: bool) -> None:
        self.jobs, self.one_way, self.weather, self.walled = jobs, one_way, "", ""

    def __call__(self, ask: Ask) -> bytes | Pieces:
        letter, self.weather = self.weather[:1] or "k", self.weather[1:]
        if self.walled and "after" in ask.query:
            letter = self.walled
        if not ask.path.endswith("/v1/videos") or "passthrough" in ask.path:
            return self._elsewhere()
        if letter in "fu":
            return answer(SAD if letter == "f" else POISON, *JSON, status="500 Sick")
        if self.one_way:
            ask.query["order"] = "desc"
        whole = answer(page(ask.listed(self.jobs)))
        return [whole[: len(whole) * 2 // 3], None] if letter == "c" else whole

    def _elsewhere(self) -> bytes:
        """No job by id, and no passthrough: the list alone can tell."""
        return answer(b'{"error":{"message":"not found"}}', *JSON, status="404 Gone")


class Mirror:
    def __init__(self, sky: Sky, app: App) -> None:
        self.sky, self.app = sky, app

    @property
    def tables(self) -> Tables:
        return Tables(self.app.engine, "main")

    def sync(self) -> RunResult:
        return self._judged(self.app.sync()[0])

    def reconcile(self) -> RunResult:
        return self._judged(self.app.reconcile()[0])

    def missing(self) -> list[str]:
        stored = {row.job_id for row in self.tables.rows("video_jobs", "list_position")}
        return [one["id"] for one in self.sky.jobs if one["id"] not in stored]

    def uncovered(self) -> list[str]:
        """Missing, and in no gap. Places are those of the gateway's own list."""
        place = {one["id"]: n for n, one in enumerate(self.sky.jobs)}
        gaps = [
            (place.get(g.last_known_job_id, -1), place.get(g.oldest_listed_job_id, len(place)))
            for g in self.tables.rows("coverage_gaps", "id")
        ]
        return [i for i in self.missing() if not any(low < place[i] < high for low, high in gaps)]

    def _judged(self, result: RunResult) -> RunResult:
        (state,) = self.tables.rows("sync_state", "source_id")
        places = [one["id"] for one in self.sky.jobs]
        if state.frontier_id is not None and state.complete_run_id is not None:
            older = set(places[: places.index(state.frontier_id)])
            assert not older & set(self.uncovered()), "the frontier stands beyond a hole"
        if exit_code([result]) == 0:
            assert not self.missing(), "a green run left something out"
        if result.status == "ok":
            assert not self.uncovered(), "a run succeeded with something missing and no gap"
        return result


@contextmanager
def mirror(folder: Path, count: int, *, one_way: bool = False, sky: Sky | None = None) -> Iterator[Mirror]:
    sky = sky or Sky([job(number) for number in range(count)], one_way=one_way)
    with RawGateway(sky) as gateway:
        source = Source(
            name="main",
            base_url=gateway.base_url,
            provider="openai",
            api_key=Secret("canary-5f1"),
            page_size=20,
            max_attempts=2,
            max_backoff=0.0,
            order="desc" if one_way else "auto",
        )
        database = DatabaseConfig(url=SecretUrl(f"sqlite:///{folder}/storm.db"))
        config = Config(sources=(source,), database=database, lease=LeaseConfig(seconds=60))
        with App(config, sleep=lambda _: None) as app:
            yield Mirror(sky, app)


def weather(rng: random.Random, length: int) -> str:
    """Spells of one kind of weather, most of them short."""
    spells = (rng.choice("kkk" + WEATHER) * rng.randint(1, 6) for _ in range(length))
    return "".join(spells)


def recover(told: Mirror) -> None:
    told.sky.weather = told.sky.walled = ""
    last = [told.sync() for _ in range(3)][-1]
    assert told.missing() == [] and exit_code([last]) == 0
    assert not list(told.tables.rows("coverage_gaps", "id"))


@pytest.mark.parametrize("one_way", [False, True], ids=["both ways", "newest first"])
@pytest.mark.parametrize("seed", range(12))
def test_a_storm_over_a_first_load(tmp_path: Path, seed: int, one_way: bool) -> None:
    rng = random.Random(seed)
    with mirror(tmp_path, 130, one_way=one_way) as told:
        for _ in range(3):
            told.sky.weather = weather(rng, 12)
            told.sync()
        recover(told)


@pytest.mark.parametrize("one_way", [False, True], ids=["both ways", "newest first"])
@pytest.mark.parametrize("seed", range(16))
def test_a_storm_over_ticks_and_reconciles(tmp_path: Path, seed: int, one_way: bool) -> None:
    rng = random.Random(1000 + seed)
    with mirror(tmp_path, 90, one_way=one_way) as told:
        told.sync()
        for _ in range(4):
            size = len(told.sky.jobs)
            told.sky.jobs += [job(number) for number in range(size, size + rng.randint(0, 70))]
            told.sky.weather = weather(rng, 10)
            told.reconcile() if rng.random() < 0.3 else told.sync()
        recover(told)


@pytest.mark.parametrize("kind", ["f", "u"])
@pytest.mark.parametrize("one_way", [False, True], ids=["both ways", "newest first"])
def test_every_page_with_a_cursor_fails_for_a_while(tmp_path: Path, kind: str, one_way: bool) -> None:
    """First pages work, so each sync sees the newest jobs, and nothing of what lies behind them."""
    with mirror(tmp_path, 90, one_way=one_way) as told:
        told.sync()
        told.sky.jobs += [job(number) for number in range(90, 160)]
        told.sky.walled = kind
        for _ in range(5):
            assert exit_code([told.sync()]) in (1, 3)
        assert exit_code([told.reconcile()]) in (1, 3)
        recover(told)


def test_a_sick_gateway_costs_a_reconcile_little(tmp_path: Path) -> None:
    for kind in "fu":
        folder = tmp_path / kind
        folder.mkdir()
        with mirror(folder, 600) as told:
            told.sync()
            told.sky.walled = kind
            result = told.reconcile()
            assert exit_code([result]) == 1 and result.counts.requests <= 60
            assert not list(told.tables.rows("rejected_items", "id"))
