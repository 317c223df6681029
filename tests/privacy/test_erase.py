"""A person asks to be forgotten: no table holds their words any more, and no total has changed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.queries import run_report
from etl.load.erase import count_texts, erase_jobs
from etl.load.erase_selection import ErasureSelection
from etl.schema.tables import metadata
from tests.reliability.raw_gateway import Ask, RawGateway, answer, job, page
from tests.support.rig import Rig

WORDS = "Anna Zebraquux paints the Größe of 77 moons"
AT = datetime(2026, 3, 1, tzinfo=UTC)


class _Address:
    def __init__(self, base_url: str) -> None:
        self.base_url, self.requests = base_url, []
        self.world = type("World", (), {"provider": "openai", "now": staticmethod(lambda: 1_767_100_000.0)})


def nested(depth: int) -> list[Any]:
    """Deeper than anybody reads: the item is rejected, its id is known."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def listed() -> list[Any]:
    """Four jobs of the person's, an item of theirs that cannot be understood, and two of other people's."""
    anna = {"prompt": WORDS, "revised_prompt": f"{WORDS}, at night", "usage": {"note": WORDS}}
    refused = {"status": "failed", "error": {"code": "moderation", "message": f"refused: '{WORDS}'"}}
    return [
        job(1, **anna),
        job(2, **anna, status="in_progress", progress=10),
        job(3, **anna, **refused),
        job(4, prompt=WORDS, layers=nested(200)),
        job(5, prompt="somebody else's"),
        job(6, prompt="somebody else's", status="in_progress"),
    ]


@pytest.fixture
def told(migrated_url: str) -> Iterator[tuple[Rig, list[Any]]]:
    """A synced source whose gateway goes on listing `jobs`, which a test may change."""
    jobs = listed()

    def reply(ask: Ask) -> bytes:
        if ask.path != "/v1/videos":
            return answer(json.dumps(next(j for j in jobs if ask.path.endswith(j["id"]))).encode())
        raw = json.dumps({"data": jobs})
        return answer(page(ask.listed(jobs), extra_fields={"raw_response": raw}))

    with RawGateway(reply) as gateway:
        rig = Rig(_Address(gateway.base_url), migrated_url, prompts="store", raw_payloads="store")  # type: ignore[arg-type]
        with rig.app:
            rig.ok()
            yield rig, jobs


def said(rig: Rig) -> list[str]:
    """The tables in which a word of hers still stands."""
    found = []
    with rig.app.engine.connect() as conn:
        for table in metadata.tables.values():
            values = [value for row in conn.execute(sa.select(table)) for value in row]
            texts = [v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for v in values]
            if any("zebraquux" in text.casefold() for text in texts):
                found.append(str(table.name))
    return sorted(found)


def totals(rig: Rig) -> list[Any]:
    with rig.app.engine.connect() as conn:
        tables = ("daily_totals", "duration_totals")
        rows = [sorted(map(str, conn.execute(sa.select(metadata.tables[name])))) for name in tables]
    reports = [
        run_report(rig.app.engine, name, Filter(datetime.now(UTC))).rows
        for name in ("totals", "spend", "models")
    ]
    return [rows, reports]


def test_her_words_are_in_no_table_and_no_total_has_changed(told: tuple[Rig, list[Any]]) -> None:
    rig, _ = told
    assert said(rig) == ["list_pages", "rejected_items", "video_job_versions", "video_jobs"]
    before, chosen = totals(rig), ErasureSelection(words=("ZEBRAQUUX",))
    counted = count_texts(rig.app.engine, chosen)
    assert len(said(rig)) == 4  # counting changes nothing
    done = erase_jobs(rig.app.engine, chosen, at=AT, reason="asked by letter")
    assert counted == done
    assert (done.jobs, done.video_jobs, done.video_job_versions, done.rejected_items) == (4, 3, 3, 1)
    assert done.list_pages >= 1
    assert said(rig) == []
    assert totals(rig) == before
    others = {row["prompt"] for row in rig.rows("video_jobs") if row["erased_at"] is None}
    assert others == {"somebody else's"}
    log = rig.rows("erasures")
    assert [(row["selected_by"], row["reason"]) for row in log] == [("--prompt-match", "asked by letter")] * 4


def test_syncs_do_not_bring_it_back(told: tuple[Rig, list[Any]]) -> None:
    """The gateway still lists the prompt: with an old state, with a new one, as an item that cannot be read,
    in a raw answer, and as a job that was not stored when its item was erased."""
    rig, jobs = told
    erase_jobs(rig.app.engine, ErasureSelection(words=("zebraquux",)), at=AT)
    rig.ok()
    jobs[1] |= {"status": "failed", "error": {"code": "x", "message": f"no '{WORDS}'"}, "progress": 60}
    jobs[3] |= {"layers": nested(300)}
    rig.ok()
    assert said(rig) == []
    assert rig.jobs()["video_00002:openai"]["status"] == "failed"
    jobs[3] = job(4, prompt=WORDS)
    assert rig.reconcile(accept_suspicious=True).error is None
    assert said(rig) == []


def test_the_feed_is_told(told: tuple[Rig, list[Any]]) -> None:
    """A version after all others; what stands in it is how the job is, listed or not."""
    rig, _ = told
    last = max(row["change_seq"] for row in rig.rows("video_job_versions"))
    erase_jobs(rig.app.engine, ErasureSelection(jobs=("video_00001:openai",)), at=AT)
    told_now = [row for row in rig.rows("video_job_versions") if row["change_seq"] > last]
    assert [(row["job_id"], row["op"], row["version"]) for row in told_now] == [
        ("video_00001:openai", "erase", 2)
    ]
    assert json.loads(told_now[0]["changed_fields"]) == ["prompt", "extra"]
    assert told_now[0]["valid_from"] >= rig.jobs()["video_00001:openai"]["first_seen_at"] - timedelta(0)
    erase_jobs(rig.app.engine, ErasureSelection(jobs=("video_00001:openai",)), at=AT)  # again: nothing more
    assert len(rig.rows("video_job_versions")) == len(told_now) + last
    assert "video_00002:openai" in str(rig.rows("video_jobs", prompt=WORDS))


def test_every_option_narrows(told: tuple[Rig, list[Any]]) -> None:
    rig, _ = told
    engine = rig.app.engine
    assert count_texts(engine, ErasureSelection(sources=(1,))).jobs == 6
    assert count_texts(engine, ErasureSelection(sources=(1,), words=("zebraquux",))).jobs == 4
    assert count_texts(engine, ErasureSelection(jobs=("video_00005:openai",), words=("zebraquux",))).jobs == 0
    assert count_texts(engine, ErasureSelection(owners={"virtual_key": ("vk",)})).jobs == 0
    assert count_texts(engine, ErasureSelection()).jobs == 0
