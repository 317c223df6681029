"""Costs as FOCUS rows: what the specification demands of each, and sums equal to the report's."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from etl.analytics.filters import Filter
from etl.analytics.focus import VERSIONS, focus_columns
from etl.analytics.focus_file import export_focus
from etl.analytics.queries import run_report
from etl.analytics.sums import read_amounts
from etl.db.engine import write_transaction
from etl.errors import ConfigError
from etl.schema.tables import job_requests, prices, video_jobs
from tests.support.feed_history import Writer, add_source

NOW = datetime(2026, 4, 15, tzinfo=UTC)
#: Of FOCUS 1.2, feature level Mandatory.
MANDATORY = {
    *("BilledCost", "BillingAccountId", "BillingAccountName", "BillingCurrency", "BillingPeriodEnd"),
    *("BillingPeriodStart", "ChargeCategory", "ChargeClass", "ChargeDescription", "ChargePeriodEnd"),
    *("ChargePeriodStart", "ContractedCost", "EffectiveCost", "InvoiceIssuerName", "ListCost"),
    *("PricingQuantity", "PricingUnit", "ProviderName", "PublisherName", "ServiceCategory", "ServiceName"),
}
NEVER_NULL = MANDATORY - {"ChargeClass", "BillingAccountName", "ChargeDescription"}
#: Model, status, created, seconds, settled cost. A second of dollar costs 0.072 USD, a clip of euro 2 EUR.
JOBS: tuple[tuple[str, str, datetime, float | None, str | None], ...] = (
    ("dollar", "completed", datetime(2024, 2, 29, 23, 59, 59, tzinfo=UTC), 6.0, None),
    ("dollar", "completed", datetime(2026, 3, 29, 0, 30, tzinfo=UTC), 8.5, "0.7"),
    ("dollar", "failed", datetime(2026, 3, 30, tzinfo=UTC), 8.0, "0"),
    ("dollar", "completed", datetime(2026, 12, 31, 12, tzinfo=UTC), 8.0, "-0.25"),
    ("euro", "completed", datetime(2026, 4, 1, tzinfo=UTC), None, None),
    ("euro", "completed", datetime(2026, 4, 2, tzinfo=UTC), 4.0, "2.1"),
    ("mystery", "completed", datetime(2026, 4, 3, tzinfo=UTC), 4.0, None),
    ("dollar", "failed", datetime(2026, 4, 4, tzinfo=UTC), 4.0, None),
    ("=cmd()", "completed", datetime(2026, 4, 5, tzinfo=UTC), None, "0.000001"),
)


@pytest.fixture
def filled(engine: sa.Engine) -> sa.Engine:
    writer = Writer(engine, add_source(engine, "main"))
    writer.step(new=len(JOBS), changes=0)
    with write_transaction(engine) as conn:
        conn.execute(sa.text("DELETE FROM job_requests"))
        conn.execute(sa.delete(prices))
        book = {"provider": "*", "origin": "config", "valid_from": datetime(2020, 1, 1, tzinfo=UTC)}
        for model, price, unit, currency in (
            ("dollar", "0.072", "second", "USD"),
            ("euro", "2", "clip", "EUR"),
        ):
            row = {**book, "model_pattern": model, "price": Decimal(price), "unit": unit}
            conn.execute(sa.insert(prices).values(**row, currency=currency, resolution="*"))
        ids = list(conn.scalars(sa.select(video_jobs.c.job_id).order_by(video_jobs.c.job_id)))
        for number, (job_id, job) in enumerate(zip(ids, JOBS, strict=True)):
            write_job(conn, number, job_id, *job)
    return engine


def write_job(
    conn: sa.Connection,
    number: int,
    job_id: str,
    model: str,
    status: str,
    made: datetime,
    seconds: float | None,
    settled: str | None,
) -> None:
    facts: dict[str, Any] = {"provider": "openai", "model": model, "status": status, "settled": True}
    facts |= {"created_at": made, "completed_at": made, "seconds": seconds, "unlisted_at": None}
    facts |= {"size": "1280x720", "width": 1280, "height": 720}
    conn.execute(sa.update(video_jobs).where(video_jobs.c.job_id == job_id).values(**facts))
    if settled is not None:
        asked = {"source_id": 1, "job_id": job_id, "request_type": "video_generation", "status": "success"}
        asked |= {"requested_at": made + timedelta(minutes=9), "first_seen_at": made, "run_id": 1}
        asked |= {"request_id": f"r{number}", "request_seq": number + 1, "role": "settled"}
        asked |= {"team_name": "studio", "virtual_key_name": "vk-1", "cost": Decimal(settled)}
        conn.execute(sa.insert(job_requests).values(**asked))


def export(engine: sa.Engine, folder: Path, version: str = "1.2", **given: Any) -> list[dict[str, str]]:
    export_focus(engine, folder, Filter(NOW, **given), version)
    with (folder / f"focus-{version}.csv").open(encoding="utf-8", newline="") as lines:
        return list(csv.DictReader(lines))


@pytest.mark.parametrize("version", VERSIONS)
def test_what_the_specification_demands_of_every_row(filled: sa.Engine, tmp_path: Path, version: str) -> None:
    rows = export(filled, tmp_path / "out", version)
    assert len(rows) == 7
    newer = {"ServiceProviderName", "HostProviderName"} if version == "1.3" else set()
    assert set(rows[0]) >= MANDATORY | newer
    for row in rows:
        assert all(row[name] for name in NEVER_NULL | newer), row
        assert row["ChargeCategory"] == ("Credit" if row["BilledCost"].startswith("-") else "Usage")
        check_costs(row)
        for name in ("BillingPeriod", "ChargePeriod"):
            assert row[f"{name}Start"] < row[f"{name}End"] and row[f"{name}Start"].endswith("Z")
        assert (row["ConsumedQuantity"] == "") == (row["ConsumedUnit"] == "")
        assert row["ConsumedQuantity"] or row["ChargeCategory"] == "Credit"
        assert (row["SubAccountId"] == "") == (row["SubAccountType"] == "")


def check_costs(row: dict[str, str]) -> None:
    billed, listed = Decimal(row["BilledCost"]), Decimal(row["ListCost"])
    assert Decimal(row["EffectiveCost"]) == Decimal(row["ContractedCost"]) == billed
    if row["ListUnitPrice"]:
        assert Decimal(row["ListUnitPrice"]) * Decimal(row["PricingQuantity"]) == listed
    else:
        assert listed == billed
    assert not {"E", "e", ","} & set(row["BilledCost"])


def test_rows_by_hand(filled: sa.Engine, tmp_path: Path) -> None:
    rows = export(filled, tmp_path / "out")
    wanted = ("BilledCost", "BillingCurrency", "ListCost", "PricingQuantity", "PricingUnit", "x_CostSource")
    assert [tuple(row[name] for name in wanted) for row in rows] == [
        ("0.432", "USD", "0.432", "6.0", "Seconds", "price book estimate"),
        ("0.7", "USD", "0.612", "8.5", "Seconds", "settled"),
        ("0.0", "USD", "0.576", "8.0", "Seconds", "settled"),
        ("2.0", "EUR", "2.0", "1.0", "Clips", "price book estimate"),
        ("2.1", "USD", "2.1", "1.0", "Clips", "settled"),  # the price is in euros: no list price in dollars
        ("0.000001", "USD", "0.000001", "1.0", "Requests", "settled"),
        ("-0.25", "USD", "-0.25", "8.0", "Seconds", "settled"),
    ]
    leap = rows[0]
    assert (leap["ChargePeriodStart"], leap["ChargePeriodEnd"]) == (
        "2024-02-29T00:00:00Z",
        "2024-03-01T00:00:00Z",
    )
    assert (leap["BillingPeriodStart"], leap["BillingPeriodEnd"]) == (
        "2024-02-01T00:00:00Z",
        "2024-03-01T00:00:00Z",
    )
    assert rows[-1]["BillingPeriodEnd"] == "2027-01-01T00:00:00Z"
    assert json.loads(rows[1]["Tags"]) == {"team": "studio", "virtual_key": "vk-1"}
    assert (leap["Tags"], leap["SubAccountId"], leap["InvoiceId"]) == ("", "", "")
    assert rows[5]["ChargeDescription"].startswith("'=cmd()")  # a spreadsheet would run it
    assert rows[1]["ChargeDescription"] == "dollar, 720p, 8.5 seconds of video: settled"


@pytest.mark.parametrize("since", [None, datetime(2026, 3, 30, tzinfo=UTC)])
def test_its_sums_are_those_of_the_report(filled: sa.Engine, tmp_path: Path, since: datetime | None) -> None:
    export(filled, tmp_path / "out", since=since)
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    (row,) = run_report(filled, "spend", Filter(NOW, since=since, by="source")).rows
    table = run_report(filled, "spend", Filter(NOW, since=since, by="source"))
    said = dict(zip([column.name for column in table.columns], row, strict=True))
    expected = {"USD": said["cost"]} | read_amounts([said["other_costs"]])
    assert {name: Decimal(amount) for name, amount in manifest["billed"].items()} == expected
    assert manifest["uncosted_jobs"] == said["uncosted_jobs"] == 1


def test_an_empty_database_gives_the_columns(engine: sa.Engine, tmp_path: Path) -> None:
    assert export(engine, tmp_path / "out") == []
    head = (tmp_path / "out" / "focus-1.2.csv").read_text().strip()
    assert head.split(",") == focus_columns("1.2")
    with pytest.raises(ConfigError, match="not empty"):
        export(engine, tmp_path / "out")
