"""config.example.yaml and what `init` writes are guarded: complete, loadable, and true about the defaults."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

import etl.config
from etl.cli.init import render_init
from etl.config import Config, Retention, Secret, Source, example_text, load_config
from etl.config.reader import keys_of

ROOT = Path(__file__).parents[2]
RECORDS = [
    getattr(etl.config, name)
    for name in etl.config.__all__
    if isinstance(getattr(etl.config, name), type) and issubclass(getattr(etl.config, name), msgspec.Struct)
]
#: Lines that are settings although a "#" stands before them: no space after it, or an indent.
COMMENTED = re.compile(r"^#(?=\S|  )")


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str, **environ: str) -> Config:
    Path("e.yaml").write_text(text, encoding="utf-8")
    return load_config(Path("e.yaml"), environ)


def uncommented() -> str:
    lines = example_text().splitlines()
    return "\n".join(COMMENTED.sub("", line) for line in lines)


def test_the_copy_at_the_top_is_the_shipped_one() -> None:
    assert (ROOT / "config.example.yaml").read_text(encoding="utf-8") == example_text()


@pytest.mark.parametrize("record", RECORDS, ids=lambda record: record.__name__)
def test_every_key_stands_in_the_example(record: type[msgspec.Struct]) -> None:
    assert len(RECORDS) == 17
    wanted = set(keys_of(record)) - ({"origin", "path"} if record is Config else set())
    standing = set(re.findall(r"^[ #-]*(\w+):", example_text(), re.M))
    assert wanted <= standing, wanted - standing


def test_it_loads_and_states_the_true_defaults() -> None:
    config = load(example_text(), BIFROST_API_KEY="k")
    expected = Config(
        sources=(
            Source(name="openai", base_url="http://localhost:8080", provider="openai", api_key=Secret("k")),
        ),
        origin=config.origin,
        path=config.path,
    )
    for name in Config.__struct_fields__:
        assert getattr(config, name) == getattr(expected, name), name


def test_what_is_commented_out_loads_too_and_states_the_true_defaults() -> None:
    config = load(uncommented(), BIFROST_API_KEY="k")
    assert [price.model for price in config.prices] == ["sora-2"]
    (lake,) = config.feed.destinations
    assert (lake.every, lake.cron, lake.after_sync, lake.options) == (None, None, False, {})


def test_it_reads_the_database_from_the_environment() -> None:
    config = load(example_text(), BIFROST_API_KEY="k", DATABASE_URL="postgresql://u:p@h/d")
    assert config.database.reveal() == "postgresql://u:p@h/d"


def test_every_setting_says_why_or_is_plain() -> None:
    """A setting without a comment is one whose name says it all."""
    bare = re.findall(r"^ +(?:- )?(\w+): [^#\n]+$", example_text(), re.M)
    plain = "url password connect_timeout every timezone seconds host port currency on"
    assert set(bare) <= {*plain.split(), *Retention.__struct_fields__}


@pytest.mark.parametrize(
    ("given", "becomes"),
    [
        ({}, ("openai", "http://localhost:8080", "openai")),
        ({"base_url": "https://gw/v1", "provider": None}, ("default", "https://gw", None)),
        ({"base_url": "http://h/$x", "provider": "null", "name": "on"}, ("on", "http://h/$x", "null")),
        ({"provider": "a: b # c", "name": "n"}, ("n", "http://localhost:8080", "a: b # c")),
    ],
)
def test_what_init_writes_loads(given: dict[str, Any], becomes: tuple[str, str, str | None]) -> None:
    text = render_init(**given, api_key_env="MY_KEY", database_env="MY_DB")
    config = load(text, MY_KEY="secret-value", MY_DB="sqlite:///mine.db")
    (source,) = config.sources
    assert (source.name, source.base_url, source.provider) == becomes
    assert source.api_key == Secret("secret-value") and config.database.reveal() == "sqlite:///mine.db"
    assert source.schedule.reconcile.cron == "0 4 * * 0"
    assert all(len(line) <= 120 for line in text.splitlines())


def test_reading_the_configuration_imports_nothing_heavy() -> None:
    code = (
        "import sys; from etl.config import load_config; import etl.log; load_config(None, {})\n"
        "print(sorted({m.split('.')[0] for m in sys.modules}"
        " & {'sqlalchemy', 'requests', 'structlog', 'rich', 'alembic', 'apscheduler', 'difflib', 'typer'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.strip() == "[]"
