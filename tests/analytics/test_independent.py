"""Every view and report against DuckDB over the raw pages that a gateway sent, and over its log's rows: none
of our SQL, nor our zones. See `independent_world`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.grouped import GROUPED
from etl.analytics.queries import convert_value, run_report
from etl.analytics.reports import REPORTS
from etl.analytics.spend import BY, SPANS
from etl.schema.views import create
from tests.analytics import independent_sql
from tests.analytics.independent_world import NOW, RANGES, ZONES, Mirrored, agree, mirror
from tests.conftest import DATABASES

#: Alone, and with others: a span of time, an owner, the model.
DIMENSIONS = (*BY, "team,model", "week,team", "hour,status", "month,customer,size")
#: Zones cut only what has a span of time in it.
SPENDING = [
    (by, zone) for by in DIMENSIONS for zone in (ZONES if set(by.split(",")) & set(SPANS) else ZONES[-1:])
]

#: Of what totals by day answer, too: a zone of whole hours, and one of odd minutes.
GROUPING = [(by, ZONES[-1]) for by in ("team", "model", "source,status", "customer,size")]
GROUPING += [
    (by, zone)
    for by in ("hour", "hour,source,size", "day,model", "week,team")
    for zone in (ZONES[2], ZONES[-2])
]


@pytest.fixture(scope="module", params=DATABASES)
def mirrored(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    with mirror(request.param, request, tmp_path_factory.mktemp("pages")) as found:
        yield found


@pytest.fixture(scope="module", params=DATABASES)
def unlogged(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mirrored]:
    """The same where no gateway's log is read: whoever jobs belong to is not known, and totals will do."""
    with mirror(request.param, request, tmp_path_factory.mktemp("pages"), logged=False) as found:
        yield found


def ranges(chosen: Filter, name: str = "") -> Iterator[tuple[Filter, str]]:
    """The filter for each range, and DuckDB's condition on `created`: none for a report of what is so now."""
    for since, until in RANGES.values():
        if since is None or until is None:
            yield chosen, "true"
        else:
            start, end = (datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (since, until))
            where = f"created >= '{since}Z' AND created < '{until}Z'"
            yield replace(chosen, since=start, until=end), "true" if name in independent_sql.OF_NOW else where


def compare(mirrored: Mirrored, name: str, chosen: Filter, where: str, sql: str) -> None:
    table = run_report(mirrored.engine, name, chosen)
    known = [column.name for column in table.columns]
    names = independent_sql.COMPARED.get(name, " ".join(known)).split()
    places = [known.index(each) for each in names]
    mirrored.raw.execute(independent_sql.chosen_jobs(where))
    rows = mirrored.raw.execute(sql.replace("{zone}", chosen.zone)).fetchall()
    agree([tuple(row[place] for place in places) for row in table.rows], rows)


def test_the_world_holds_what_is_tricky(mirrored: Mirrored) -> None:
    """Counted by hand from `made_jobs`: 60 jobs, two of them gone, one of those before its end."""
    found = mirrored.raw.execute("SELECT COUNT(*), COUNT(*) FILTER (gone) FROM everything").fetchone()
    assert found == (60, 2)
    outcomes = mirrored.raw.execute("SELECT DISTINCT outcome FROM everything ORDER BY 1").fetchall()
    assert [each for (each,) in outcomes] == ["completed", "failed", "open", "stopped", "vanished"]
    hits = mirrored.raw.execute(
        "SELECT COUNT(*) FILTER (hit), COUNT(*) FILTER (NOT hit) FROM page"
    ).fetchone()
    assert hits is not None and min(hits) > 0


def test_nothing_is_left_out() -> None:
    assert {*independent_sql.REPORTS, "spend"} == set(REPORTS)
    assert (
        set(independent_sql.VIEWS)
        == set(independent_sql.VIEW_COLUMNS)
        == {view.name for view in create.VIEWS}
    )


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("name", independent_sql.REPORTS)
def test_reports_agree_with_the_raw_pages(mirrored: Mirrored, name: str, zone: str) -> None:
    for chosen, where in ranges(Filter(NOW, zone=zone), name):
        compare(mirrored, name, chosen, where, independent_sql.REPORTS[name])


@pytest.mark.parametrize("name", sorted(set(independent_sql.REPORTS) - independent_sql.OF_NO_MODEL))
def test_reports_of_some_models_and_statuses_agree(mirrored: Mirrored, name: str) -> None:
    chosen = Filter(NOW, zone="America/New_York", models=("sora-2", "veo_3"))
    for some, where in ranges(chosen, name):
        compare(
            mirrored, name, some, f"{where} AND model IN ('sora-2', 'veo_3')", independent_sql.REPORTS[name]
        )
        ended = replace(some, statuses=("completed", "failed"))
        also = f"{where} AND model IN ('sora-2', 'veo_3') AND status IN ('completed', 'failed')"
        compare(mirrored, name, ended, also, independent_sql.REPORTS[name])


@pytest.mark.parametrize(("by", "zone"), SPENDING)
def test_spend_agrees_with_pages_and_log(mirrored: Mirrored, by: str, zone: str) -> None:
    for chosen, where in ranges(Filter(NOW, zone=zone, by=by)):
        compare(
            mirrored, "spend", chosen, where, independent_sql.spend_sql([BY[name] for name in by.split(",")])
        )


@pytest.mark.parametrize(("by", "zone"), GROUPING)
@pytest.mark.parametrize("name", sorted(set(GROUPED) - {"spend"}))
def test_what_by_adds_up_agrees_with_pages_and_log(mirrored: Mirrored, name: str, by: str, zone: str) -> None:
    for chosen, where in ranges(Filter(NOW, zone=zone, by=by)):
        keys = [BY[key] for key in by.split(",")]
        compare(mirrored, name, chosen, where, independent_sql.grouped_sql(name, keys))


@pytest.mark.parametrize(("by", "zone"), GROUPING)
def test_without_a_log_the_same_is_true(unlogged: Mirrored, by: str, zone: str) -> None:
    keys = [BY[key] for key in by.split(",")]
    for chosen, where in ranges(Filter(NOW, zone=zone, by=by)):
        compare(unlogged, "spend", chosen, where, independent_sql.spend_sql(keys))
        for name in set(GROUPED) - {"spend"}:
            compare(unlogged, name, chosen, where, independent_sql.grouped_sql(name, keys))


@pytest.mark.parametrize("name", independent_sql.VIEWS)
def test_views_agree_with_the_raw_pages(mirrored: Mirrored, name: str) -> None:
    kinds = {c.name: c.kind for view in create.VIEWS if view.name == name for c in view.columns}
    names = independent_sql.VIEW_COLUMNS[name].split()
    with mirrored.engine.connect() as conn:
        rows = conn.execute(sa.text(f"SELECT {', '.join(names)} FROM {name}")).fetchall()
    ours: list[tuple[Any, ...]] = [
        tuple(convert_value(kinds[n], v) for n, v in zip(names, row, strict=True)) for row in rows
    ]
    mirrored.raw.execute(independent_sql.chosen_jobs("true"))
    agree(ours, mirrored.raw.execute(independent_sql.VIEWS[name]).fetchall())
