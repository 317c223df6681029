"""`check`: what it finds right, wrong and unknowable, and what it says to do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from etl.simulator import Simulator, World
from tests.cli.conftest import CANARY
from tests.support.command import Command, Done


def probe(command: Command, sim: Simulator, **environ: str) -> tuple[Done, dict[str, dict[str, Any]]]:
    done = command("check", "--json", **{"BIFROST_BASE_URL": sim.base_url, **environ})
    assert done.out, done.err
    return done, {finding["what"]: finding for finding in done.json["findings"]}


def test_all_is_well(configured: Command, gateway: Simulator):
    before = len(gateway.requests)
    done, found = probe(configured, gateway)
    assert done.code == 0, done.out
    assert {name for name, finding in found.items() if finding["result"] == "unknown"} == {"database"}
    assert {"configuration", "gateway", "credentials", "list", "limit", "account", "order", "cursor"} <= set(
        found
    )
    assert {"clock", "cache"} <= set(found)
    assert len(gateway.requests) - before <= 12
    assert not (configured.folder / "etl.db").exists(), "a check creates nothing"
    configured("db", "upgrade")
    _, found = probe(configured, gateway)
    assert found["tables"]["result"] == "ok"


def test_lines_are_plain_and_marked(configured: Command):
    done = configured("check")
    assert done.code == 0
    assert "✓ configuration: read from the environment" in done.out
    assert "– database: " in done.out and "default:\n" in done.out and "  ✓ cursor: " in done.out
    assert "\x1b" not in done.all


def test_an_empty_list_says_what_could_not_be_checked(configured: Command):
    with Simulator(World(jobs=0)) as empty:
        done, found = probe(configured, empty)
    assert done.code == 0
    unknown = {name for name, finding in found.items() if finding["result"] == "unknown"}
    assert unknown >= {"limit", "account", "order", "cursor"}
    assert found["list"]["result"] == "ok"


@pytest.mark.parametrize(
    ("fault", "what"),
    [
        ("unauthorized", "credentials"),
        ("virtual_key_blocked", "credentials"),
        ("unsupported_operation", "list"),
        ("html", "list"),
        ("cursor_ignored", "cursor"),
        ("limit_ignored", "limit"),
        ("clock_skew:seconds=3600", "clock"),
        ("cached", "cache"),
    ],
)
def test_a_fault_is_found_and_explained(configured: Command, gateway: Simulator, fault: str, what: str):
    gateway.fault(fault)
    done, found = probe(configured, gateway)
    assert done.code == 1
    assert found[what]["result"] == "failed", found
    assert found[what]["hint"]


def test_a_gateway_that_ignores_order(configured: Command, gateway: Simulator):
    gateway.fault("order_ignored")
    done, found = probe(configured, gateway)
    assert (done.code, "ignored" in found["order"]["detail"]) == (0, True)


def test_several_accounts_are_noticed(configured: Command):
    with Simulator(World(jobs=300, accounts=3), token=CANARY) as many:
        done, found = probe(configured, many)
        assert done.code == 1
        assert "key_name" in found["account"]["hint"]
        assert found["cursor"]["result"] == "unknown"
        done, found = probe(configured, many, BIFROST_KEY_NAME="key-2")
        assert (done.code, found["account"]["result"]) == (0, "ok")


def test_nobody_answers(configured: Command, gateway: Simulator):
    gateway.stop()
    done, found = probe(configured, gateway)
    assert done.code == 1
    assert found["gateway"]["result"] == "failed"
    assert found["gateway"]["hint"]


def test_wrong_configuration_exits_2(command: Command):
    done = command("check", "--json")
    assert done.code == 2
    assert done.json["findings"][0]["what"] == "configuration"
    (command.folder / "bifrost-etl.yaml").write_text("databse: {}\n")
    done = command("check")
    assert done.code == 2
    assert "✗ configuration: " in done.out and "database" in done.out


def test_a_database_that_cannot_be_used(configured: Command, gateway: Simulator):
    done, found = probe(configured, gateway, DATABASE_URL="postgresql://u:p@127.0.0.1:9/x")
    assert (done.code, found["database"]["result"]) == (1, "failed")
    assert found["database"]["hint"]
    assert found["credentials"]["result"] == "ok", "the gateway is checked all the same"


@pytest.mark.parametrize(("host", "counted"), [("127.0.0.1", "once"), ("LOCALHOST", "twice")])
def test_two_keys_of_one_account_are_told(tmp_path: Path, gateway: Simulator, host: str, counted: str):
    """And two addresses of one gateway, by which nobody can know it for certain."""
    other = gateway.base_url.replace("127.0.0.1", host)
    places = "".join(
        f"  - {{name: {name}, base_url: '{url}', provider: openai, api_key: {CANARY}}}\n"
        for name, url in (("one", gateway.base_url), ("two", other))
    )
    (tmp_path / "bifrost-etl.yaml").write_text(f"sources:\n{places}", encoding="utf-8")
    done = Command(tmp_path)("check", "--json")
    told = [each for each in done.json["findings"] if each["what"] == "jobs of its own"]
    assert [(each["source"], each["result"]) for each in told] == [("two", "failed")]
    assert told[0]["detail"].startswith("lists the same jobs as one") and told[0]["detail"].endswith(counted)


def test_a_file_that_everybody_may_read_is_told_of(configured: Command):
    configured("db", "upgrade")
    file = configured.folder / "etl.db"
    privacy = [one for one in configured("check", "--json").json["findings"] if one["what"] == "privacy"]
    assert privacy == []
    file.chmod(0o644)
    done = configured("check", "--json")
    (found,) = [one for one in done.json["findings"] if one["what"] == "privacy"]
    assert (done.code, found["result"]) == (0, "unknown")
    assert "mode 0644" in found["detail"] and f"chmod o-rwx {file.name}" in found["hint"]
    file.chmod(0o640)
    assert "privacy" not in {one["what"] for one in configured("check", "--json").json["findings"]}


def test_a_list_that_moves_by_id_is_named(configured: Command, gateway: Simulator):
    configured("sync")
    with closing(sqlite3.connect(configured.folder / "etl.db")) as conn, conn:
        conn.execute("""UPDATE sync_state SET learned = '{"moves_by_id":true}'""")
    done, found = probe(configured, gateway)
    assert done.code == 0 and "only when it is read by id" in found["statuses"]["detail"]
