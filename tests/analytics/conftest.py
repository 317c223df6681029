"""The known world in each database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.analytics.world import fill


@pytest.fixture
def world(engine: sa.Engine) -> sa.Engine:
    fill(engine)
    return engine
