"""What the versions of Bifrost answer, held against what the real ones were seen to answer."""

import base64
import json

import pytest

from etl.simulator import Simulator, World
from etl.simulator.versions import parse_version
from tests.simulator.client import ask, ids, listed, single

EVERY = ("1.4", "1.5", "2.0", "2.1")
BASIC = {"Authorization": "Basic " + base64.b64encode(b"admin:pw").decode()}


def test_names_and_aliases() -> None:
    assert [str(parse_version(name)) for name in ("1", "2", "1.4")] == ["1.5", "2.1", "1.4"]
    with pytest.raises(ValueError, match=r"known are: 1\.4, 1\.5, 2\.0, 2\.1, 1, 2"):
        parse_version("3")


@pytest.mark.parametrize(("version", "names"), [("1.4", False), ("1.5", False), ("2.0", True), ("2.1", True)])
def test_who_answered(version: str, names: bool) -> None:
    with Simulator(World(jobs=30, version=version, accounts={"key-a": 1, "key-b": 1})) as sim:
        answer = listed(sim, {"x-bf-api-key": "key-b"})
        extra = answer.json["extra_fields"]
        base = ["request_type", "provider", "latency", "chunk_index", "provider_response_headers"]
        if names:
            base[1:1] = ["routing_info"]
            base[4:4] = ["upstream_latency"]
            assert extra["routing_info"] == {"provider": "openai", "key": "key-b"}
        assert list(extra) == base
        assert answer.headers.get("x-bifrost-routing-info-key") == ("key-b" if names else None)


@pytest.mark.parametrize("version", EVERY)
def test_its_own_refusals_of_a_request(version: str) -> None:
    with Simulator(World(jobs=3, version=version)) as sim:
        body = ask(sim, "/v1/videos").json
        assert body["is_bifrost_error"] is False
        assert not {"status_code", "type"} & set(body)
        assert body["error"] == {"message": "provider query parameter is required"}
        assert ("error_type" in body["extra_fields"]) == (version == "2.1")


@pytest.mark.parametrize("version", EVERY)
def test_a_refusal_passed_on_from_the_provider(version: str) -> None:
    with Simulator(World(jobs=3, version=version), faults=["upstream_401"]) as sim:
        answer = listed(sim)
        body = answer.json
        assert (answer.status, body["status_code"], body["is_bifrost_error"]) == (401, 401, False)
        assert "type" not in body
        raw = {"message": "Incorrect API key provided.", "type": "invalid_request_error"}
        assert body["extra_fields"]["raw_response"] == {
            "error": {**raw, "param": None, "code": "invalid_api_key"}
        }


@pytest.mark.parametrize(
    ("version", "status", "type"),
    [
        ("1.4", 403, "virtual_key_not_found"),
        ("1.5", 401, "virtual_key_not_found"),
        ("2.0", 401, "virtual_key_not_found"),
        ("2.1", 401, "access_not_found"),
    ],
)
def test_an_unknown_virtual_key(version: str, status: int, type: str) -> None:
    with Simulator(World(jobs=3, version=version), virtual_keys={"sk-bf-1": "active"}) as sim:
        answer = listed(sim, {"x-bf-vk": "sk-bf-2"})
        assert (answer.status, answer.json["type"]) == (status, type)
        assert "raw_response" not in answer.json["extra_fields"]


@pytest.mark.parametrize(("version", "status", "blocked"), [("1.5", 402, 403), ("2.0", 200, 403)])
def test_a_spent_budget_blocks_lists_only_below_two(version: str, status: int, blocked: int) -> None:
    keys = {"sk-bf-1": "budget_exceeded", "sk-bf-2": "virtual_key_blocked"}
    with Simulator(World(jobs=3, version=version), virtual_keys=keys) as sim:
        assert listed(sim, {"x-bf-vk": "sk-bf-1"}).status == status
        assert single(sim, sim.world.id_at(0), {"x-bf-vk": "sk-bf-1"}).status == status
        assert listed(sim, {"x-bf-vk": "sk-bf-2"}).status == blocked


def test_a_virtual_key_with_provider_configurations_lists_nothing_in_1_4() -> None:
    for version, status in (("1.4", 403), ("1.5", 200)):
        with Simulator(World(version=version), virtual_keys={"sk-bf-1": "provider_configs"}) as sim:
            answer = listed(sim, {"x-bf-vk": "sk-bf-1"})
            assert answer.status == status
    assert "Model ''" not in answer.json.get("error", {}).get("message", "")


@pytest.mark.parametrize(("version", "status"), [("1.4", 400), ("1.5", 400), ("2.0", 502), ("2.1", 502)])
def test_an_unreachable_provider(version: str, status: int) -> None:
    with Simulator(World(jobs=3, version=version), faults=["network_error"]) as sim:
        answer = listed(sim)
        assert answer.status == status
        assert answer.json["error"].get("type") == ("provider_connection_failed" if status == 502 else None)
        assert answer.json.get("status_code") == (502 if status == 502 else None)


