"""A key that is rotated while many requests are under way: no run fails, and the store is asked once."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest

from etl.config import Secret
from etl.records import PageRequest
from tests.extract.test_closing import client
from tests.reliability.raw_gateway import JOBS, Ask, RawGateway, answer, page

OLD, NEW = "sk-bf-0ld7c1d49f27", "sk-bf-n3w51c09e7d4"
THREADS = 8
REFUSED = b'{"is_bifrost_error":false,"type":"access_not_found","error":{"message":"access not found"}}'


@pytest.mark.parametrize("how", ["api_key", "virtual_key", "command"])
def test_all_requests_under_way_are_asked_again(tmp_path: Path, how: str) -> None:
    """Eight are refused at once; the file holds the new key by then."""
    file, asked = tmp_path / "key", tmp_path / "asked"
    file.write_text(OLD)
    together, refused = threading.Barrier(THREADS), threading.Barrier(THREADS)

    def reply(ask: Ask) -> bytes:
        if NEW.encode() in ask.head:
            return answer(page(ask.listed(JOBS)))
        if together.wait(30) == 0:
            file.write_text(NEW)
        refused.wait(30)  # nobody is refused before all have asked
        return answer(REFUSED, status="401 Unauthorized")

    script = tmp_path / "store"
    script.write_text(f"#!/bin/sh\necho >> {asked}\ncat {file}\n")
    script.chmod(0o755)
    settings: dict[str, Any] = {how: Secret(OLD).kept_in(str(file))}
    if how == "command":
        settings = {"api_key": Secret(OLD), "api_key_command": str(script)}
    with RawGateway(reply) as gateway:
        made = client(gateway, **settings)
        answers: list[Any] = []

        def ask_page() -> None:
            try:
                answers.append(len(made.page(PageRequest()).items))
            except Exception as error:  # noqa: BLE001 (told below)
                answers.append(error)

        threads = [threading.Thread(target=ask_page) for _ in range(THREADS)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert answers == [PageRequest().limit] * THREADS
        assert not asked.exists() or len(asked.read_text().splitlines()) == 1
        made.close()
