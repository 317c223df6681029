"""Many jobs at once: every text and time arrives as it is, and each new job gets its one first version."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import pytest
import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.load.lookup import known_jobs
from etl.load.state import register_source
from etl.load.upsert import JobWriter, Seen
from etl.records import TRACKED, Counts, JobRow
from etl.schema.tables import leases, sync_runs, video_job_versions, video_jobs

_NOW = datetime(2026, 3, 4, 5, 6, 7, 890123, tzinfo=UTC)
_WHOLE = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)
_TEXTS = {
    "quotes": """'single' "double" `back` ''twice'' ""twice"" """,
    "backslashes": r"\ \\ \\\ \n \t \N \. \' \" \u0041 \x41 \0 C:\new\table",
    "a backslash at the end": "end\\",
    "lines": "one\ntwo\r\nthree\rfour\u2028five\u2029six\x0bseven\x0ceight",
    "controls": "".join(map(chr, range(1, 32))) + "\x7f",
    "what means null somewhere": "null",
    "what means null elsewhere": "None",
    "the end of a COPY": "\\.",
    "a row's end": '"],["],\n["),(',
    "a placeholder": "%s %(name)s %% ? :name {0} $1",
    "tabs and commas": "\t,\t;,",
    "nothing": "",
    "blank": "  ",
    "other alphabets": "Łódź 東京 שלום 🎬👩‍👩‍👧 \U0010ffff \ufeff",
    "a comment": "-- /* x */ # y; DROP TABLE video_jobs",
}


@pytest.fixture
def run(engine: sa.Engine) -> int:
    with write_transaction(engine) as conn:
        source = register_source(conn, "main", "http://x", "openai", None, _NOW)
        row = {"source_id": source, "kind": "first", "status": "running", "started_at": _NOW}
        key = conn.execute(sa.insert(sync_runs), row).inserted_primary_key
    assert key is not None
    return int(key[0])


def _job(key: str, prompt: str | None, **more: object) -> JobRow:
    row = dict.fromkeys(JobRow._fields) | {"job_id": key, "status": "queued", "settled": False}
    return JobRow(**(row | {"content_hash": "x" * 32, "prompt": prompt} | more))  # type: ignore[arg-type]


def _write(engine: sa.Engine, run: int, seen: Sequence[Seen]) -> Counts:
    counts = Counts()
    with write_transaction(engine) as conn:
        source = conn.scalar(sa.select(leases.c.source_id))
        JobWriter(conn, source, run).write(seen, counts)
    return counts


def _stored(engine: sa.Engine, table: sa.Table, *names: str) -> list[tuple[object, ...]]:
    with engine.connect() as conn:
        rows = conn.execute(sa.select(*(table.c[name] for name in names)).order_by(table.c.job_id))
        return [tuple(row) for row in rows]


def test_texts_and_numbers_arrive_as_they_are(engine: sa.Engine, run: int) -> None:
    jobs = [
        _job(f"id {name}", text, error_message=text, model=text, extra='{"a": "\\n\\"\\\\"}')
        for name, text in _TEXTS.items()
    ]
    numbers = {"progress": 33.3333333333, "seconds": 1e-7, "width": 2**31 - 1, "height": 0}
    jobs += [_job("numbers", None, **numbers, settled=True), _job("nulls", None)]
    times = {"created_at": _NOW, "completed_at": _WHOLE, "expires_at": _NOW.replace(microsecond=1)}
    jobs.append(_job("times", None, **times))
    _write(engine, run, [Seen(job, place * 10, _NOW, None) for place, job in enumerate(jobs)])

    wanted = sorted((tuple(getattr(job, name) for name in ("job_id", *TRACKED)) for job in jobs), key=str)
    for table in (video_jobs, video_job_versions):
        assert sorted(_comparable(_stored(engine, table, "job_id", *TRACKED)), key=str) == wanted
    settled = dict(_stored(engine, video_jobs, "job_id", "settled"))
    assert [key for key, done in settled.items() if done] == ["numbers"]


def _comparable(rows: list[tuple[object, ...]]) -> Iterator[tuple[object, ...]]:
    """JSON comes back with the spacing that the database likes."""
    for row in rows:
        yield (*row[:-1], None if row[-1] is None else '{"a": "\\n\\"\\\\"}')


def test_a_first_version_each_also_amid_others(engine: sa.Engine, run: int) -> None:
    batches = ([10, 30, 50], [20, 40, 60], [5], [45, 70], [100, 90, 80])
    for batch in batches:
        counts = _write(engine, run, [Seen(_job(f"job {p:03}", "x"), p, _NOW, None) for p in batch])
        assert counts.jobs_inserted == len(batch)
    names = [f"job {place:03}" for place in sorted(place for batch in batches for place in batch)]
    assert _stored(engine, video_job_versions, "job_id", "version", "op", "valid_from") == [
        (name, 1, "insert", _NOW) for name in names
    ]


def test_thousands_arrive_as_they_are(engine: sa.Engine, run: int) -> None:
    texts = [text or None for text in _TEXTS.values()]
    jobs = [_job(f"{n:05}", texts[n % len(texts)], progress=None if n % 3 else n / 7) for n in range(1207)]
    counts = _write(engine, run, [Seen(job, n, _NOW, None) for n, job in enumerate(jobs)])
    assert counts.jobs_inserted == 1207
    for table in (video_jobs, video_job_versions):
        stored = _stored(engine, table, "job_id", "prompt", "progress")
        assert stored == [(job.job_id, job.prompt, job.progress) for job in jobs]


def test_changed_texts_and_numbers_arrive_as_they_are(engine: sa.Engine, run: int) -> None:
    """Changes go to the servers many in one statement: as JSON, or as literals."""
    texts = [text or None for text in _TEXTS.values()]
    before = [_job(f"{n:03} {next(iter(_TEXTS))}", "before", progress=1.0) for n in range(703)]
    _write(engine, run, [Seen(job, n, _NOW, None) for n, job in enumerate(before)])
    after = [
        job._replace(
            prompt=texts[n % len(texts)],
            error_message=texts[-n % len(texts)],
            progress=None if n % 3 else n / 7,
            seconds=(1e-7, 33.3333333333, 12.0, None)[n % 4],
            width=None if n % 2 else 2**31 - 1,
            completed_at=_WHOLE if n % 2 else None,
            created_at=_NOW.replace(microsecond=n),
            extra='{"a": "\\n\\"\\\\"}' if n % 2 else None,
            settled=bool(n % 2),
            content_hash="y" * 32,
        )
        for n, job in enumerate(before)
    ]
    with engine.connect() as conn:
        known = known_jobs(conn, 1, [job.job_id for job in before])
    seen = [Seen(job, n, _NOW, known[job.job_id]) for n, job in enumerate(after)]
    assert _write(engine, run, seen).jobs_updated == 703
    stored = list(_comparable(_stored(engine, video_jobs, "job_id", "settled", "version", *TRACKED)))
    assert stored == [(j.job_id, j.settled, 2, *(getattr(j, name) for name in TRACKED)) for j in after]


def test_progress_and_places_change_alone(engine: sa.Engine, run: int) -> None:
    before = [_job(f"{n:03}", "x", progress=1.0) for n in range(120)]
    _write(engine, run, [Seen(job, n, _NOW, None) for n, job in enumerate(before)])
    with engine.connect() as conn:
        known = known_jobs(conn, 1, [job.job_id for job in before])
    after = [job._replace(progress=n / 7 if n else None) for n, job in enumerate(before)]
    _write(engine, run, [Seen(job, 10 * n + 5, _NOW, known[job.job_id]) for n, job in enumerate(after)])
    stored = _stored(engine, video_jobs, "job_id", "progress", "list_position", "version")
    assert stored == [(f"{n:03}", n / 7 if n else None, 10 * n + 5, 1) for n in range(120)]
