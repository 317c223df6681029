"""A name that is misspelled in SQL is answered with the nearest, on every database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from etl.analytics.adhoc_sql import run_statement
from etl.errors import StorageError


@pytest.mark.parametrize(
    ("asked", "meant"),
    [
        ("SELECT * FROM job_fact", "did you mean job_facts?"),
        ("SELECT modell FROM job_facts", "did you mean model?"),
        ("SELECT f.created FROM job_facts f", "lists the columns"),
        ("SELECT * FROM nothing_like_it_at_all", "lists tables and views"),
    ],
)
def test_the_nearest_name(engine: sa.Engine, asked: str, meant: str) -> None:
    with pytest.raises(StorageError) as error:
        run_statement(engine, asked)
    assert meant in str(error.value.hint)


@pytest.mark.parametrize("asked", ["SELECT (1", "SELECT model FROM job_facts GROUP BY nothing(1)"])
def test_other_faults_get_no_advice_about_names(engine: sa.Engine, asked: str) -> None:
    with pytest.raises(StorageError) as error:
        run_statement(engine, asked)
    assert "lists" not in str(error.value.hint)
