"""The gateway's log, read by a client that we did not write."""

import json
import re
from typing import Any

import pytest
import requests

from etl.simulator import Simulator, World
from tests.simulator.client import listed, single

#: Seen in the rows of real gateways, in this order.
ROW_1_5 = [
    *("id", "parent_request_id", "timestamp", "object", "provider", "model", "number_of_retries"),
    *("fallback_index", "selected_key_id", "selected_key_name", "virtual_key_id", "virtual_key_name"),
    *("routing_rule_id", "routing_rule_name", "selected_prompt_name", "selected_prompt_version"),
    *("selected_prompt_id", "user_id", "user_name", "team_id", "team_name", "customer_id", "customer_name"),
    *("business_unit_id", "business_unit_name", "latency", "cost", "status", "stream", "raw_request"),
    *("raw_response", "is_large_payload_request", "is_large_payload_response", "created_at"),
    *("video_generation_input", "virtual_key", "selected_key"),
]
ADDED_2_0 = {"user_agent", "app", "content_summary", "content_hidden"}


def logs(sim: Simulator, auth: tuple[str, str] | None = None, **query: object) -> Any:
    answer = requests.get(sim.base_url + "/api/logs", params=query, auth=auth, timeout=10)  # type: ignore[arg-type]
    return answer.json()


def detail(sim: Simulator, id: str) -> Any:
    return requests.get(f"{sim.base_url}/api/logs/{id}", timeout=10).json()


def rows(sim: Simulator, **query: object) -> list[Any]:
    return list(logs(sim, **{"limit": 1000, **query})["logs"])


def world(version: str, **options: Any) -> World:
    return World(**{"jobs": 60, "version": version, "rate": 60.0, "failures": 0.2, **options})


def plain(found: list[Any]) -> Any:
    """A row that has everything."""
    return next(row for row in found if row["business_unit_name"] and "cost" in row)


@pytest.mark.parametrize("version", ["1.5", "2.0"])
def test_a_row_has_the_fields_of_a_real_one(version: str) -> None:
    with Simulator(world(version)) as sim:
        row = plain(rows(sim, objects="video_generation", status="success"))
        fields = [*ROW_1_5, *ADDED_2_0] if version == "2.0" else ROW_1_5
        assert set(row) == set(fields)
        if version == "1.5":
            assert list(row) == ROW_1_5
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z", row["timestamp"])
        assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", row["id"])
        assert (row["virtual_key_id"], row["team_id"]) == (f"vk-{row['virtual_key_name']}", "team-video")
        assert row["video_generation_input"].keys() == {"prompt"}


def test_the_oldest_version_knows_no_teams() -> None:
    with Simulator(world("1.4")) as sim:
        row = rows(sim)[0]
        assert not {"team_id", "user_id", "selected_prompt_id"} & set(row)
        assert not {"attempt_trail", "video_generation_output"} & set(detail(sim, row["id"]))


def test_in_2_0_only_the_detail_tells_the_jobs_id() -> None:
    with Simulator(world("2.0")) as sim:
        made = rows(sim, objects="video_generation,video_remix", status="success")
        assert {row["object"] for row in made} == {"video_generation", "video_remix"}
        details = [detail(sim, row["id"]) for row in made]
        assert not any("video_generation_output" in row for row in made)
        told = {row["video_generation_output"]["id"] for row in details}
        assert told == {job["id"] for job in sim.world.expected()}
        output = plain(details)["video_generation_output"]
        assert (output["status"], output["progress"]) == ("queued", 0)
        assert output["extra_fields"]["request_type"] == "video_generation"
        remix = next(row for row in details if row["object"] == "video_remix")
        assert (remix["model"], "cost" in remix) == ("", False)
        assert (
            remix["params"]["video_id"] + ":openai"
            == remix["video_generation_output"]["remixed_from_video_id"]
        )


@pytest.mark.parametrize("version", ["1.4", "1.5"])
def test_below_two_only_polls_remixes_and_deletions_name_a_job(version: str) -> None:
    with Simulator(world(version, deletions=0.3, rate=0.0)) as sim:
        sim.advance(3 * 86400)
        made = [detail(sim, row["id"]) for row in rows(sim, objects="video_generation", status="success")[:9]]
        assert all(set(row["params"]) <= {"seconds"} for row in made)
        polls = [detail(sim, row["id"]) for row in rows(sim, objects="video_retrieve")]
        named = {row["params"]["video_id"] + ":openai" for row in polls}
        assert named >= {sim.world.id_at(index) for index in range(60)}
        gone = [detail(sim, row["id"]) for row in rows(sim, objects="video_delete")]
        assert (
            sum(sim.world.job(row["params"]["video_id"] + ":openai") is None for row in gone) == len(gone) > 5
        )


