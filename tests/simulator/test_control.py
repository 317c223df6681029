"""What other processes can do to the simulated world, and how keys rotate."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from etl.simulator import Simulator, World
from etl.simulator.credentials import Rotation
from tests.simulator.client import ask, ids, listed, pages, single

HOUR = 3600.0


def post(sim: Simulator, command: str, **query: object) -> Any:
    answer = ask(sim, f"/_sim/{command}?{urlencode(query)}", method="POST")
    assert answer.status == 200, answer.body
    return answer.json


def test_other_processes_move_the_world_without_a_token() -> None:
    with Simulator(World(jobs=3), token="t") as sim:
        before = sim.world.now()
        assert post(sim, "advance", seconds=60)["now"] == before + 60
        assert post(sim, "fault", spec="queue_full:times=1")["faults"]
        refused = listed(sim, {"Authorization": "Bearer t"})
        assert refused.json["error"]["message"] == "request dropped: queue is full"
        assert ask(sim, "/_sim/stats").json["faults"][0]["hits"] == 1
        post(sim, "fault", spec="poison:index=0")
        assert [f["name"] for f in post(sim, "clear", name="queue_full")["faults"]] == ["poison"]
        assert post(sim, "clear")["faults"] == []
        assert ask(sim, "/_sim/fault?spec=nonsense", method="POST").status == 400
        assert ask(sim, "/_sim/advance?seconds=60").status == 400
        assert ask(sim, "/_sim/stats").json["requests"] == 1


def test_settings_can_be_switched() -> None:
    with Simulator(World(jobs=30)) as sim:
        id = sim.world.id_at(29)
        sim.world.update(id, seconds=8)
        assert listed(sim).json["data"][0]["seconds"] == 8
        post(sim, "set", version="2", cap=7, dead_cursor="410")
        assert listed(sim).status == 500
        post(sim, "set", strict="off")
        page = listed(sim, limit=50).json
        assert len(page["data"]) == 7
        assert page["extra_fields"]["routing_info"]["key"] == "key-1"
        assert listed(sim, after="video_x:openai").status == 410
        post(sim, "set", token="t", cap=0)
        assert listed(sim).status == 401
        assert len(pages(sim, {"Authorization": "Bearer t"}, limit=30)) == 1
        for wrong in ("nonsense=1", "version=3", "dead_cursor=418", "passthrough=perhaps"):
            assert ask(sim, "/_sim/set?" + wrong, method="POST").status == 400


def test_jobs_can_be_put_in_changed_and_deleted() -> None:
    with Simulator(World(jobs=3), others=[World(jobs=3, provider="studio")]) as sim:
        mine = post(sim, "add", job=json.dumps({"prompt": "mine"}))["id"]
        assert ids(listed(sim).json)[0] == mine
        post(sim, "update", id=mine, changes=json.dumps({"status": "completed"}))
        assert single(sim, mine).json["status"] == "completed"
        post(sim, "delete", id=mine)
        assert single(sim, mine).status == 404
        theirs = post(sim, "add", provider="studio")["id"]
        assert theirs.endswith(":studio")
        assert ask(sim, "/_sim/delete?id=video_x:openai", method="POST").status == 400


def test_virtual_keys_come_and_go() -> None:
    with Simulator(World(jobs=3, version="2.1"), virtual_keys={"sk-bf-1": "active"}) as sim:
        assert listed(sim, {"x-bf-vk": "sk-bf-1"}).status == 200
        post(sim, "virtual_key", value="sk-bf-1", state="virtual_key_blocked")
        assert listed(sim, {"x-bf-vk": "sk-bf-1"}).json["type"] == "access_blocked"
        post(sim, "virtual_key", value="sk-bf-2", state="active")
        post(sim, "virtual_key", value="sk-bf-1")
        assert listed(sim, {"x-bf-vk": "sk-bf-1"}).json["type"] == "access_not_found"
        assert listed(sim, {"x-bf-vk": "sk-bf-2"}).status == 200


@pytest.mark.parametrize(("grace", "late"), [(60.0, 200), (0.0, 401)])
def test_keys_rotate_with_a_window_of_grace(grace: float, late: int) -> None:
    world = World(jobs=3, version="2.0")
    with Simulator(world, rotation=Rotation(world.now(), HOUR, grace)) as sim:
        first = ask(sim, "/_sim/key").json["key"]
        assert listed(sim, {"x-bf-vk": first}).status == 200
        sim.advance(HOUR + 1)
        second = ask(sim, "/_sim/key").json["key"]
        assert first != second
        assert ask(sim, "/_sim/key?as=text").body.decode() == second
        assert listed(sim, {"Authorization": f"Bearer {second}"}).status == 200
        assert listed(sim, {"x-bf-vk": first}).status == late
        sim.advance(60)
        assert listed(sim, {"x-bf-vk": first}).status == 401
        assert listed(sim, {"x-bf-vk": second}).status == 200
