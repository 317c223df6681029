"""Instants past SQLAlchemy's types are what those would write."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import sqlite

from etl.db.types import UtcDateTime
from etl.load import sql_values

_DIALECT = sqlite.dialect()
_as_stored = UtcDateTime().dialect_impl(_DIALECT).bind_processor(_DIALECT)
ZONES = st.sampled_from([UTC, timezone(timedelta(0)), timezone(timedelta(hours=-5, minutes=-30))])
SECONDS = st.datetimes(datetime(1970, 1, 2), timezones=ZONES).map(
    lambda moment: moment.replace(microsecond=0)
)
MOMENTS = st.one_of(st.none(), SECONDS, st.datetimes(datetime(1970, 1, 2), timezones=ZONES))


@given(st.lists(st.none() | SECONDS) | st.lists(MOMENTS))
def test_many_at_once(moments: list[datetime | None]) -> None:
    stored = [None if moment is None else _as_stored(moment) for moment in moments]
    assert list(sql_values.write_instants("sqlite", moments)) == stored
    assert [None if each is None else sql_values.instant_writer("sqlite")(each) for each in moments] == stored


@pytest.mark.parametrize("year", [1, 999, 1970, 9999])
def test_years_have_four_digits(year: int) -> None:
    moments = [datetime(year, 12, 31, 23, 59, 59, tzinfo=UTC), None]
    assert list(sql_values.write_instants("mysql", moments)) == [f"{year:04d}-12-31 23:59:59.000000", None]
