"""The known world in each database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from etl.load.totals import recount_all
from tests.analytics.world import JOBS, fill


@pytest.fixture(params=["counted", "kept"])
def world(engine: sa.Engine, request: pytest.FixtureRequest) -> sa.Engine:
    """Its rows came past the loader: views count jobs themselves, until the totals are made to fit."""
    fill(engine)
    if request.param == "kept":
        assert recount_all(engine) == len(JOBS)
    return engine
