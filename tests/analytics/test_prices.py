"""The price book: which price wins, files with errors, what has no price."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.analytics.price_import import read_file
from etl.analytics.prices import ensure_prices, import_prices, read_prices, unpriced_jobs
from etl.config import Price
from etl.errors import ConfigError


def price(amount: str, **given) -> Price:
    values = {"model": "sora-2", "valid_from": date(2026, 5, 1)} | given
    return Price(price=Decimal(amount), **values)


def in_force(engine: sa.Engine, job_id: str = "j1") -> float | None:
    query = sa.text("SELECT price FROM job_facts WHERE job_id = :id")
    with engine.connect() as conn:
        found = conn.scalar(query, {"id": job_id})
        return None if found is None else float(found)


def test_an_imported_price_goes_before_a_configured_one_before_the_published(world):
    ensure_prices(world, [price("0.2")])
    assert in_force(world) == 0.2
    import_prices(world, [price("0.3", model="*")])
    assert in_force(world) == 0.3


def test_a_price_that_the_book_would_round_is_refused(world):
    for put in (ensure_prices, import_prices):
        with pytest.raises(ConfigError, match=r"sora-2.*at most 6 decimals: 0\.1234567"):
            put(world, [price("0.1234567")])
    import_prices(world, [price("0.1234560")])
    assert in_force(world) == 0.123456


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [
        ({"model": "sora-2*"}, {"model": "sora-2"}),
        ({"model": "*"}, {"model": "sora*"}),
        ({}, {"provider": "openai"}),
        ({}, {"resolution": "720p"}),
        ({"valid_from": date(2026, 4, 30)}, {}),
    ],
)
def test_the_more_exact_then_the_newer_price_wins(world, weaker, stronger):
    import_prices(world, [price("0.4", **stronger), price("0.5", **weaker)])
    assert in_force(world) == 0.4


@pytest.mark.parametrize(
    "other",
    [
        {"valid_from": date(2026, 5, 2)},
        {"provider": "azure"},
        {"resolution": "1080p"},
        {"model": "sora"},
        {"model": "sora_2"},
        {"model": "SORA-2"},
        {"model": "sora-?"},
        {"model": "sora-[0-9]"},
        {"model": "sora-2\\"},
        {"model": "sora-2-*"},
    ],
)
def test_a_price_that_is_not_meant(world, other):
    import_prices(world, [price("9", **other)])
    assert in_force(world) == 0.1


def test_published_prices_change_with_time(world):
    assert (in_force(world, "j11"), in_force(world, "j12")) == (0.15, 0.1)


def test_importing_twice_changes_nothing(world):
    given = [price("0.125"), price("0.25", model="other", resolution="4K")]
    assert import_prices(world, given) == (2, 0)
    assert import_prices(world, given) == (0, 2)
    assert import_prices(world, [price("0.126")]) == (1, 0)
    found = {(p.model, p.resolution): p.price for p in read_prices(world) if p.origin == "import"}
    assert found == {("sora-2", "*"): Decimal("0.126"), ("other", "4k"): Decimal("0.25")}


def test_what_has_no_price(world):
    assert [[value for value, _ in row][:5] for row in unpriced_jobs(world)] == [
        ["openai", "sora-2", "1080p", 1, 4.0],
    ]
    import_prices(world, [price("1", resolution="1080p")])
    assert unpriced_jobs(world) == []


CSV = (
    "model,price,valid_from,resolution,provider\nsora-2,0.10,2026-01-31,720p,openai\n\nveo*,1,2026-02-01,,\n"
)
YAML = """
prices:
  - {model: sora-2, price: 0.10, valid_from: 2026-01-31, resolution: 720p, provider: openai}
  - {model: "veo*", price: 1, valid_from: 2026-02-01}
"""
JSON = """[{"model": "sora-2", "price": 0.10, "valid_from": "2026-01-31",
            "resolution": "720p", "provider": "openai"},
 {"model": "veo*", "price": "1", "valid_from": "2026-02-01"}]"""


@pytest.mark.parametrize(("name", "text"), [("p.csv", CSV), ("p.yaml", YAML), ("p.json", JSON)])
def test_files(tmp_path: Path, name, text):
    file = tmp_path / name
    file.write_text(text)
    assert read_file(file) == [
        Price(
            model="sora-2",
            price=Decimal("0.10"),
            valid_from=date(2026, 1, 31),
            resolution="720p",
            provider="openai",
        ),
        Price(model="veo*", price=Decimal(1), valid_from=date(2026, 2, 1)),
    ]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        (
            "p.csv",
            "model,price,valid_from\nsora-2,cheap,2026-01-01\nx,1,soon\n",
            (":2: ", ":3: ", "price", "date"),
        ),
        ("p.csv", "model,prise,valid_from\nsora-2,1,2026-01-01\n", (":2: ", "did you mean price?")),
        ("p.csv", "model,price,valid_from\nsora-2,1\n", (":2: ", "2 values under 3 headings")),
        (
            "p.csv",
            "model,price,valid_from\na,1,2026-01-01\na,2,2026-01-01\n",
            (":3: ", "prices the same as", ":2"),
        ),
        ("p.csv", "", ("there is no price",)),
        ("p.csv", 'model,price\n"a,1\n', ("not valid CSV",)),
        ("p.csv", "model,price,valid_from\na,-1,2026-01-01\n", (":2: ", "at least 0")),
        ("p.yaml", "prices:\n- model: a\n  price: 1\n", (":2: ", "valid_from is missing")),
        ("p.json", '{"a": 1}', ("expects a list",)),
        ("p.json", "[{]", ("not valid YAML",)),
        ("p.txt", "", (".csv, .yaml or .json",)),
    ],
)
def test_files_with_errors_name_the_line(tmp_path: Path, name, text, said):
    file = tmp_path / name
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_file(file)
    for words in said:
        assert words in str(caught.value)


def test_a_file_that_is_not_there(tmp_path: Path):
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        read_file(tmp_path / "p.csv")


def test_a_name_too_long_for_the_table(world):
    with pytest.raises(ConfigError, match="more than 191 characters"):
        import_prices(world, [price("1", model="x" * 192)])


def test_a_pattern_of_the_old_kind_is_refused_with_the_new_one(tmp_path: Path):
    file = tmp_path / "p.csv"
    file.write_text("model,price,valid_from\nsora-2-20%,1,2026-01-01\n")
    with pytest.raises(ConfigError, match=r":2: .*sora-2-20\*"):
        read_file(file)
