"""Hostile items end to end: one reject each, the rest of the page loads, on every database."""

from __future__ import annotations

import json
from typing import Any

from etl.errors import ServerFault
from etl.simulator import World
from tests.support.hostile import ACCEPTED, REJECTED
from tests.support.rig import rig

HOSTILE_TIME = 1_700_000_000.0  # when the hostile items say they were created


def test_every_hostile_item_is_stored_or_rejected_and_costs_no_neighbour(database_url: str) -> None:
    world = World(seed=30, jobs=150, rate=0, start=HOSTILE_TIME)
    rejected = {name: body for name, body in REJECTED.items() if _is_json(body)}
    bodies = {**ACCEPTED, **rejected}
    ids = {}
    with rig(world, database_url) as r:
        for name, body in bodies.items():
            world.advance(1)
            ids[name] = world.set(f"spot-{name}:openai", body)
        result = r.ok()
        assert result.counts.jobs_rejected == len(rejected)
        assert len(r.jobs()) == 150 + len(ACCEPTED)
        payloads = {bytes(row["payload"]) for row in r.rows("rejected_items")}
        assert payloads == set(rejected.values())
        r.assert_accounts()
        again = r.ok()
        assert again.counts.jobs_inserted == 0
        assert len(r.rows("rejected_items")) == len(rejected)
        assert r.reconcile().counts.jobs_updated == 0, "what was stored reads as unchanged"


def _is_json(body: bytes) -> bool:
    """Alone, a body may be anything; inside a page only JSON leaves its neighbours readable."""
    try:
        json.loads(body.decode("utf-8", "surrogateescape"), strict=False)
    except json.JSONDecodeError:
        return False
    except (RecursionError, ValueError):
        return True
    return True


def test_a_record_that_breaks_the_pages_json_costs_exactly_that_record(database_url: str) -> None:
    world = World(seed=33, jobs=250, rate=0)
    with rig(world, database_url) as r:
        broken = world.id_at(120)
        world.set(broken, b'{"id": "' + broken.encode() + b'", "prompt": ')
        r.ok()
        assert set(r.jobs()) == {world.id_at(i) for i in range(250)} - {broken}
        (reject,) = r.rows("rejected_items")
        assert (reject["after_id"], reject["before_id"]) == (world.id_at(119), world.id_at(121))


def test_unknown_fields_are_kept_and_counted(database_url: str) -> None:
    world = World(seed=31, jobs=10, rate=0)
    with rig(world, database_url) as r:
        job_id = world.add({"fps": 24, "camera": {"lens": "35mm"}})
        r.ok()
        extra = json.loads(r.jobs()[job_id]["extra"])
        assert extra == {"fps": 24, "camera": {"lens": "35mm"}}
        assert {(u["path"], u["type"]) for u in r.rows("unknown_fields")} == {
            ("job.fps", "number"),
            ("job.camera", "object"),
        }


def test_a_failure_whose_message_no_database_takes_is_recorded(database_url: str) -> None:
    with rig(World(seed=32, jobs=10, rate=0), database_url) as r:
        error = ServerFault("bad \x00 text \ud800 here")

        def fail(*_: object, **__: object) -> None:
            raise error

        made = r.app.worker.gateway

        def broken(*facts: Any, **wiring: Any) -> Any:
            client: Any = made(*facts, **wiring)
            client.page = fail
            return client

        r.app.worker.gateway = broken  # type: ignore[method-assign]
        assert r.sync().status == "failed"
        assert r.rows("sync_runs")[0]["error_message"] == "bad \ufffd text ? here"