def test_from_2_1_the_row_names_the_job_and_a_second_one_settles_it() -> None:
    with Simulator(world("2.1", jobs=40, rate=0.0)) as sim:
        sim.advance(7200)
        found = [row for row in rows(sim, status="success") if row["object"] != "video_retrieve"]
        made = {row["id"]: row for row in found if "accounting" not in row.get("video_debug", {})}
        settled = [row for row in found if "accounting" in row["video_debug"]]
        assert {row["video_debug"]["video_id"] for row in made.values()} == {
            job["id"] for job in sim.world.expected()
        }
        assert len(settled) == 40
        assert not any("cost" in row for row in made.values())
        for row in settled:
            maker = made[row["parent_request_id"]]
            debug = row["video_debug"]
            assert maker["video_debug"] == {"video_id": debug["video_id"], "status": "queued"}
            assert row["timestamp"] > maker["timestamp"]
            job = sim.world.job(debug["video_id"])
            assert debug["status"] == job["status"]
            assert debug["accounting"]["seconds"] == int(job["seconds"])
            assert debug["accounting"]["output_count"] == (job["status"] == "completed")
            assert (row["cost"] > 0) == (job["status"] == "completed")
        assert any("settled_by_request_id" in row["video_debug"] for row in settled)


def test_a_settlers_row_may_be_called_a_retrieval() -> None:
    with Simulator(world("2.1", jobs=40, rate=0.0), log_settles_as="video_retrieve", log_polls=False) as sim:
        sim.advance(7200)
        settled = rows(sim, objects="video_retrieve")
        kinds = {row["video_debug"]["accounting"]["request_type"] for row in settled}
        assert kinds == {"video_generation", "video_remix"}
        assert len(settled) == 40


def test_the_cost_of_creation_is_seconds_times_price() -> None:
    with Simulator(world("2.0", jobs=300)) as sim:
        for row in rows(sim, objects="video_generation", status="success", models="sora-2")[:20]:
            assert row["cost"] == pytest.approx(0.10 * int(detail(sim, row["id"])["params"]["seconds"]))
        assert not any("cost" in row for row in rows(sim, status="error"))


def test_content_that_is_not_logged_takes_the_ids_with_it() -> None:
    for version in ("1.5", "2.0", "2.1"):
        with Simulator(world(version), log_content=False) as sim:
            text = json.dumps([detail(sim, row["id"]) for row in rows(sim)[:50]])
            assert "video_6" not in text
            assert 'prompt"' not in text
            assert ('"content_hidden": true' in text) == (version != "1.5")


def test_rows_come_late_and_in_no_order() -> None:
    with Simulator(world("2.0", jobs=0, rate=3600.0), log_delay=30.0) as sim:
        sim.advance(60)
        first = {row["id"] for row in rows(sim, objects="video_generation")}
        newest = max(row["timestamp"] for row in rows(sim, objects="video_generation"))
        sim.advance(30)
        late = [row for row in rows(sim, objects="video_generation") if row["timestamp"] < newest]
        assert {row["id"] for row in late} - first


def test_pages_by_offset_over_a_moving_set() -> None:
    with Simulator(world("2.0", rate=3600.0)) as sim:
        whole = rows(sim, objects="video_generation")
        times = [row["timestamp"] for row in whole]
        assert times == sorted(times, reverse=True)
        first = logs(sim, objects="video_generation", limit=10)
        assert first["logs"] == whole[:10]
        assert first["pagination"] == {
            "limit": 10,
            "offset": 0,
            "sort_by": "timestamp",
            "order": "desc",
            "total_count": len(whole),
        }
        sim.advance(5)
        second = logs(sim, objects="video_generation", limit=10, offset=10)["logs"]
        assert {row["id"] for row in second} & {row["id"] for row in first["logs"]}
        last = logs(sim, objects="video_generation", order="asc", limit=1, sort_by="nonsense")["logs"]
        assert last == [whole[-1]]


