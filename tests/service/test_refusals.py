"""Every row of the gateway's error table: what disables a source, and what waits for the next tick."""

from __future__ import annotations

from pathlib import Path

import pytest

from etl.simulator import World
from etl.simulator.error_table import TABLE
from tests.support.rig import TOKEN, rig

DISABLING = {
    "provider_not_configured",
    "unsupported_operation",
    "no_keys",
    "unknown_key",
    "unauthorized",
    "virtual_key_required",
    "virtual_key_not_found",
    "virtual_key_blocked",
    "provider_blocked",
    "model_blocked",
}


def test_refusals_that_other_failures_interrupt_disable_nothing(tmp_path: Path):
    with rig(World(seed=2, jobs=30), f"sqlite:///{tmp_path / 'etl.db'}") as gateway:
        gateway.ok()
        for row in ("unauthorized", "unauthorized", "upstream_500", "unauthorized", "unauthorized"):
            gateway.sim.fault(row)
            gateway.sync()
            gateway.sim.clear_faults()
        [state] = gateway.rows("sync_state")
        assert (state["failures"], state["disabled_at"]) == (5, None)


def test_the_table_is_whole():
    assert set(TABLE) >= DISABLING
    assert "budget_exceeded" in TABLE, "a budget fills up again: it must not disable"


@pytest.mark.parametrize("row", sorted(TABLE))
def test_row(row: str, tmp_path: Path):
    with rig(World(seed=2, jobs=30), f"sqlite:///{tmp_path / 'etl.db'}") as gateway:
        gateway.ok()
        gateway.sim.fault(row)
        for runs in (1, 2):
            gateway.sync()
            [state] = gateway.rows("sync_state")
            assert state["disabled_at"] is None, f"{runs} refusals may be a key that is being changed"
        result = gateway.sync()
        [state] = gateway.rows("sync_state")
        disabled = state["disabled_at"] is not None
        assert disabled == (row in DISABLING), result
        if disabled:
            assert state["config_hash"] == gateway.source.fingerprint()
            assert state["disabled_reason"] and TOKEN not in state["disabled_reason"]
        assert state["failures"] == (3 if result.status == "failed" else 0)
        gateway.sim.clear_faults()
        gateway.ok()
        [state] = gateway.rows("sync_state")
        assert (state["failures"], state["disabled_at"], state["disabled_reason"]) == (0, None, None)
