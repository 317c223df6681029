"""Gateways that somebody met: each file of tests/recordings is checked, synced and reconciled."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.recordings import RECORDINGS, replayed

#: Jobs in the mirror, counted by hand in what was recorded.
JOBS = {"bifrost-2.0": 25, "litellm": 12}


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.stem)
def test_recorded_gateway_is_mirrored(path: Path, tmp_path: Path) -> None:
    with replayed(path, f"sqlite:///{tmp_path / 'mirror.db'}") as mirror:
        jobs = mirror.check_sync_reconcile()
    assert len(jobs) == JOBS.get(path.stem, len(jobs))


def test_both_ends_are_read_at_once_as_they_were(tmp_path: Path) -> None:
    """Requests may come in another order than they were recorded in."""
    path = next(path for path in RECORDINGS if path.stem == "bifrost-2.0")
    url = f"sqlite:///{tmp_path / 'mirror.db'}"
    with replayed(path, url, first_load_lanes=1, concurrency=1) as mirror:
        assert len(mirror.check_sync_reconcile()) == 25
