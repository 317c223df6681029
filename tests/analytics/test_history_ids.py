"""Which job an id that somebody types stands for: ids that differ in case, accents or length are different
jobs on every database."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from etl.analytics.history import UnknownJob, read_history
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
    Writer(engine, add_source(engine, "a")).step(new=len(IDS), changes=0)
    with write_transaction(engine) as conn:
        stored = conn.scalars(sa.text("SELECT job_id FROM video_jobs ORDER BY job_id")).all()
        for old, new in zip(stored, IDS, strict=True):
            for table in ("video_jobs", "video_job_versions"):
                conn.execute(
                    sa.text(f"UPDATE {table} SET job_id = :new WHERE job_id = :old"),
                    {"old": old, "new": new},
                )
    return engine


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
