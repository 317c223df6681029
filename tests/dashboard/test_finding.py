"""Finding jobs: by a part of an id, by words of a prompt, and by sorting."""

from __future__ import annotations

import re
from urllib.parse import quote

import pytest

from tests.dashboard.site import Site, text
from tests.support.rig import Rig


def _ids(page: str) -> list[str]:
    return re.findall(r'class="k-id[^>]*><a href="/job\?id=([^"&]+)', page)


def test_an_id_without_its_provider_opens_the_job(site: Site, ids: dict[str, str]):
    bare, _, provider = ids["script"].rpartition(":")
    assert provider
    answer = site.get(f"/job?id={bare}")
    assert answer.status == 200 and ids["script"] in answer.text


def test_the_beginning_of_one_id_opens_it_and_of_many_lists_them(site: Site):
    every = [row["job_id"] for row in site.get("/jobs.json?since=all").json["tables"]["jobs"]["rows"]]
    one = next(name for name in every if sum(name[:20] == other[:20] for other in every) == 1)
    assert one in site.get(f"/job?id={one[:20]}").text
    answer = site.get("/job?id=video_")
    assert answer.status == 303
    listed = site.get(answer.headers["Location"])
    assert listed.status == 200 and "id or prompt: video_" in text(listed.text)


def test_words_of_a_prompt_find_its_jobs(site: Site, ids: dict[str, str]):
    answer = site.get(f"/job?id={quote('ODD model')}")
    assert answer.status == 303
    assert _ids(site.get(answer.headers["Location"]).text) == [quote(ids["model"], safe="")]


@pytest.mark.parametrize("wild", ["%", "_", "!", "%%odd", "\\"])
def test_what_is_searched_is_taken_literally(site: Site, wild: str):
    found = site.get(f"/jobs.json?since=all&text={quote(wild)}").json["tables"]["jobs"]["rows"]
    assert all(wild in (row["prompt"] or "") or row["job_id"].startswith(wild) for row in found)


@pytest.mark.parametrize(
    "name", ["created_at", "cost", "total_seconds", "source", "status", "size", "seconds"]
)
@pytest.mark.parametrize("sign", ["", "-"])
def test_jobs_come_in_the_order_of_any_column(site: Site, name: str, sign: str):
    rows = site.get(f"/jobs.json?since=all&sort={sign}{name}").json["tables"]["jobs"]["rows"]
    values = [row[name] for row in rows]
    known = [float(v) if name == "cost" else v for v in values if v is not None]
    assert values[len(known) :] == [None] * (len(values) - len(known)), "unknown ones last"
    assert known == sorted(known, reverse=bool(sign)) and len(set(known)) > (name != "source")


def test_a_heading_sorts_and_a_second_click_turns_it_around(site: Site):
    page = site.get("/tables/models?since=all").text
    first = re.search(r'<a href="(/tables/models\?[^"]*sort=-jobs[^"]*)">jobs', page)
    assert first is not None
    once = site.get(first[1].replace("&amp;", "&")).text
    assert 'aria-sort="descending"' in once
    assert re.search(r'href="/tables/models\?[^"]*sort=jobs', once)
    counts = [
        row["jobs"]
        for row in site.get("/tables/models.json?since=all&sort=jobs").json["tables"]["models"]["rows"]
    ]
    assert counts == sorted(counts)


@pytest.mark.parametrize("path", ["/jobs?sort=prompt", "/tables/models?sort=nothing", "/tables/runs?sort=-x"])
def test_a_column_that_is_not_there_is_named(site: Site, path: str):
    answer = site.get(path)
    assert answer.status == 400 and "One of: " in text(answer.text)


def test_old_addresses_still_sort(site: Site, made: Rig):
    assert "greatest first" in text(site.get("/jobs?since=all&sort=slowest").text)
