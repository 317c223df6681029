"""No secret in any output, whatever fails."""

from __future__ import annotations

import pytest

from etl.simulator import Simulator, World
from tests.support.command import Command

CANARY = "canary-2c8f6a01be"
DEAD = "http://127.0.0.1:9"
COMMANDS = (
    ["check"],
    ["check", "--json"],
    ["sync", "--json"],
    ["reconcile"],
    ["status", "--json"],
    ["demo"],
)


def ways_to_fail(base_url: str) -> dict[str, dict[str, str]]:
    fine = {"BIFROST_BASE_URL": base_url, "BIFROST_API_KEY": CANARY, "BIFROST_PROVIDER": "openai"}
    fine["DATABASE_URL"] = "sqlite:///etl.db"
    return {
        "wrong token": fine,
        "unreachable": fine | {"BIFROST_BASE_URL": DEAD},
        "database unreachable": fine | {"DATABASE_URL": f"postgresql://u:{CANARY}@127.0.0.1:9/x"},
        "database unreadable": fine | {"DATABASE_URL": f"postgres//u:{CANARY}@h/x"},
        "database unknown": fine | {"DATABASE_URL": f"oracle://u:{CANARY}@h/x"},
        "token in the address": fine | {"BIFROST_BASE_URL": f"http://u:{CANARY}@127.0.0.1:9"},
        "token with a newline": fine | {"BIFROST_API_KEY": f"{CANARY}\nx"},
    }


@pytest.mark.parametrize("way", list(ways_to_fail("")))
def test_no_secret_in_any_output(command: Command, way: str):
    with Simulator(World(jobs=5), token="another") as sim:
        environ = ways_to_fail(sim.base_url)[way] | {"BIFROST_ETL_CONFIG": "quick.yaml"}
        (command.folder / "quick.yaml").write_text("defaults:\n  max_attempts: 1\n")
        failed = 0
        for arguments in COMMANDS:
            done = command("--log-level", "debug", *arguments, **environ)
            assert CANARY not in done.all, (arguments, done)
            failed += done.code != 0
        assert failed >= 3
    for file in command.folder.rglob("*"):
        assert CANARY.encode() not in file.read_bytes()
