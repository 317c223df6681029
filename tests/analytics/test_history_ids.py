"""Which job an id that somebody types stands for: ids that differ in case, accents or length are different
jobs on every database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from etl.analytics.history import NEAREST, UnknownJob, read_history
from etl.db.engine import write_transaction
from tests.support.feed_history import Writer, add_source

IDS = [
    "video_abc:openai",
    "video_ABC:openai",
    "video_abcd:azure",
    "VIDEO_abc:openai",
    "video_äbc:openai",
    "run_100%",
]


@pytest.fixture
def engine_with_ids(engine: sa.Engine) -> sa.Engine:
    rename_jobs(engine, IDS)
    return engine


def rename_jobs(engine: sa.Engine, ids: list[str]) -> None:
    Writer(engine, add_source(engine, "a")).step(new=len(ids), changes=0)
    with write_transaction(engine) as conn:
        stored = conn.scalars(sa.text("SELECT job_id FROM video_jobs ORDER BY job_id")).all()
        for old, new in zip(stored, ids, strict=True):
            for table in ("video_jobs", "video_job_versions"):
                conn.execute(
                    sa.text(f"UPDATE {table} SET job_id = :new WHERE job_id = :old"),
                    {"old": old, "new": new},
                )


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("video_abc:openai", "video_abc:openai"),
        ("video_abc", "video_abc:openai"),
        ("video_ABC", "video_ABC:openai"),
        ("video_abcd", "video_abcd:azure"),
        ("VIDEO_", "VIDEO_abc:openai"),
        ("video_ä", "video_äbc:openai"),
        ("run_10", "run_100%"),
        ("video_abc:", "video_abc:openai"),
    ],
)
def test_an_id_that_lacks_its_end_means_one_job(engine_with_ids: sa.Engine, typed: str, meant: str) -> None:
    [found] = read_history(engine_with_ids, typed)
    assert (found.job_id, len(found.versions)) == (meant, 1)


@pytest.mark.parametrize(
    "typed", ["video_", "video", "VIDEO", "video_a", "run_1", "video_abc%", "_ideo_abc", ""]
)
def test_what_may_mean_several_jobs_or_none_is_unknown(engine_with_ids: sa.Engine, typed: str) -> None:
    with pytest.raises(UnknownJob):
        read_history(engine_with_ids, typed)


def test_a_beginning_that_several_ids_have_says_so(engine: sa.Engine) -> None:
    """Ids beside them in the order look likelier to a comparison of texts, and do not begin so."""
    ids = [f"video_6b09{n:02x}aa:openai" for n in range(12)] + ["video_6b08f:openai", "video_6b0a:openai"]
    rename_jobs(engine, ids)
    with pytest.raises(UnknownJob, match="12 jobs begin with 'video_6b09'") as refused:
        read_history(engine, "video_6b09")
    assert refused.value.nearest == tuple(ids[:NEAREST])
    assert refused.value.hint is not None and "more of the id" in refused.value.hint


def test_an_id_as_the_provider_writes_it(engine: sa.Engine) -> None:
    rename_jobs(engine, ["gen%2Fvideo_889fd4:runway", "a%2Bb%20c%3Ad:runway"])
    for typed in ("gen/video_889fd4:runway", "gen/video_889fd4", "gen/video_8", "gen%2Fvideo_889fd4"):
        assert [job.job_id for job in read_history(engine, typed)] == ["gen%2Fvideo_889fd4:runway"]
    assert [job.job_id for job in read_history(engine, "a+b c:d")] == ["a%2Bb%20c%3Ad:runway"]
