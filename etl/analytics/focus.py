"""What video jobs cost, as rows of FOCUS (FinOps Open Cost and Usage Specification), versions 1.2 and 1.3.

One row for each job that has a cost: what the gateway's log says, or else what the price book says; the
column x_CostSource says which. The sum of BilledCost is that of the report `spend`, currency by currency. Not
there: jobs whose cost nobody knows, tax, and credits other than negative costs in the log, because the
gateway tells of none.
"""

# ruff: noqa: S608 (SQL is put together from our own snippets; values come as parameters)

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import sqlalchemy as sa

from etl.analytics.filters import Filter, bind_values, filter_conditions, filter_values, now_parameter
from etl.analytics.queries import convert_value
from etl.analytics.read_only import lift_time_limit
from etl.db.engine import storage_errors
from etl.schema.views.columns import Scope
from etl.schema.views.dialects import Dialect, make_dialect
from etl.schema.views.job_facts import JOB_FACTS
from etl.schema.views.owners import DIMENSIONS

VERSIONS = ("1.2", "1.3")
_CHUNK = 2000
_FACTS = (
    *(
        "source",
        "job_id",
        "provider",
        "model",
        "status",
        "resolution",
        "size",
        "seconds",
        "created_at",
        "first_seen_at",
    ),
    *("price", "price_unit", "currency", "cost", "settled_cost", "settled_cost_source", *DIMENSIONS),
)
_KINDS = {column.name: column.kind for column in JOB_FACTS.columns}
#: As these companies write themselves on their invoices, more or less; others as the gateway names them.
_COMPANIES = {
    "openai": "OpenAI",
    "azure": "Microsoft Azure",
    "gemini": "Google",
    "vertex": "Google Cloud",
    "runway": "Runway",
    "replicate": "Replicate",
    "runware": "Runware",
}
_UNITS = {"second": "Seconds", "clip": "Clips", "request": "Requests"}
#: How a settled cost's source is told, and that of a cost without one.
_SOURCES = {"settled": "settled", "at creation": "gateway estimate", None: "price book estimate"}


@dataclass(frozen=True, slots=True)
class FocusSum:
    """What a file holds: rows, and the sum of BilledCost by currency. `uncosted`: completed jobs that are not
    in it, because their cost is not known."""

    rows: int
    billed: Mapping[str, Decimal]
    uncosted: int


