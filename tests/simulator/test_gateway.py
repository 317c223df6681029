"""The gateway as a client meets it, over real HTTP."""

import base64

import pytest

from etl.simulator import Simulator, World
from tests.simulator.client import ask, ids, listed, pages, single

NOW = "/v1/videos?provider=openai"


def message(answer) -> str:
    return answer.json["error"]["message"]


def test_pages_list_the_world_in_both_orders() -> None:
    with Simulator(World(jobs=250)) as sim:
        truth = [job["id"] for job in sim.world.expected()]
        assert ids(*pages(sim, order="asc", limit=100)) == truth
        assert ids(*pages(sim)) == truth[::-1]
        assert len(listed(sim).json["data"]) == 20


def test_a_page_in_the_gateways_shape() -> None:
    with Simulator(World(jobs=30)) as sim:
        answer = listed(sim, limit=2)
        page = answer.json
        assert list(page) == ["object", "data", "first_id", "has_more", "last_id", "extra_fields"]
        assert [page["first_id"], page["last_id"]] == ids(page)
        assert all(id.endswith(":openai") for id in ids(page))
        assert page["extra_fields"]["request_type"] == "video_list"
        assert answer.headers["content-type"] == "application/json"
        world_of_markup = listed(sim, limit=100).body
        assert b"\\u0026" in world_of_markup
        assert b"&" not in world_of_markup


def test_parameters_are_checked_as_the_gateway_and_its_provider_do() -> None:
    with Simulator(World(jobs=3)) as sim:
        assert message(ask(sim, "/v1/videos")) == "provider query parameter is required"
        assert message(listed(sim, limit="ten")) == "invalid limit parameter"
        for limit in (0, 101, -5):
            assert listed(sim, limit=limit).json["error"]["param"] == "limit"
        assert listed(sim, order="up").status == 400
        assert message(listed(sim, provider="nope")) == "failed to get config for provider: not found"
        refused = listed(sim, provider="gemini").json["error"]
        assert refused["code"] == "unsupported_operation"
        assert refused["message"] == "video_list is not supported by gemini provider"


def test_other_paths() -> None:
    with Simulator(World(jobs=3), token="t") as sim:
        assert ask(sim, "/health").json == {"status": "ok", "components": {"db_pings": "ok"}}
        dashboard = ask(sim, "/v1/video")
        assert dashboard.status == 200
        assert dashboard.headers["content-type"].startswith("text/html")
        assert ask(sim, NOW, method="POST").status == 405


@pytest.mark.parametrize("provider", ["openai", "custom"])
def test_one_job_by_id(provider: str) -> None:
    with Simulator(World(jobs=3, provider=provider, failures=0)) as sim:
        sim.advance(3600)
        id = sim.world.id_at(1)
        assert ("%2F" in id) == (provider == "custom")
        job = single(sim, id).json
        listed_job = sim.world.job(id)
        assert job.items() >= listed_job.items()
        assert ("videos" in job) == (provider == "custom")
        assert message(single(sim, "video_x")) == "video_id must be in id:provider format"
        assert single(sim, f"video_x:{provider}").status == 404


def test_tokens() -> None:
    with Simulator(World(jobs=3), token="secret", virtual_keys={"sk-bf-1": "active"}) as sim:
        assert listed(sim, {"Authorization": "Bearer secret"}).status == 200
        assert listed(sim, {"Authorization": "Bearer sk-bf-1"}).status == 200
        assert listed(sim, {"x-bf-vk": "sk-bf-1"}).status == 200
        assert listed(sim, {"Authorization": "Bearer wrong"}).status == 401
        assert listed(sim).json["type"] == "virtual_key_required"
        unknown = listed(sim, {"x-bf-vk": "sk-bf-2"})
        assert (unknown.status, unknown.json["type"]) == (403, "virtual_key_not_found")


def test_without_a_token_everybody_may_ask() -> None:
    with Simulator(World(jobs=3)) as sim:
        assert listed(sim).status == listed(sim, {"Authorization": "Bearer any"}).status == 200


