"""One run per source at a time."""

from __future__ import annotations

from etl.scheduler.in_flight import Slots


def test_one_at_a_time_and_a_reconcile_waits():
    slots = Slots()
    assert slots.enter("a", "incremental")
    assert slots.enter("b", "incremental"), "another source is another matter"
    assert not slots.enter("a", "incremental")
    assert not slots.enter("a", "reconcile")
    assert slots.leave("a"), "the reconcile's turn"
    assert not slots.enter("a", "incremental")
    assert not slots.enter("a", "reconcile"), "it is on already"
    assert not slots.leave("a")
    assert slots.busy() == ["b"]
    assert not slots.wait_idle(0)
    assert not slots.leave("b")
    assert slots.wait_idle(0)


def test_after_closing_nothing_waits():
    slots = Slots()
    slots.enter("a", "incremental")
    slots.enter("a", "reconcile")
    slots.close()
    assert not slots.leave("a")
