"""Pages for the tests of transform, and what every row must keep to."""

from __future__ import annotations

import json
import re
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any

from etl.records import JobRow, PageRequest, PageRows, RawPage
from etl.transform import Options, transform_page

NOW = datetime(2026, 4, 1, 12, tzinfo=UTC)
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
BINDABLE = (str, bytes, bool, int, float, datetime, type(None))


def page(*items: bytes, extra_fields: Any = None, **more: Any) -> RawPage:
    raw = extra_fields if isinstance(extra_fields, bytes | None) else json.dumps(extra_fields).encode()
    return RawPage(PageRequest(), items, None, None, None, raw, NOW, **more)


def transform(
    *items: bytes, provider: str | None = None, extra_fields: Any = None, **options: Any
) -> PageRows:
    return transform_page(
        page(*items, extra_fields=extra_fields), Options(**options), source_provider=provider
    )


def row(provider: str | None = None, options: dict[str, Any] | None = None, **job: Any) -> JobRow:
    """The one row of a job with these members (and an id)."""
    raw = json.dumps({"id": "video_1", **job}).encode()
    rows = transform(raw, provider=provider, **(options or {}))
    assert not rows.rejects, rows.rejects
    return rows.jobs[0]


def extra(found: JobRow | None) -> dict[str, Any]:
    assert found is not None
    return json.loads(found.extra or "{}")  # type: ignore[no-any-return]


def assert_sound(rows: PageRows) -> None:
    """Everything is accounted for, and every database can hold every value."""
    assert len(rows.jobs) + rows.duplicates + len(rows.rejects) == len(rows.page.items)
    assert len({job.job_id for job in rows.jobs}) == len(rows.jobs)
    records = [job._asdict() for job in rows.jobs]
    plain: list[Any] = [*rows.rejects, rows.facts, *([rows.cache] if rows.cache else [])]
    for record in plain:
        records.append({f.name: getattr(record, f.name) for f in fields(record)})
    records += [unknown._asdict() for unknown in rows.unknown]
    for record_values in records:
        for name, value in record_values.items():
            assert_storable(name, value)
    for unknown in rows.unknown:
        assert 0 < len(unknown.path) <= 255
        assert unknown.type in {"string", "number", "boolean", "object", "array", "null"}
    for job in rows.jobs:
        assert_job(job)


def assert_storable(name: str, value: Any) -> None:
    assert isinstance(value, BINDABLE), (name, value)
    if isinstance(value, str):
        assert not UNSTORABLE.search(value), (name, value)
        if name == "extra":
            json.loads(value, parse_constant=_no_constant)
            assert "\\u0000" not in value.replace("\\\\", "")
    if isinstance(value, float):
        assert value == value and abs(value) != float("inf"), name
    if isinstance(value, datetime):
        assert value.utcoffset() is not None and 1970 <= value.year <= 9999, name


def _no_constant(name: str) -> None:
    raise AssertionError(f"{name} in JSON")


def assert_job(job: JobRow) -> None:
    assert 0 < len(job.job_id) <= 512
    assert job.status and job.status == job.status.strip()
    assert re.fullmatch("[0-9a-f]{32}", job.content_hash)
    assert job.progress is None or 0 <= job.progress <= 100
    assert (job.width is None) == (job.height is None)
    for length in (job.width, job.height):
        assert length is None or 0 < length < 2**31
    for name in ("provider", "model", "prompt", "size", "error_code", "error_message", "reported_status"):
        assert getattr(job, name) != "", name
