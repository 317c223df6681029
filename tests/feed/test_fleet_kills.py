"""Feeds and syncs of two machines are killed at random while both go on: the lake equals the database."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.lake import play
from tests.conftest import require_module
from tests.support.databases import Server

pytestmark = pytest.mark.slow

require_module("dlt")


@pytest.mark.timeout(600)  # some dozens of processes start one after the other
def test_the_lake_equals_the_database(postgres: Server, tmp_path: Path):
    """A short version of `python -m harness.lake`."""
    hit, jobs, versions = play(postgres, tmp_path, kills=6, seed=3)
    postgres.drop("lake")
    assert hit.total() == 6 and len(hit) >= 2, hit
    assert jobs > 4500 and versions > jobs
