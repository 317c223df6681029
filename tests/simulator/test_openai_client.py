"""A client that we did not write reads the whole list, page by page."""

import openai
import pytest

from etl.simulator import Simulator, World

# The library announces the end of OpenAI's own service; gateways keep the interface for others.
pytestmark = pytest.mark.filterwarnings("ignore:The Sora API:DeprecationWarning")


@pytest.mark.parametrize(
    ("shape", "query"),
    [("openai", {}), ("bifrost", {"provider": "openai"}), ("reference", {"provider": "openai"})],
)
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_it_lists_every_job_once(shape: str, query: dict[str, str], order: str) -> None:
    with (
        Simulator(World(jobs=230, shape=shape), token="secret") as sim,
        openai.OpenAI(base_url=sim.base_url + "/v1", api_key="secret", max_retries=0) as client,
    ):
        listed = [v.id for v in client.videos.list(limit=50, order=order, extra_query=query)]  # type: ignore[arg-type]
        truth = [job["id"] for job in sim.world.expected()]
        assert listed == (truth if order == "asc" else truth[::-1])
        assert len(sim.requests) == 5


def test_it_reads_one_job_and_understands_a_refusal() -> None:
    with Simulator(World(jobs=10, shape="openai"), token="secret") as sim:
        with openai.OpenAI(base_url=sim.base_url + "/v1", api_key="secret", max_retries=0) as client:
            video = client.videos.retrieve(sim.world.id_at(3))
            assert video.model_dump(exclude_unset=True) == sim.world.job(video.id)
            with pytest.raises(openai.NotFoundError, match="not found"):
                client.videos.retrieve("video_x")
        wrong = openai.OpenAI(base_url=sim.base_url + "/v1", api_key="wrong", max_retries=0)
        with wrong, pytest.raises(openai.AuthenticationError):
            wrong.videos.list()
