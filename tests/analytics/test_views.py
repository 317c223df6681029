"""Views in the database: where they come from, when they go, and that a change of theirs is noticed."""

from __future__ import annotations

import importlib

import sqlalchemy as sa

from etl.schema import migrate
from etl.schema.views import create


def names(engine: sa.Engine) -> set[str]:
    return set(sa.inspect(engine).get_view_names())


OURS = {view.name for view in create.VIEWS}


def test_every_view_has_its_columns(engine):
    with engine.connect() as connection:
        for view in create.VIEWS:
            found = connection.execute(sa.text(f"SELECT * FROM {view.name}")).keys()
            assert list(found) == [column.name for column in view.columns], view.name


def test_views_come_and_go_with_the_newest_schema(engine):
    assert names(engine) == OURS
    migrate.downgrade_schema(engine, "0001")
    assert names(engine) == set()
    migrate.upgrade_schema(engine)
    assert names(engine) == OURS


def test_a_dropped_view_comes_back_and_the_others_stay(engine):
    with engine.begin() as connection:
        connection.exec_driver_sql("DROP VIEW failures")
    assert migrate.upgrade_schema(engine) == migrate.head_revision()
    assert names(engine) == OURS


def test_changed_views_need_a_revision_of_their_own():
    noted = [
        getattr(importlib.import_module(f"migrations.versions.{path.stem}"), "VIEWS", None)
        for path in sorted(migrate._migrations_folder().glob("versions/[0-9]*_*.py"))
    ]
    assert [digest for digest in noted if digest][-1] == create.views_digest(), (
        "the views' SQL or comments changed: add a revision with VIEWS = the new digest"
    )


def test_postgresql_carries_the_comments(engine):
    if engine.dialect.name != "postgresql":
        return
    query = sa.text(
        "SELECT a.attname, col_description(a.attrelid, a.attnum) FROM pg_attribute a"
        " WHERE a.attrelid = CAST(:view AS regclass) AND a.attnum > 0"
    )
    with engine.connect() as connection:
        for view in create.VIEWS:
            found = dict(connection.execute(query, {"view": view.name}).all())
            assert found == {column.name: column.comment for column in view.columns}
