"""A source whose upstream is gone is an archive: no request, no alarm, nothing unlisted. It can come back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from etl.analytics.filters import Filter
from etl.analytics.queries import run_report
from etl.analytics.status import read_status
from etl.load.source_health import last_completions, read_health, retire_source, revive_source
from etl.scheduler.timing import decide_sync
from etl.simulator import Simulator, World
from etl.web.health import judge_sources
from tests.support.command import Command
from tests.support.rig import rig


@pytest.mark.parametrize("how", ["404", "410", "empty"])
def test_an_archive_is_left_alone(migrated_url: str, how: str) -> None:
    with rig(World(jobs=20, rate=0.0), migrated_url) as r:
        r.ok()
        r.sim.fault(f"upstream_gone:how={how}")
        before, now = r.jobs(), r.now()
        retire_source(r.app.engine, "main", now=now, reason="the provider has ended its list")
        asked = len(r.sim.requests)
        for result in (r.sync(), r.reconcile()):
            assert (result.status, result.run_id) == ("skipped", None)
            assert "the provider has ended its list" in str(result.error)
        assert len(r.sim.requests) == asked
        assert r.jobs() == before
        health = read_health(r.app.engine, "main", now)
        assert not decide_sync(health, r.source, datetime.now(UTC), "host:1").run
        assert last_completions(r.app.engine) == {"main": None}
        (status,) = read_status(r.app.engine, now)
        assert judge_sources({"main": 1.0}, {"main": status}, datetime.now(UTC))["main"]["ready"]
        assert run_report(r.app.engine, "totals", Filter(now)).rows[0][0] == 20
        r.sim.clear_faults()
        revive_source(r.app.engine, "main")
        r.ok()


def test_the_command_states_its_evidence(configured: Command, gateway: Simulator) -> None:
    assert configured("sync").code == 0
    gateway.fault("upstream_gone:how=404")
    for _ in range(3):
        assert configured("sync").code == 1
    name = configured("status", "--json").json["sources"][0]["source"]
    assert f"source retire {name}" in configured("status").out
    done = configured("source", "retire", name)
    assert done.code == 0, done.err
    assert "NotFound" in done.out
    assert configured("sync").code == 0
    told = configured("status", "--max-age", "1s")
    assert (told.code, "retired since" in told.out, "last run failed" in told.out) == (0, True, False)
    assert configured("source", "revive", name).code == 0
    assert configured("sync").code == 1
    assert configured("source", "retire", "nobody").code == 2


def test_what_is_retired_keeps_its_day(configured: Command) -> None:
    assert configured("sync").code == 0

    def stored() -> tuple[str, str]:
        (one,) = configured("status", "--json").json["sources"]
        return one["retired_at"], one["retired_reason"]

    (source,) = configured("status", "--json").json["sources"]
    name = source["source"]
    done = configured("source", "retire", name, "--reason", "its list has ended")
    assert "has been retired since" in done.out
    before = stored()
    again = configured("source", "retire", name)
    assert again.code == 0 and "already retired since" in again.out and "its list has ended" in again.out
    assert stored() == before
    assert configured("source", "retire", name, "--reason", "letter of 3 March").code == 0
    assert stored() == (before[0], "letter of 3 March")
