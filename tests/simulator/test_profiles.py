"""Lists that are not Bifrost's, met with clients that we did not write."""

import openai
import pytest
import requests
from hypothesis import given, settings
from hypothesis import strategies as st

from etl.simulator import Simulator, World
from tests.simulator.client import ask, ids

# The library announces the end of OpenAI's own service; gateways keep the interface for others.
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")
HOUR = 3600.0


def test_plain_openai_has_no_suffix_and_no_extra_fields() -> None:
    with Simulator(World(jobs=30, shape="openai"), token="t") as sim:
        answer = ask(sim, "/v1/videos?limit=5", {"Authorization": "Bearer t"})
        assert "extra_fields" not in answer.json
        assert not any(":" in id for id in ids(answer.json))
        assert set(ask(sim, "/v1/videos").json) == {"error"}


def test_azure_takes_its_own_header_and_names_no_edges() -> None:
    with Simulator(World(jobs=30, shape="azure", provider="azure"), token="t") as sim:
        client = openai.OpenAI(
            base_url=sim.base_url + "/openai/v1", api_key="unused", default_headers={"api-key": "t"}
        )
        with client:
            page = client.videos.list(limit=30, order="asc")
        assert [video.id for video in page.data] == [job["id"] for job in sim.world.expected()]
        assert (page.first_id, page.last_id) == (None, None)
        assert ask(sim, "/v1/videos").status == 404


def test_litellm_gives_page_one_whatever_is_asked() -> None:
    with Simulator(World(jobs=50, shape="litellm")) as sim:
        page = ask(sim, "/v1/videos").json
        first = ids(page)
        assert len(first) == 20
        assert ids(ask(sim, f"/v1/videos?after={first[-1]}&limit=3&order=asc").json) == first
        assert ask(sim, "/v1/videos", {"custom-llm-provider": "azure"}).status == 400
        assert first == [job["id"] for job in sim.world.expected()[::-1]][:20]


def test_litellms_ids_are_wrapped_and_its_cursors_are_not() -> None:
    with Simulator(World(jobs=50, shape="litellm")) as sim:
        page = ask(sim, "/v1/videos").json
        assert all(id.startswith("video_bGl0ZWxsbTpjdXN0b21fbGxtX3Byb3ZpZGVyOm9wZW5haT") for id in ids(page))
        assert page["last_id"].startswith("video_69")
        assert ask(sim, "/v1/videos/" + ids(page)[3]).json["id"] == ids(page)[3]
        mine = sim.world.add(id="video_mine", prompt="by hand")
        assert ask(sim, "/v1/videos").json["data"][0]["id"] == mine


def test_a_list_of_one_day_moves_only_when_a_job_is_read() -> None:
    with Simulator(World(jobs=200, gap=1000, rate=0, shape="window24h", failures=0)) as sim:
        page = ask(sim, "/v1/videos?limit=500&order=asc").json
        assert 80 < len(page["data"]) < 90
        assert {job["status"] for job in page["data"]} == {"queued"}
        newest, old = sim.world.id_at(199), sim.world.id_at(0)
        sim.advance(HOUR)
        assert ask(sim, "/v1/videos?limit=1").json["data"][0]["status"] == "queued"
        assert ask(sim, f"/v1/videos/{newest}").json["status"] == "completed"
        assert ask(sim, "/v1/videos?limit=1").json["data"][0]["status"] == "completed"
        assert ask(sim, f"/v1/videos/{old}").status == 200
        assert len(ask(sim, "/v1/videos?limit=0").json["data"]) == 1
        for wrong in ("/v1/videos/video_x", "/v1/videos?after=video_x"):
            answer = ask(sim, wrong)
            assert (answer.status, set(answer.json)) == (422, {"detail"})


def test_inworld_is_newest_first_and_wants_basic_credentials() -> None:
    with Simulator(World(jobs=300, shape="inworld", failures=0.9), token="me:secret") as sim:
        url, auth = sim.base_url + "/v1/videos", ("me", "secret")
        assert requests.get(url, timeout=10).status_code == 401
        page = requests.get(url, params={"order": "asc", "limit": 100}, auth=auth, timeout=10).json()
        truth = [job["id"] for job in sim.world.expected()][::-1]
        assert ids(page) == truth[:100]
        following = {"after": page["last_id"], "limit": 5}
        assert ids(requests.get(url, params=following, auth=auth, timeout=10).json()) == truth[100:105]
        assert "cancelled" in {job["status"] for job in page["data"]}


@pytest.mark.parametrize("cap", [7, 20, 50])
def test_a_cap_that_nobody_is_told_of(cap: int) -> None:
    with Simulator(World(jobs=120, shape="openai", cap=cap)) as sim:
        with openai.OpenAI(base_url=sim.base_url + "/v1", api_key="t", max_retries=0) as client:
            listed = [video.id for video in client.videos.list(limit=100, order="asc")]
        assert listed == [job["id"] for job in sim.world.expected()]
        assert len(sim.requests) == -(-120 // cap)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 50), st.integers(1, 60), st.sampled_from(["asc", "desc"]))
def test_jobs_of_one_second_can_stand_by_their_ids(seed: int, limit: int, order: str) -> None:
    world = World(seed, jobs=60, gap=0.5, sort="id")
    world.add(id="video_0", created_at=int(world.now()) - 7)
    world.add(id="video_zz", created_at=int(world.now()) - 7)
    truth = [(job["created_at"], job["id"]) for job in world.expected()]
    assert truth == sorted(truth)
    found: list[str] = []
    page = world.page(order=order, limit=limit)
    while page.more:
        found += page.ids
        page = world.page(order=order, limit=limit, after=found[-1])
    found += page.ids
    assert found == [id for _, id in (truth if order == "asc" else truth[::-1])]


def test_a_new_job_can_stand_before_a_known_one_of_its_second() -> None:
    for sort, expected in (("id", ["video_a:openai", "video_m:openai"]), ("created", None)):
        world = World(jobs=0, sort=sort)
        first = world.add(id="video_m")
        assert world.page(order="asc").ids == [first]
        world.advance(0.4)
        second = world.add(id="video_a")
        assert world.page(order="asc").ids == (expected or [first, second])
        assert world.page(order="asc", after=first).ids == ([] if expected else [second])
