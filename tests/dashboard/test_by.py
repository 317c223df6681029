"""Tables added up by what somebody chooses, their chart over time, and the lines under them."""

from __future__ import annotations

import re

import pytest

from etl.analytics.grouped import GROUPED
from etl.analytics.spend import BY
from etl.web.dashboard.filters import PageQuery
from tests.dashboard.site import Site


@pytest.mark.parametrize("name", GROUPED)
def test_each_dimension_has_a_page_and_a_file_with_the_same_rows(site: Site, name: str):
    for by in ("model", "week", "status", "virtual_key", "day,model"):
        status, page, _ = site.get(f"/tables/{name}?since=all&by={by}")
        assert status == 200, (name, by)
        rows = site.get(f"/tables/{name}.json?since=all&by={by}").json["tables"][name]["rows"]
        assert page.partition("<tbody>")[2].partition("</tbody>")[0].count("<tr") == len(rows)
    assert page.count("<nav") == 2 and all(f"by={one}" in page for one in BY)


def test_an_unknown_dimension_is_said(site: Site):
    answer = site.get("/tables/cost?by=weather")
    assert answer.status == 400 and ", ".join(BY) in answer.text


def test_cost_over_time_is_stacked_by_model(site: Site):
    page = site.get("/tables/cost?since=all").text
    assert "Cost by model, USD" in page and 'class="key p-s0"' in page
    assert "Cost by source, USD" in site.get("/tables/cost?since=all&by=source,week").text


def test_the_sum_is_that_of_the_rows(site: Site):
    found = site.get("/tables/totals.json?since=all&by=model").json["tables"]["totals"]
    assert found["totals"][0]["jobs"] == sum(row["jobs"] for row in found["rows"])
    foot = site.get("/tables/totals?since=all&by=model").text.partition("<tfoot>")[2].partition("</tfoot>")[0]
    assert "total" in foot and f"{found['totals'][0]['jobs']:,}" in re.sub(r"<[^>]+>", " ", foot)


def test_other_pages_forget_what_a_table_is_added_up_by():
    query = PageQuery(by="team")
    assert "by=team" in query.url("/tables/spend") and "by=team" in query.url("/tables/cost.csv")
    assert "by=" not in query.url("/jobs") + query.url("/") + query.url("/tables/daily")


def test_owners_lead_to_no_list_that_holds_others_jobs(site: Site):
    page = site.get("/tables/totals?since=all&by=team").text.partition("<tbody>")[2]
    assert "/jobs" not in page.partition("</tbody>")[0]
    assert "until=" in site.get("/tables/totals?since=all&by=week").text.partition("<tbody>")[2]


def test_spend_without_owners_says_where_they_stand(site: Site):
    assert "read_logs: true" in site.get("/tables/spend?since=all").text
    assert "read_logs: true" in site.get("/tables/cost?since=all&by=model,team").text
    assert "read_logs" not in site.get("/tables/spend?since=all&by=model").text