def focus_rows(engine: sa.Engine, chosen: Filter, version: str) -> Iterator[dict[str, Any]]:
    """A row for each job with a cost, oldest first; values are text, Decimal or None. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        lift_time_limit(conn)
        try:
            result = conn.execute(_facts_statement(conn, chosen), execution_options={"yield_per": _CHUNK})
            for row in result:
                named = zip(_FACTS, row, strict=True)
                job = {name: convert_value(_KINDS[name], value) for name, value in named}
                yield focus_row(job, version)
        finally:
            conn.invalidate()  # the time limit is back with the next connection


def count_uncosted(engine: sa.Engine, chosen: Filter) -> int:
    """Completed jobs whose cost nobody knows. Raises StorageError."""
    with storage_errors(), engine.connect() as conn:
        lift_time_limit(conn)
        facts = _facts_of(conn, chosen)
        unknown = "outcome = 'completed' AND cost IS NULL AND settled_cost IS NULL"
        text = f"SELECT COUNT(*) FROM ({facts}) f WHERE {unknown}"
        found = conn.scalar(bind_values(text, filter_values(chosen)))
        conn.invalidate()
    return int(found or 0)


def _facts_statement(conn: sa.Connection, chosen: Filter) -> sa.TextClause:
    known = "settled_cost IS NOT NULL OR cost IS NOT NULL"
    text = f"SELECT {', '.join(_FACTS)} FROM ({_facts_of(conn, chosen)}) f WHERE {known}"
    return bind_values(f"{text} ORDER BY created_at, source, job_id", filter_values(chosen))


def _facts_of(conn: sa.Connection, chosen: Filter) -> str:
    d: Dialect = make_dialect(conn.dialect.name, now=now_parameter(conn.dialect.name))
    where = " AND ".join(["1 = 1", *filter_conditions(chosen).values()])
    return JOB_FACTS.sql(d, Scope(where, d.day, d.hours))


# --- one job as a row --------------------------------------------------------------------------


def focus_row(job: Mapping[str, Any], version: str) -> dict[str, Any]:
    """`job` as job_facts has it, with a cost. Money is in BillingCurrency, instants are UTC."""
    settled = job["settled_cost"]
    billed: Decimal = job["cost"] if settled is None else settled
    currency = job["currency"] if settled is None else "USD"
    company = _COMPANIES.get(job["provider"] or "", job["provider"] or "unknown")
    listed = _list_price(job, currency)
    row = (
        _times_of(job["created_at"] or job["first_seen_at"]) | _account_of(job) | _sku_of(job, listed, billed)
    )
    row |= {
        "BilledCost": billed,
        "EffectiveCost": billed,
        "ContractedCost": billed,
        "BillingCurrency": currency,
        "ChargeCategory": "Credit" if billed < 0 else "Usage",
        "ChargeClass": None,
        "ChargeDescription": _describe_charge(job),
        "ChargeFrequency": "Usage-Based",
        "InvoiceId": None,
        "InvoiceIssuerName": company,
        "ProviderName": company,
        "PublisherName": company,
        "x_CostSource": _SOURCES[job["settled_cost_source"] if settled is not None else None],
        "x_JobStatus": job["status"],
    }
    if version == "1.3":
        row |= {"ServiceProviderName": company, "HostProviderName": company}
    return dict(sorted(row.items(), key=lambda item: (item[0].startswith("x_"), item[0])))


def focus_columns(version: str) -> list[str]:
    """The names of the columns, in their order."""
    job = dict.fromkeys(_FACTS) | {"created_at": datetime(2026, 1, 1, tzinfo=UTC), "cost": Decimal(0)}
    return list(focus_row(job, version))


def _times_of(created: datetime) -> dict[str, Any]:
    day = created.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    month = day.replace(day=1)
    return {
        "BillingPeriodStart": _instant(month),
        "BillingPeriodEnd": _instant((month + timedelta(days=31)).replace(day=1)),
        "ChargePeriodStart": _instant(day),
        "ChargePeriodEnd": _instant(day + timedelta(days=1)),
    }


def _instant(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


def _account_of(job: Mapping[str, Any]) -> dict[str, Any]:
    owners = {name: job[name] for name in DIMENSIONS if job[name]}
    key = job["virtual_key"]
    return {
        "BillingAccountId": job["source"],
        "BillingAccountName": job["source"],
        "SubAccountId": key,
        "SubAccountName": key,
        "SubAccountType": "Virtual key" if key else None,
        "ResourceId": job["job_id"],
        "ResourceName": None,
        "ResourceType": "Video generation job",
        "Tags": json.dumps(owners, ensure_ascii=False, sort_keys=True) if owners else None,
    }


def _list_price(job: Mapping[str, Any], currency: str) -> Decimal | None:
    """The price book's, if it is in the currency that the job is billed in."""
    return job["price"] if job["price"] is not None and job["currency"] == currency else None


def _sku_of(job: Mapping[str, Any], listed: Decimal | None, billed: Decimal) -> dict[str, Any]:
    """A second of video, a clip or a request of one model in one resolution. ListCost is the price times the
    quantity; where the price book has no price, it is what was billed."""
    unit = job["price_unit"] or ("second" if job["seconds"] else "request")
    seconds = None if job["seconds"] is None else Decimal(str(job["seconds"]))
    quantity = seconds if unit == "second" and seconds is not None else Decimal(1)
    maker = f"{job['provider'] or 'unknown'}/{job['model'] or 'unknown'}"
    band = job["resolution"] or job["size"]
    usage = billed >= 0
    return {
        "ServiceCategory": "AI and Machine Learning",
        "ServiceSubcategory": "Generative AI",
        "ServiceName": "Video generation",
        "SkuId": maker,
        "SkuMeter": f"Video {_UNITS[unit].lower()}",
        "SkuPriceId": "/".join([maker, *([band] if band else []), unit]),
        "SkuPriceDetails": json.dumps({"x_Resolution": band}) if band else None,
        "ListUnitPrice": listed if usage else None,
        "ListCost": billed if listed is None or not usage else listed * quantity,
        "PricingCategory": "Standard",
        "PricingQuantity": quantity,
        "PricingUnit": _UNITS[unit],
        "ConsumedQuantity": (Decimal(1) if seconds is None else seconds) if usage else None,
        "ConsumedUnit": (_UNITS["request"] if seconds is None else _UNITS["second"]) if usage else None,
    }


def _describe_charge(job: Mapping[str, Any]) -> str:
    """What was bought, and how well its cost is known. Never a prompt."""
    seconds = "" if job["seconds"] is None else f", {job['seconds']:g} seconds of video"
    known = _SOURCES[job["settled_cost_source"] if job["settled_cost"] is not None else None]
    what = f"{job['model'] or 'unknown model'}, {job['resolution'] or job['size'] or 'any size'}"
    return f"{what}{seconds}: {known}"
