"""Seeded worlds: those that once failed, a few fresh ones, and a verdict that notices damage."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness.worlds import end, kept, verdict
from harness.worlds.draw import draw
from harness.worlds.play import play
from harness.worlds.product import Product
from harness.worlds.shrink import shrink
from harness.worlds.world import World

FRESH = range(20)


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Product]:
    made = Product(tmp_path_factory.mktemp("worlds"))
    yield made
    made.close()


@pytest.mark.parametrize("seed", FRESH)
def test_a_fresh_world_ends_in_the_truth(product: Product, seed: int) -> None:
    if seed in kept.KNOWN_SEEDS:
        pytest.xfail(kept.KNOWN_SEEDS[seed])
    assert play(draw(seed), product).findings == []


@pytest.mark.parametrize("path", kept.worlds(), ids=lambda path: path.stem)
def test_a_world_that_once_failed_ends_in_the_truth(product: Product, path: Path) -> None:
    findings = play(World.from_json(json.loads(path.read_text())), product).findings
    if findings and path.stem in kept.KNOWN_FAILING:
        pytest.xfail(kept.KNOWN_FAILING[path.stem])
    assert findings == []


def test_every_known_failure_is_kept() -> None:
    assert set(kept.KNOWN_FAILING) <= {path.stem for path in kept.worlds()}


def test_a_seed_replays_exactly(product: Product) -> None:
    played = [play(draw(11), product) for _ in range(2)]
    assert [str(sent) for sent in played[0].gateway.log] == [str(sent) for sent in played[1].gateway.log]


def test_a_world_survives_its_file(product: Product) -> None:
    world = draw(12)
    again = World.from_json(json.loads(json.dumps(world.as_json())))
    assert again == world


DAMAGE = {
    "lost": "DELETE FROM video_jobs WHERE job_id = (SELECT max(job_id) FROM video_jobs)",
    "stale": "UPDATE video_jobs SET status = 'queued'",
    "unlisted": "UPDATE video_jobs SET unlisted_at = '2026-01-01 00:00:00.000000'",
    "untrue": "UPDATE video_job_versions SET prompt = 'never'",
    "history": "DELETE FROM video_job_versions WHERE version = 1",
    "counts": "UPDATE sync_runs SET jobs_inserted = jobs_inserted + 1",
    "open run": "UPDATE sync_runs SET status = 'running'",
    "lease": "UPDATE leases SET holder = 'somebody'",
    "totals": "UPDATE daily_totals SET jobs = jobs + 1",
    "unfinished": """UPDATE sync_state SET checkpoint = '{"below": []}'""",
    "order": "UPDATE video_jobs SET list_position = -list_position",
}


@pytest.mark.parametrize("kind", DAMAGE)
def test_the_verdict_notices(product: Product, kind: str) -> None:
    world = draw(4)
    assert len(world.jobs) > 5 and not world.lies, "choose another seed"
    played = play(world, product)
    assert played.findings == []
    with product.reading() as conn:
        _spoil(conn, DAMAGE[kind])
        found = verdict.after_run(played, conn) + end.at_the_end(played, conn)
    assert kind in {finding.partition(":")[0] for finding in found}


def _spoil(conn: sqlite3.Connection, statement: str) -> None:
    conn.execute(statement)
    conn.commit()


def test_a_failing_world_shrinks_to_what_makes_it_fail() -> None:
    world = draw(4)
    guilty = world.jobs[len(world.jobs) // 2].name

    def findings(candidate: World) -> list[str]:
        return ["lost: it"] if guilty in [job.name for job in candidate.jobs] else []

    smallest = shrink(world, findings)
    assert [job.name for job in smallest.jobs] == [guilty]
    assert not smallest.actions and not smallest.lies and not smallest.troubles
