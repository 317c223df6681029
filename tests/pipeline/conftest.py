"""Small transactions, so that small worlds see many of them."""

from __future__ import annotations

import pytest

from etl.pipeline import run


@pytest.fixture(autouse=True)
def _small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "PAGES_PER_BATCH", 10)
    monkeypatch.setattr(run, "SECONDS_PER_BATCH", 3600.0)
