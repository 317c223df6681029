"""Views that analysts made on ours, when a newer program brings its own anew."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from etl.errors import SchemaMismatch
from etl.schema import migrate


def _as_an_older_program_left_it(engine: sa.Engine) -> None:
    before = f"{int(migrate.head_revision()) - 1:04d}"
    with engine.begin() as connection:
        connection.exec_driver_sql(
            "CREATE VIEW spend AS SELECT provider, count(*) AS n FROM job_facts GROUP BY 1"
        )
        connection.exec_driver_sql("CREATE VIEW spend_twice AS SELECT provider, 2 * n AS n FROM spend")
        connection.exec_driver_sql("CREATE VIEW names AS SELECT name FROM sources")
        connection.exec_driver_sql(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '{before}'")


def test_they_are_kept_or_named(engine: sa.Engine) -> None:
    _as_an_older_program_left_it(engine)
    if engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            connection.exec_driver_sql("CREATE MATERIALIZED VIEW days AS SELECT * FROM daily_jobs")
        with pytest.raises(SchemaMismatch, match=r"2 of your views.*days, spend") as found:
            migrate.upgrade_schema(engine)
        assert "pg_dump --schema-only -t days -t spend" in str(found.value.hint)
        with engine.begin() as connection:
            connection.exec_driver_sql("DROP MATERIALIZED VIEW days")
            connection.exec_driver_sql("DROP VIEW spend CASCADE")
    assert migrate.upgrade_schema(engine) == migrate.head_revision()
    with engine.connect() as connection:
        kept = ("names",) if engine.dialect.name == "postgresql" else ("names", "spend", "spend_twice")
        for name in kept:
            connection.execute(sa.text(f"SELECT * FROM {name}")).all()
