"""A key may be an ordinary word, and a gateway may send a real one back: data stays, keys do not."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa

from etl.config import Secret, Source
from etl.log import HIDDEN
from etl.schema.tables import metadata
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job, page
from tests.support.rig import TOKEN, Rig


def stored(rig: Rig) -> str:
    """Every value of every column of every table, as text."""
    with rig.app.engine.connect() as conn:
        rows = [row for table in metadata.tables.values() for row in conn.execute(sa.select(table))]
    return "\n".join(
        (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value))
        for row in rows
        for value in row
    )


@contextmanager
def synced(
    url: str, jobs: list[Any], members: dict[str, Any], **settings: Any
) -> Iterator[tuple[Rig, RawGateway]]:
    with RawGateway(lambda ask: answer(page(ask.listed(jobs), **members))) as gateway:
        rig = Rig(_Address(gateway.base_url), url, **settings)  # type: ignore[arg-type]
        with rig.app:
            result = rig.sync()
            assert result.status == "ok", result.error
            yield rig, gateway


class _Address:
    """As much of a simulator as a rig needs."""

    def __init__(self, base_url: str) -> None:
        self.base_url, self.requests = base_url, []
        self.world = type("World", (), {"provider": "openai", "now": staticmethod(lambda: 1_767_100_000.0)})


@pytest.mark.parametrize(
    "settings",
    [
        {"api_key": Secret("openai")},
        {"headers": {"X-Model": Secret("sora-2"), "X-Team": Secret("Team videos")}},
        {"headers": {"X-Status-Key": Secret("completed"), "X-Size": Secret("1280x720")}},
        {"api_key": None, "username": "team", "password": Secret("video_")},
    ],
)
def test_a_key_that_is_a_word_changes_nothing_that_is_stored(
    database_url: str, settings: dict[str, Any]
) -> None:
    listed = [job(n, prompt="Team videos of sora-2 by openai, completed") for n in range(120)]
    with synced(database_url, listed, {}, **settings) as (rig, gateway):
        rows = rig.jobs()
    assert set(rows) == {f"video_{n:05d}:openai" for n in range(120)}
    for row in rows.values():
        assert (row["model"], row["status"], row["size"]) == ("sora-2", "completed", "1280x720")
        assert row["prompt"] == "Team videos of sora-2 by openai, completed"
    cursors = {ask.query["after"] for ask in gateway.asked if "after" in ask.query}
    assert cursors and all(cursor.startswith("video_") and "*" not in cursor for cursor in cursors)


def test_a_real_key_that_comes_back_is_hidden_where_it_stands_and_nowhere_else(database_url: str) -> None:
    echo = f"Bearer {TOKEN}"
    listed = [
        job(1),
        job(2, prompt=f"my key is {TOKEN}, paint it", note={"deep": [echo]}, **{TOKEN: 1}),
        job(3, status="failed", error={"code": "invalid_key", "message": f"{TOKEN} is not allowed"}),
        {"object": "video", "prompt": echo},  # no id: rejected verbatim
    ]
    facts = {"request_type": "video_list", "raw_request": {"headers": echo}, "echo": [echo]}
    members = {"extra_fields": facts, TOKEN: True}
    with synced(database_url, listed, members, raw_payloads="store") as (rig, _):
        rows = rig.jobs()
        assert TOKEN not in stored(rig)
        assert (
            rows["video_00001:openai"]["prompt"] == "take 1" and rows["video_00001:openai"]["extra"] is None
        )
        second = rows["video_00002:openai"]
        assert second["prompt"] == f"my key is {HIDDEN}, paint it" and second["model"] == "sora-2"
        assert json.loads(second["extra"]) == {"note": {"deep": [f"Bearer {HIDDEN}"]}, HIDDEN: 1}
        assert rows["video_00003:openai"]["error_message"] == f"{HIDDEN} is not allowed"
        (reject,) = rig.rows("rejected_items")
        assert f"Bearer {HIDDEN}" in stored(rig) and HIDDEN.encode() in bytes(reject["payload"])
        assert json.loads(rig.rows("list_pages")[0]["raw_request"]) == {"headers": f"Bearer {HIDDEN}"}


def test_an_error_that_echoes_any_secret_is_masked(tmp_path: Any) -> None:
    def refusing(ask: Ask) -> bytes:
        said = {"error": {"message": "key swordfish of sora-2 is unknown"}}
        return answer(json.dumps(said).encode(), "Content-Type: application/json", status="401 No")

    with RawGateway(refusing) as gateway:
        rig = Rig(
            _Address(gateway.base_url),  # type: ignore[arg-type]
            f"sqlite:///{tmp_path / 'e.db'}",
            api_key=Secret("swordfish"),
        )
        with rig.app:
            result = rig.sync()
            assert "key **** of sora-2 is unknown" in str(result.error)
            assert "swordfish" not in stored(rig)


@pytest.mark.parametrize(
    ("secret", "unmistakable"),
    [
        ("openai", False),
        ("sora-2", False),
        ("Team videos", False),
        ("sora-2-2025-10-06", False),
        ("gpt-4o-mini-2024-07-18", False),
        ("us-east-1-prod-v2-team7", False),
        ("https://videos.example.com/our-team", False),
        ("correct-horse-battery-staple", False),
        ("123456789012345678", False),
        ("sk-bf-3f2b8c1e-77d0-4f0a-9a51-c0ffee51d00d", True),
        ("sk-proj-Zk3vQ9aLx7TgB2mWc8RpY4nHs6", True),
        (TOKEN, True),
        ("YWRtaW46Y2FuYXJ5LTEx", True),
    ],
)
def test_only_an_unmistakable_key_is_hidden_in_data(secret: str, unmistakable: bool) -> None:
    source = Source(name="a", base_url="http://h", api_key=Secret(secret))
    assert (source.credentials() == [secret]) is unmistakable
    assert source.plain_secrets() == ([] if unmistakable else ["api_key"])
