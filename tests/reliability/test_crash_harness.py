"""The crash harness itself: a short storm ends in the truth, and its verdict notices every kind of damage."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
import sqlalchemy as sa

from harness import crash, sabotage
from harness.aims import Aim

pytestmark = pytest.mark.slow


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kills come early in a run, and nobody waits for the leases of the dead."""
    strike = crash.Scene.strike

    def strike_and_expire(scene: crash.Scene) -> None:
        strike(scene)
        with suppress(sa.exc.OperationalError), scene.ours.engine.begin() as conn:  # perhaps no tables yet
            conn.exec_driver_sql("UPDATE leases SET expires_at = '2000-01-01 00:00:00.000000'")

    monkeypatch.setattr(crash.Scene, "strike", strike_and_expire)
    monkeypatch.setattr(crash.aims, "draw", lambda rng, usual: Aim("request", 0.0, rng.randint(1, 12)))


@pytest.mark.usefixtures("quick")
def test_killed_six_times_and_nothing_is_lost_or_twice(tmp_path: Path) -> None:
    # This seed kills a first load three times, then services and a reconcile.
    tally = crash.play("sqlite", 6, 158, tmp_path, 200, spoil=True)

    assert tally.findings == []
    assert tally.kills >= 6
    assert tally.in_first_load > 0
    assert tally.jobs > 200
    assert tally.rounds == 1


def test_sabotage_tells_what_a_blind_verdict_overlooks(tmp_path: Path) -> None:
    engine = _empty_tables(f"sqlite:///{tmp_path / 'x.db'}")

    said = sabotage.unnoticed(engine, lambda: ["always the same"])

    assert said == [f"sabotage went unnoticed: {name}" for name in sabotage.DEEDS]


def _empty_tables(url: str) -> sa.Engine:
    from etl.schema.tables import metadata

    engine = sa.create_engine(url)
    metadata.create_all(engine)
    return engine
