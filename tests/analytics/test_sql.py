"""SQL that people type: answered, never obeyed; and the document that tells them what there is to ask."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.analytics.adhoc_sql import run_statement
from etl.analytics.catalogue import catalogue_markdown, describe_relation, read_questions
from etl.errors import ConfigError, EtlError, StorageError
from etl.schema.tables import metadata
from etl.schema.views.create import VIEWS

DOCUMENT = Path(__file__).parents[2] / "docs" / "sql.md"


@pytest.fixture
def world(shared_world):
    return shared_world


def test_the_document_is_what_the_code_says():
    assert DOCUMENT.read_text(encoding="utf-8") == catalogue_markdown(), "run: make docs"


def test_every_table_view_and_column_is_documented():
    text = catalogue_markdown()
    for name in [*metadata.tables, *(view.name for view in VIEWS)]:
        assert f"### {name}\n" in text
        assert all(row[2] for row in describe_relation(name).rows), name
    with pytest.raises(ConfigError, match="no table or view 'nope'"):
        describe_relation("nope")


def test_there_are_twenty_questions():
    assert len({question.title for question in read_questions()}) == 20


@pytest.mark.parametrize("question", read_questions(), ids=lambda question: question.title)
def test_every_question_is_answered(world, question):
    with world.begin() as conn:
        expected = [tuple(row) for row in conn.execute(sa.text(question.sql))]
    answer = run_statement(world, question.sql)
    assert len(answer.rows) == len(expected)
    # NOW is not now: what depends on the clock may be empty.
    silent = ("files can be downloaded", "stuck right now", "could not be understood")
    assert answer.rows or any(words in question.title for words in silent)


def test_answers_by_hand(world):
    spent, failed = (
        next(q for q in read_questions() if words in q.title) for words in ("did we spend", "What failed")
    )
    rows = [(r[0], r[1], r[2], int(r[3])) for r in run_statement(world, spent.sql).rows]
    by_model = {(model, currency): (cost, jobs) for model, currency, cost, jobs in rows}
    assert by_model[("sora-2-pro", "USD")] == (4.0, 1) and by_model[("sora-2", "USD")] == (0.8, 2)
    assert by_model[("sora-2", None)] == (None, 1)
    assert [row[:2] for row in run_statement(world, failed.sql).rows] == [
        ("moderation", "moderation_blocked"),
        ("unknown", None),
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM video_jobs",
        "  -- a comment\n/* and */ UPDATE video_jobs SET model = 'x'",
        "WITH x AS (SELECT 1) DELETE FROM video_jobs",
        "SELECT 1; DELETE FROM video_jobs",
        "SELECT 1; COMMIT; DELETE FROM video_jobs",
        "EXPLAIN ANALYZE DELETE FROM video_jobs",
        "DROP TABLE video_jobs",
        "PRAGMA query_only = OFF",
        "PRAGMA user_version = 7",
        "ATTACH DATABASE 'x.db' AS x",
        "SET default_transaction_read_only = off",
        "COMMIT",
        "CREATE TABLE x (y INTEGER)",
        "SELECT * INTO stolen FROM video_jobs",
        "",
        "-- nothing",
    ],
)
def test_nothing_can_be_changed(world, statement):
    before = run_statement(world, "SELECT COUNT(*) FROM video_jobs").rows
    tables = set(sa.inspect(world).get_table_names())
    try:
        run_statement(world, statement)
    except EtlError:
        pass
    else:
        assert statement.startswith("EXPLAIN"), (
            "MariaDB explains without doing, everything else must be refused"
        )
    assert run_statement(world, "SELECT COUNT(*) FROM video_jobs").rows == before == ((12,),)
    assert set(sa.inspect(world).get_table_names()) == tables


def test_the_connection_is_as_before_afterwards(own_world):
    run_statement(own_world, "SELECT 1")
    with own_world.begin() as conn:
        conn.exec_driver_sql("DELETE FROM coverage_gaps")


def test_percent_and_colon_are_nothing_special(world):
    answer = run_statement(
        world, "SELECT job_id, 'a:b' AS t FROM video_jobs WHERE model LIKE 'veo%' ORDER BY job_id;"
    )
    assert answer.rows == (("j11", "a:b"), ("j12", "a:b"), ("j9", "a:b"))
    assert [column.name for column in answer.columns] == ["job_id", "t"]


def test_a_limit_cuts(world):
    answer = run_statement(world, "SELECT job_id FROM video_jobs", limit=5)
    assert (len(answer.rows), answer.cut) == (5, True)


def test_a_statement_that_takes_too_long_is_ended(world):
    endless = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT COUNT(*) FROM n"
    if world.dialect.name in ("mysql", "mariadb"):
        endless = (
            "SELECT COUNT(*) FROM video_jobs a, video_jobs b, video_jobs c, video_jobs d, video_jobs e, "
            + ("video_jobs f, video_jobs g, video_jobs h, video_jobs i, video_jobs k")
        )
    with pytest.raises(StorageError, match=r"took longer than 0\.2s"):
        run_statement(world, endless, timeout=0.2)


def test_an_error_is_the_database_s_own_words(world):
    with pytest.raises(StorageError, match="nowhere"):
        run_statement(world, "SELECT * FROM nowhere")


def test_bytes_that_are_no_text_are_refused(world):
    """What a shell passes on as it is: half a surrogate pair in Python."""
    with pytest.raises(ConfigError, match="not UTF-8"):
        run_statement(world, "SELECT '\udcff'")