def test_a_virtual_key_can_be_blocked_or_spent() -> None:
    keys = {"sk-bf-1": "virtual_key_blocked", "sk-bf-2": "budget_exceeded"}
    with Simulator(World(jobs=3), virtual_keys=keys) as sim:
        assert listed(sim, {"x-bf-vk": "sk-bf-1"}).status == 403
        assert listed(sim, {"x-bf-vk": "sk-bf-2"}).status == 402


def test_dashboard_authentication_refuses_a_bearer_virtual_key() -> None:
    basic = {"Authorization": "Basic " + base64.b64encode(b"admin:pw").decode()}
    with Simulator(World(jobs=3), dashboard=("admin", "pw"), virtual_keys={"sk-bf-1": "active"}) as sim:
        assert listed(sim, {"Authorization": "Bearer sk-bf-1"}).status == 401
        assert listed(sim, basic).json["type"] == "virtual_key_required"
        assert listed(sim, {**basic, "x-bf-vk": "sk-bf-1"}).status == 200


def test_several_accounts_answer_by_chance_unless_pinned() -> None:
    with Simulator(World(jobs=60, accounts={"ours": 1, "theirs": 3})) as sim:
        ours = {job["id"] for job in sim.world.expected(account="ours")}
        theirs = {job["id"] for job in sim.world.expected(account="theirs")}
        assert ours
        assert len(theirs) > len(ours)
        assert ours.isdisjoint(theirs)
        unpinned = {frozenset(ids(listed(sim, limit=100).json)) for _ in range(40)}
        assert unpinned == {frozenset(ours), frozenset(theirs)}
        pin = {"x-bf-api-key": "ours"}
        assert set(ids(*pages(sim, pin, limit=7))) == ours
        both = {"x-bf-api-key": "ours", "x-bf-api-key-id": "theirs-id"}
        assert set(ids(listed(sim, both, limit=100).json)) == theirs
        sticky = {ids(listed(sim, {"x-bf-session-id": "s"}, limit=1).json)[0] for _ in range(20)}
        assert len(sticky) == 1
        unknown = listed(sim, {"x-bf-api-key": "x"})
        assert unknown.status == 400
        assert message(unknown).startswith('no supported key found with name "x"')
        job = next(iter(theirs))
        assert single(sim, job, pin).status == 404
        assert {single(sim, job).status for _ in range(40)} == {200, 404}


@pytest.mark.parametrize("how", [400, 404, 410, 422])
def test_a_dead_cursor_can_be_an_error(how: int) -> None:
    with Simulator(World(jobs=30), dead_cursor=how) as sim:
        dead = sim.world.id_at(4)
        sim.world.delete(dead)
        assert listed(sim, after=dead).status == how


def test_a_dead_cursor_can_be_silent() -> None:
    with Simulator(World(jobs=30)) as sim:
        sim.fault("dead_cursor:how=empty")
        assert listed(sim, after="video_x:openai").json["data"] == []
        sim.clear_faults()
        sim.fault("dead_cursor", how="first_page")
        assert ids(listed(sim, after="video_x:openai").json) == ids(listed(sim).json)


def test_the_reference_page_shows_no_status() -> None:
    with Simulator(World(jobs=300, shape="reference")) as sim:
        page = listed(sim, limit=100).json
        assert [page["first_id"], page["last_id"]] == [ids(page)[0], ids(page)[-1]]
        assert not any("status" in job for job in page["data"])
        assert {str(job["error"]) for job in page["data"]} > {str({"code": None, "message": None})}


def test_plain_openai_has_no_suffix_and_no_extra_fields() -> None:
    with Simulator(World(jobs=30, shape="openai"), token="t") as sim:
        answer = ask(sim, "/v1/videos?limit=5", {"Authorization": "Bearer t"})
        assert "extra_fields" not in answer.json
        assert not any(":" in id for id in ids(answer.json))
        assert set(ask(sim, "/v1/videos").json) == {"error"}


def test_requests_are_logged_with_query_and_headers() -> None:
    with Simulator(World(jobs=3), token="t") as sim:
        listed(sim, {"Authorization": "Bearer t"}, limit=7)
        method, path, query, headers = sim.requests[-1]
        assert (method, path, query) == ("GET", "/v1/videos", {"provider": "openai", "limit": "7"})
        assert headers["authorization"] == "Bearer t"
