"""`export --format focus`: the file, its sums in words and in the manifest, and what is refused."""

from __future__ import annotations

import csv
from decimal import Decimal
from pathlib import Path

from tests.support.command import Command


def test_costs_in_focus(configured: Command, tmp_path: Path) -> None:
    assert configured("sync").code == 0
    done = configured("export", "costs", "--format", "focus", "--focus-version", "1.3", "--json")
    assert done.code == 0, done.all
    with (tmp_path / "costs" / "focus-1.3.csv").open(encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines))
    billed = sum(Decimal(row["BilledCost"]) for row in rows)
    assert len(rows) == done.json["rows"] > 0 and billed == Decimal(done.json["billed"]["USD"])
    decimals = [name for name in rows[0] if name.endswith(("Cost", "Quantity", "UnitPrice"))]
    assert len(decimals) == 7 and all("." in row[name] for row in rows for name in decimals if row[name])
    spent = configured("report", "spend", "--by", "source", "--since", "3650d", "--format", "json").json
    assert sum(row["cost"] for row in spent["tables"]["spend"]["rows"]) == float(billed)
    assert {row["ServiceProviderName"] for row in rows} == {"OpenAI"}
    again = configured("export", "more", "--format", "focus", "--since", "2030-01-01")
    assert again.code == 0 and "0 jobs, no cost" in again.out


def test_what_is_refused(configured: Command) -> None:
    configured("sync")
    for options in (("--focus-version", "0.9"), ("--table", "video_jobs")):
        done = configured("export", "costs", "--format", "focus", *options)
        assert done.code == 2 and options[0] in done.err
