"""The dashboard over HTTP: its pages, files and filters, and what is said when something is missing."""

from __future__ import annotations

import csv
import html
import io
import re
from typing import Any
from urllib.parse import parse_qs, parse_qsl, quote, urlencode, urlsplit

import pytest

from etl.analytics import jobs
from etl.analytics.reports import REPORTS
from etl.analytics.run_log import LOGS
from etl.web.cache import Cache
from etl.web.dashboard.table_specs import TABLE_SPECS
from etl.web.login import own_address
from tests.dashboard.site import HOSTILE, TABLES, TOKEN, Site, known, secret, text
from tests.support.rig import Rig


def counted(page: str) -> int:
    found = re.search(r"of ([\d,]+)", page)
    return int(found[1].replace(",", "")) if found else 0


def rows(page: str) -> int:
    return page.partition("<tbody>")[2].count("<tr")


def test_every_report_and_log_has_a_page():
    assert {*REPORTS, *LOGS} - {"totals"} <= set(TABLE_SPECS)


@pytest.mark.parametrize("path", ["/", "/jobs", "/nothing", *(f"/tables/{name}" for name in TABLES)])
def test_pages_load_nothing_from_elsewhere_and_run_nothing_of_a_page(site: Site, path: str):
    status, page, headers = site.get(path)
    assert status == (404 if path == "/nothing" else 200)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
    assert headers["Cache-Control"] == "no-store" and headers["X-Content-Type-Options"] == "nosniff"
    assert not re.search(
        r"<script(?! src=\"/static/)|<style|\sstyle=|\son\w+=|https?://",
        re.sub(r"<(t[dh]|pre|bdi)\b.*?</\1>", "", page, flags=re.S),
    )
    assert "UTC" in page or path == "/nothing", "it says whose days they are"


def test_static_files_may_be_kept(site: Site):
    page = site.get("/").text
    for address in set(re.findall(r"\"(/static/[^\"]+)\"", page)):
        answer = site.get(address)
        assert answer.status == 200 and "immutable" in answer.headers["Cache-Control"]


# --- filters -----------------------------------------------------------------------------------

MINE = {"since": "all"}


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({}, lambda job: True),
        ({"model": "sora-2"}, lambda job: job["model"] == "sora-2"),
        ({"model": ["sora-2", "sora-2-pro"]}, lambda job: job["model"] in ("sora-2", "sora-2-pro")),
        ({"status": ["failed", "queued"]}, lambda job: job["status"] in ("failed", "queued")),
        ({"provider": "openai"}, lambda job: job["provider"] == "openai"),
        ({"provider": "azure"}, lambda job: False),
        ({"source": "main", "status": "completed"}, lambda job: job["status"] == "completed"),
        ({"failure": "moderation"}, lambda job: job["error_code"] == "moderation_blocked"),
        ({"code": "internal_error"}, lambda job: job["error_code"] == "internal_error"),
        ({"only": "open"}, lambda job: not job["settled"]),
        ({"only": "stalled"}, lambda job: not job["settled"] and job["hours"] > 1),
        ({"slower": "200"}, lambda job: job["status"] == "completed" and job["took"] >= 200),
        ({"sort": "slowest"}, lambda job: job["status"] == "completed"),
        ({"since": "2d"}, lambda job: job["hours"] <= 48),
        ({"since": "3d", "until": "1d"}, lambda job: 24 < job["hours"] <= 72),
    ],
)
def test_the_address_filters(site: Site, made: Rig, asked: dict[str, Any], wanted: Any):
    expected = sum(bool(wanted(known(made, job))) for job in made.jobs().values())
    query = urlencode(MINE | asked, doseq=True)
    assert counted(text(site.get(f"/jobs?{query}").text)) == expected
    assert len(site.get(f"/jobs.json?{query}").json["tables"]["jobs"]["rows"]) == expected
    lines = list(csv.reader(io.StringIO(site.get(f"/jobs.csv?{query}").text)))
    assert len(lines) == expected + 1 and {len(line) for line in lines} == {len(lines[0])}


def test_links_carry_the_filters_along(site: Site):
    asked = {"since": "3d", "model": "sora-2", "status": "failed"}
    page = site.get(f"/?{urlencode(asked)}").text
    addresses = [html.unescape(found) for found in re.findall(r'href="(/[^"]*)"', page)]
    pages = [
        urlsplit(address) for address in addresses if re.match(r"/(jobs|tables/\w+)?(\.\w+)?\?", address)
    ]
    assert len(pages) > 40
    for found in pages:
        assert parse_qs(found.query).get("status") and "model" in parse_qs(found.query), found
    nav = [
        urlsplit(html.unescape(a))
        for a in re.findall(r'href="([^"]*)"', page.partition("<nav")[2].partition("</nav>")[0])
    ]
    assert nav and all(dict(parse_qsl(link.query)) == asked for link in nav)