def test_bounds_defaults_and_what_is_silently_ignored() -> None:
    with Simulator(world("1.5", jobs=200)) as sim:
        assert len(logs(sim)["logs"]) == 50
        assert logs(sim)["pagination"]["total_count"] == 0
        for wrong in ({"limit": 0}, {"limit": 1001}, {"offset": -1}):
            answer = requests.get(sim.base_url + "/api/logs", params=wrong, timeout=10)
            assert answer.status_code == 400
        every = rows(sim)
        middle = every[len(every) // 2]["timestamp"]
        assert rows(sim, start_time="yesterday", end_time="1795992615") == every
        assert rows(sim, start_time=middle.replace("T", " ")) == every
        newer = rows(sim, start_time=middle)
        assert 0 < len(newer) < len(every)
        assert min(row["timestamp"] for row in newer) >= middle[:26]
        assert requests.get(sim.base_url + "/api/logs/nowhere", timeout=10).status_code == 404


def test_filters() -> None:
    with Simulator(world("2.0", jobs=200)) as sim:
        asked = rows(sim, virtual_key_ids="vk-ads,vk-solo")
        assert {row["virtual_key_id"] for row in asked} == {"vk-ads", "vk-solo"}
        assert {row["model"] for row in rows(sim, models="sora-2-pro")} == {"sora-2-pro"}
        assert rows(sim, providers="gemini") == []
        assert {row["selected_key_id"] for row in rows(sim, selected_key_ids="key-1-id")} == {"key-1-id"}
        failed = rows(sim, status="error")
        details = [detail(sim, row["id"])["error_details"]["error"] for row in failed]
        assert {error.get("code") for error in details} == {"moderation_blocked", None}
        costs = [row["cost"] for row in rows(sim, sort_by="cost", min_cost="1", max_cost="4")]
        assert costs == sorted(costs, reverse=True)
        assert costs[0] <= 4


def test_only_the_administrator_may_read_it() -> None:
    keys = {"sk-bf-video": "active"}
    with Simulator(world("2.0"), dashboard=("admin", "pw"), virtual_keys=keys) as sim:
        url = sim.base_url + "/api/logs"
        bearer = {"Authorization": "Bearer sk-bf-video"}
        assert requests.get(url, headers=bearer, timeout=10).status_code == 401
        assert requests.get(url, headers={"x-bf-vk": "sk-bf-video"}, timeout=10).status_code == 401
        assert logs(sim, auth=("admin", "pw"))["has_logs"] is True
    with Simulator(world("2.0"), token="t") as sim:
        assert logs(sim)["logs"]


def test_what_this_gateway_answers_is_logged_too() -> None:
    with Simulator(world("2.0"), virtual_keys={"sk-bf-video": "active"}, log_delay=0) as sim:
        listed(sim, {"x-bf-vk": "sk-bf-video", "x-request-id": "mine-1"}, limit=3)
        sim.advance(1)
        read = detail(sim, "mine-1")
        assert (read["object"], read["team_name"], read["selected_key_name"]) == (
            "video_list",
            "Video",
            "key-1",
        )
        assert len(read["video_list_output"]["data"]) == 3
        single(sim, sim.world.id_at(5), {"x-bf-vk": "sk-bf-video", "x-request-id": "mine-2"})
        sim.advance(1)
        assert detail(sim, "mine-2")["video_retrieve_output"]["id"] == sim.world.id_at(5)


def test_a_log_that_forgets_and_a_gateway_without_one() -> None:
    with Simulator(world("2.0", gap=3600.0), log_retention=20 * 3600.0) as sim:
        kept = rows(sim, objects="video_generation", status="success")
        assert 0 < len(kept) < 40
        every = sorted(job["created_at"] for job in sim.world.expected())
        told = [detail(sim, row["id"])["video_generation_output"]["created_at"] for row in kept]
        assert min(told) > every[0] + 20 * 3600
    with Simulator(world("2.0"), logs=False) as sim:
        answer = requests.get(sim.base_url + "/api/logs", timeout=10)
        assert (answer.status_code, answer.headers["content-type"][:9]) == (200, "text/html")
    with Simulator(World(jobs=3, shape="openai")) as sim:
        assert requests.get(sim.base_url + "/api/logs", timeout=10).status_code == 404


def test_retries_and_fallbacks_leave_their_traces() -> None:
    with Simulator(world("2.0", jobs=300)) as sim:
        made = rows(sim, objects="video_generation")
        retried = next(row for row in made if row["number_of_retries"])
        assert [a["attempt"] for a in detail(sim, retried["id"])["attempt_trail"]] == [0, 1]
        fallback = next(row for row in made if row["fallback_index"])
        first = next(row for row in made if row["id"] == fallback["parent_request_id"])
        assert (first["status"], fallback["status"]) == ("error", "success")


def test_jobs_of_google_and_jobs_put_in_by_hand() -> None:
    veo = World(seed=2, jobs=3, provider="gemini", version="2.0")
    with Simulator(world("2.0", jobs=3, rate=0.0), others=[veo]) as sim:
        mine = sim.world.add(prompt="by hand")
        sim.advance(60)
        assert {row["provider"] for row in rows(sim)} == {"openai", "gemini"}
        row = rows(sim, providers="gemini", objects="video_generation", status="success")[0]
        output = detail(sim, row["id"])["video_generation_output"]
        assert set(output) == {"id", "created_at", "model", "object", "seconds", "status", "extra_fields"}
        assert output["id"] == veo.id_at(2)
        assert [r.prompt for r in sim.gateway.log.book.rows_of(mine, sim.world.now())] == ["by hand"]
        sim.world.delete(mine)
        sim.advance(60)
        kinds = [r.object for r in sim.gateway.log.book.rows_of(mine, sim.world.now())]
        assert kinds == ["video_generation", "video_delete"]


def test_faults_strike_the_log_only_when_told() -> None:
    with Simulator(world("2.0"), faults=["upstream_500", "upstream_503:on=log,times=1"]) as sim:
        assert requests.get(sim.base_url + "/api/logs", timeout=10).status_code == 503
        assert requests.get(sim.base_url + "/api/logs", timeout=10).status_code == 200
        assert listed(sim).status == 500
