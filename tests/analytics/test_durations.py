"""Lengths of time on SQLite are exact to the millisecond, whichever way they are counted."""

from __future__ import annotations

import random
import sqlite3
from datetime import UTC, datetime, timedelta

from etl.schema.views.dialects import make_dialect


def _stored(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


def test_whole_and_broken_seconds_are_told_exactly():
    chance, connection = random.Random(7), sqlite3.connect(":memory:")
    question = f"SELECT {make_dialect('sqlite').seconds('?1', '?2')}"
    for fractions in ((0, 0), (250_000, 250_000), (999_999, 999_999), (0, 1_000), (999_000, 0)):
        for _ in range(200):
            start = datetime(2000, 1, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(10**9))
            length = chance.choice((0, 1, 59, 86_399, -3_600, chance.randrange(10**8)))
            end = (start + timedelta(seconds=length)).replace(microsecond=fractions[1])
            start = start.replace(microsecond=fractions[0])
            found = connection.execute(question, (_stored(start), _stored(end))).fetchone()[0]
            assert found == round((end - start).total_seconds(), 3), (start, end)
    assert connection.execute(question, (None, _stored(end))).fetchone()[0] is None
    connection.close()
