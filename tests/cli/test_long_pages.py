"""A gateway that serves no pages as long as a sync asks for."""

from __future__ import annotations

import time

import pytest

from tests.support.command import Command
from tests.support.foreign_gateway import Answer, ForeignGateway, serving

REFUSALS = {
    "a web framework's": {
        "detail": [{"loc": ["query", "limit"], "msg": "should be less than or equal to 50"}]
    },
    "OpenAI's": {"error": {"message": "Invalid 'limit': must be at most 50.", "param": "limit"}},
}


@pytest.mark.parametrize("body", REFUSALS.values(), ids=REFUSALS)
def test_check_finds_what_a_sync_would_stumble_over(configured: Command, body: dict[str, object]) -> None:
    def refuse(path: str, query: dict[str, str]) -> Answer | None:
        return (422, body) if path == "/v1/videos" and int(query.get("limit", 0)) > 50 else None

    gateway = ForeignGateway(provider="openai", listed=True, before=refuse, now=time.time())
    for number in range(60):
        gateway.make(f"video_{number:03d}", gateway.now - 600 + number)
    with serving(gateway):
        place = {"BIFROST_BASE_URL": gateway.base_url}
        done = configured("check", **place)
        assert done.code == 1 and "pages of 100, as `page_size` says, are refused" in done.out
        assert "lower `page_size`" in done.out
        failed = configured("sync", **place)
        assert failed.code == 1 and "lower `page_size`" in failed.all
        (configured.folder / "bifrost-etl.yaml").write_text(
            f"sources: [{{name: main, base_url: {gateway.base_url}, provider: openai, page_size: 50}}]\n"
            "database: {url: sqlite:///etl.db}\n"
        )
        assert configured("check").code == 0 and configured("sync").code == 0