def test_every_bar_leads_to_as_many_jobs_as_it_counts(site: Site):
    for since in ("80h", "20h"):
        chart = site.get(f"/?since={since}").text.partition("<figure")[2].partition("</figure>")[0]
        bars = re.findall(r'href="([^"]+)"[^>]*data-says="([^"]+)"', chart)
        assert len(bars) == {"80h": 5, "20h": 21}[since]
        for address, said in bars[:1] + bars[-4:]:
            total = sum(int(n) for n in re.findall(r"(\d+) (?:completed|failed|unfinished)", said))
            assert counted(text(site.get(html.unescape(address)).text)) == total, said


def test_pages_of_jobs(site: Site):
    first, last = (site.get(f"/jobs?since=all&page={n}").text for n in (1, 99))
    assert 'rel="next"' in first and 'rel="prev"' not in first and rows(first) == 50
    assert 'rel="prev"' in last and 'rel="next"' not in last and 0 < rows(last) < 50


@pytest.mark.parametrize(
    "query",
    ["since=yesteryear", "since=2026-01-02&until=2026-01-01", "only=nonsense", "slower=fast", "slower=nan"],
)
def test_what_cannot_be_meant_is_said(site: Site, query: str):
    status, page, _ = site.get(f"/jobs?{query}")
    assert status == 400 and 'class="panel notice"' in page


def test_addresses_that_lead_nowhere(site: Site):
    for path in (
        "/nothing",
        "/tables/nothing",
        "/job?id=nothing",
        "/tables/tree?id=nothing",
        "/jobs.xls",
        "/tables/runs.exe",
        "/part/nothing",
    ):
        answer = site.get(path)
        assert answer.status == 404 and "Traceback" not in answer.text
    assert "Nearest: <a href" in site.get("/job?id=video_0").text
    assert site.get("/job").status == 400


# --- files -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", TABLES)
def test_every_table_is_a_file(site: Site, name: str):
    whole = site.get(f"/tables/{name}.json?since=all").json["tables"][name]
    answer = site.get(f"/tables/{name}.csv?since=all")
    lines = list(csv.reader(io.StringIO(answer.text)))
    names = [column["name"] for column in whole["columns"]]
    assert lines[0] in (names, [*names, "currency"])  # of money whose currency no column tells
    assert len(lines) == len(whole["rows"]) + 1
    assert f'filename="{name}.csv"' in answer.headers["Content-Disposition"]


def test_a_spreadsheet_runs_nothing(site: Site, ids: dict[str, str]):
    lines = csv.DictReader(io.StringIO(site.get("/jobs.csv?since=all").text))
    found = {line["job_id"]: line["prompt"] for line in lines}
    assert found[ids["formula"]] == "'" + HOSTILE["formula"]
    whole = site.get("/jobs.json?since=all").json["tables"]["jobs"]["rows"]
    assert {row["job_id"]: row["prompt"] for row in whole}[ids["formula"]] == HOSTILE["formula"]


def test_one_job_as_a_file(site: Site, ids: dict[str, str]):
    [job] = site.get(f"/job.json?id={quote(ids['large'])}").json["jobs"]
    assert job["now"]["prompt"] == HOSTILE["large"] and job["versions"][0]["op"] == "insert"


# --- who may look ------------------------------------------------------------------------------


def test_pages_ask_for_the_token_and_the_name(site: Site, made: Rig):
    guarded = Site(made.app, made.now, host="0.0.0.0", allow_remote=True, token=secret())
    with guarded.server:
        for path in ("/", "/jobs.csv", "/part/open", "/static/style.css", "/nothing"):
            assert guarded.get(path).status == 401
            assert guarded.get(path, Authorization=f"Bearer {TOKEN}").status in (200, 404)
        sent = guarded.get("/jobs?model=a%26b", Accept="text/html")
        assert (sent.status, sent.headers["Location"]) == (
            303,
            f"/login?next={quote('/jobs?model=a%26b', safe='')}",
        )
        form = guarded.get(sent.headers["Location"])
        assert "unsafe" not in form.headers["Content-Security-Policy"] and "password" in form.text
    assert site.get("/", Host="evil.example").status == 421


@pytest.mark.parametrize(
    "elsewhere",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "javascript:alert(1)",
        "/a\r\nb",
        "",
        "jobs",
    ],
)
def test_signing_in_sends_nobody_elsewhere(elsewhere: str):
    assert own_address(elsewhere) == "/"
    assert own_address("/jobs?model=a#b") == "/jobs?model=a#b"


def test_a_slow_list_of_jobs_is_read_once_for_all_who_ask(site: Site, monkeypatch: pytest.MonkeyPatch):
    """On 100,000 jobs the slowest of them cost two seconds of the database for each look."""
    asked: list[tuple[int, int]] = []
    real = jobs.list_jobs

    def listed(engine: Any, choice: Any, offset: int, limit: int) -> Any:
        asked.append((offset, limit))
        return real(engine, choice, offset, limit)

    monkeypatch.setattr(jobs, "list_jobs", listed)
    monkeypatch.setattr(Cache, "_seconds_to_keep", lambda cache, took: 3600.0)
    pages = {site.get("/jobs?since=all&sort=slowest").text for _ in range(3)}
    assert len(asked) == 1 and len({rows(page) for page in pages}) == 1
    site.get("/jobs?since=all&sort=cost")
    assert len(asked) == 2