def test_dashboard_authentication_from_two_on() -> None:
    keys = {"sk-bf-1": "active"}
    world = World(jobs=3, version="2.0")
    with Simulator(world, dashboard=("admin", "pw"), virtual_keys=keys) as sim:
        assert listed(sim).status == 200
        assert listed(sim, {"x-bf-vk": "sk-bf-9"}).status == 401
    with Simulator(world, dashboard=("admin", "pw"), virtual_keys=keys, enforced=True) as sim:
        assert listed(sim).status == 401
        assert listed(sim, {"Authorization": "Bearer sk-bf-1"}).status == 200
        assert listed(sim, BASIC).status == 200


@pytest.mark.parametrize(
    ("version", "allowed", "sent"), [("1.4", False, True), ("1.5", False, False), ("2.0", True, True)]
)
def test_the_raw_answer_only_where_it_is_allowed(version: str, allowed: bool, sent: bool) -> None:
    with Simulator(World(jobs=3, version=version), allow_raw=allowed) as sim:
        page = listed(sim, {"x-bf-send-back-raw-response": "true"}).json
        assert ("raw_response" in page["extra_fields"]) == sent
        if sent:
            assert page["extra_fields"]["raw_response"]["data"][0]["id"] + ":openai" == page["first_id"]


@pytest.mark.parametrize("version", EVERY)
def test_bifrost_knows_its_fields_and_drops_the_others(version: str) -> None:
    with Simulator(World(jobs=1, version=version, failures=0)) as sim:
        sim.advance(3600)
        id = sim.world.id_at(0)
        sim.world.update(id, quality="hd", seconds=None, status="")
        job = listed(sim).json["data"][0]
        known = ["id", "object", "model", "status", "created_at", "completed_at", "expires_at", "progress"]
        assert list(job) == [*known, "prompt", "seconds", "size"]
        assert (job["status"], job["seconds"]) == ("", None)
        alone = single(sim, id).json
        assert list(alone)[:4] == ["id", "completed_at", "created_at", "expires_at"]
        assert not {"quality", "seconds", "status"} & set(alone)
        sim.world.update(id, seconds=8)
        assert listed(sim).status == 500


@pytest.mark.parametrize(("version", "type"), [("1.5", "text/plain"), ("2.0", "application/json")])
def test_the_passthrough_gives_the_providers_own_bytes(version: str, type: str) -> None:
    with Simulator(World(jobs=30, version=version)) as sim:
        poison = sim.world.id_at(29)
        sim.world.update(poison, quality="hd", seconds=8)
        assert listed(sim).status == 500
        answer = ask(sim, "/openai_passthrough/v1/videos?limit=2")
        assert answer.headers["content-type"].startswith(type)
        page = json.loads(answer.body)
        newest = page["data"][0]
        assert (newest["id"] + ":openai", newest["quality"], newest["seconds"]) == (poison, "hd", 8)
        assert newest["error"] is None
        assert "extra_fields" not in page
        older = ask(sim, f"/openai_passthrough/v1/videos?limit=3&order=asc&after={newest['id']}").json
        assert older["data"] == []
        alone = ask(sim, f"/openai_passthrough/v1/videos/{newest['id']}").json
        assert alone == newest
        assert set(ask(sim, "/openai_passthrough/v1/videos/video_x").json) == {"error"}


def test_the_openai_shaped_door_is_always_at_page_one() -> None:
    with Simulator(World(jobs=50, version="2.0")) as sim:
        first = ids(listed(sim).json)
        assert ids(ask(sim, f"/openai/v1/videos?limit=3&order=asc&after={first[3]}").json) == first


def test_a_cursor_needs_no_suffix_and_an_empty_limit_is_the_default() -> None:
    with Simulator(World(jobs=50, version="1.5")) as sim:
        first = ids(listed(sim, limit="").json)
        assert len(first) == 20
        rest = ids(listed(sim, after=first[-1].removesuffix(":openai")).json)
        assert rest == ids(listed(sim, after=first[-1]).json)


def test_google_can_be_read_by_id_but_not_listed_and_says_little() -> None:
    world = World(jobs=3, provider="gemini", version="2.0", failures=0)
    with Simulator(world) as sim:
        assert listed(sim).json["error"]["code"] == "unsupported_operation"
        sim.advance(3600)
        id = sim.world.id_at(0)
        assert id.startswith("models%2Fveo-3.1-generate-preview%2Foperations%2F")
        job = single(sim, id).json
        assert list(job) == ["id", "created_at", "object", "status", "videos", "extra_fields"]
        assert job["created_at"] == int(sim.world.now())
        sim.advance(60)
        assert single(sim, id).json["created_at"] == job["created_at"] + 60


def test_several_providers_behind_one_gateway() -> None:
    veo = World(seed=2, jobs=3, provider="gemini", version="2.0")
    studio = World(seed=3, jobs=4, provider="studio", version="2.0")
    with Simulator(World(jobs=5, version="2.0"), others=[veo, studio]) as sim:
        assert len(listed(sim, provider="openai").json["data"]) == 5
        assert len(listed(sim, provider="studio").json["data"]) == 4
        assert listed(sim, provider="gemini").status == 400
        assert single(sim, veo.id_at(1)).json["extra_fields"]["provider"] == "gemini"
        assert single(sim, "video_x:runway").status == 400
        assert len(ask(sim, "/openai_passthrough/v1/videos").json["data"]) == 5
        sim.fault("upstream_gone", provider="studio", how=410)
        assert [listed(sim, provider=name).status for name in ("openai", "studio")] == [200, 410]
