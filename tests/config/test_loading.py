"""Where settings come from and what they become."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from etl.config import Config, Secret, load_config
from etl.errors import ConfigError


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str, **environ: str) -> Config:
    path = Path("given.yaml")
    path.write_text(text, encoding="utf-8")
    return load_config(path, environ)


def one(extra: str, **environ: str) -> Config:
    return load(f"sources: [{{name: a, base_url: 'http://h', {extra}}}]", **environ)


def test_four_variables_are_enough() -> None:
    environ = {
        "BIFROST_BASE_URL": "http://gw:8080/v1/",
        "BIFROST_API_KEY": "key-1",
        "BIFROST_PROVIDER": "openai",
        "DATABASE_URL": "postgresql://u:p@h/d",
    }
    config = load_config(None, environ)
    (source,) = config.sources
    assert (source.name, source.base_url, source.provider) == ("default", "http://gw:8080", "openai")
    assert source.api_key == Secret("key-1")
    assert config.database.reveal() == "postgresql://u:p@h/d"
    assert config.path is None and "environment" in config.origin


def test_without_anything_there_is_a_database_and_choosing_a_source_says_what_to_set() -> None:
    config = load_config(None, {})
    assert config.database.reveal() == "sqlite:///bifrost-etl.db"
    with pytest.raises(ConfigError, match="no source is configured") as caught:
        config.choose()
    assert "BIFROST_BASE_URL" in str(caught.value.hint)


def test_variables_may_name_files_and_the_newline_at_the_end_goes() -> None:
    Path("key").write_text("from-file\n")
    Path("url").write_text("sqlite:///x.db\r\n")
    environ = {"BIFROST_BASE_URL": "http://h", "BIFROST_API_KEY_FILE": "key", "DATABASE_URL_FILE": "url"}
    config = load_config(None, environ)
    assert config.sources[0].api_key == Secret("from-file")
    assert config.database.reveal() == "sqlite:///x.db"
    assert one("api_key: '${BIFROST_API_KEY}'", BIFROST_API_KEY_FILE="key").sources[0].api_key == Secret(
        "from-file"
    )


def test_the_file_of_the_current_directory_is_used_and_none_above(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("bifrost-etl.yaml").write_text("service: {port: 1234}")
    assert load_config(None, {}).service.port == 1234
    assert "current directory" in load_config(None, {}).origin
    below = tmp_path / "below"
    below.mkdir()
    monkeypatch.chdir(below)
    assert load_config(None, {}).service.port == 9464


def test_the_argument_wins_over_the_variable_and_the_variable_over_the_directory() -> None:
    for name, port in (("bifrost-etl.yaml", 1), ("variable.yaml", 2), ("argument.yaml", 3)):
        Path(name).write_text(f"service: {{port: {port}}}")
    environ = {"BIFROST_ETL_CONFIG": "variable.yaml"}
    named = load_config(None, environ)
    assert (named.service.port, named.path) == (2, Path("variable.yaml"))
    assert "BIFROST_ETL_CONFIG" in named.origin
    assert load_config(Path("argument.yaml"), environ).service.port == 3


def test_a_file_without_sources_or_database_takes_them_from_the_environment() -> None:
    environ = {"BIFROST_BASE_URL": "http://h", "DATABASE_URL": "sqlite:///e.db"}
    config = load("defaults: {page_size: 7}\ndatabase: {password: null}", **environ)
    assert (config.sources[0].name, config.sources[0].page_size) == ("default", 7)
    assert config.database.reveal() == "sqlite:///e.db"
    assert load("database: {url: 'sqlite:///f.db'}", **environ).database.reveal() == "sqlite:///f.db"


@pytest.mark.parametrize("text", ["", "# nothing\n", "---\n", "sources:\n", "\ufeffsources: []\n"])
def test_an_empty_file_is_as_good_as_none(text: str) -> None:
    assert load(text).sources == ()


def test_defaults_lie_under_every_source_key_by_key() -> None:
    config = load(
        """
        defaults:
          base_url: http://h/v1
          api_key: common
          headers: {X-A: one, X-B: two}
          schedule: {every: 1m, timezone: Europe/Berlin, reconcile: {every: 1d}}
        sources:
          - name: a
          - name: b
            api_key: own
            headers: {X-B: three}
            schedule: {cron: "0 5 * * *", reconcile: {timezone: Asia/Tokyo}}
          - name: c
            username: u
            password: p
        """
    )
    a, b, c = config.sources
    assert (a.api_key, a.schedule.every, a.schedule.timezone) == (Secret("common"), 60.0, "Europe/Berlin")
    assert b.api_key == Secret("own") and b.base_url == "http://h"
    assert b.headers == {"X-A": Secret("one"), "X-B": Secret("three")}
    assert (b.schedule.every, b.schedule.cron, b.schedule.timezone) == (None, "0 5 * * *", "Europe/Berlin")
    assert (b.schedule.reconcile.every, b.schedule.reconcile.timezone) == (86400.0, "Asia/Tokyo")
    assert c.api_key is None and c.username == "u"


def test_a_secret_file_of_a_source_drives_out_the_defaults_secret() -> None:
    Path("key").write_text("mine")
    config = load(
        "defaults: {base_url: 'http://h', api_key: common}\n"
        "sources: [{name: a, api_key_file: key}, {name: b}]"
    )
    assert [source.api_key for source in config.sources] == [Secret("mine"), Secret("common")]


@pytest.mark.parametrize(
    ("written", "becomes"),
    [
        ("${X}", "from-x"),
        ("pre-${X}-post", "pre-from-x-post"),
        ("${NOT:-fallback}", "fallback"),
        ("${EMPTY:-fallback}", "fallback"),
        ("$${X}", "${X}"),
        ("a$$b", "a$b"),
        ("a$b", "a$b"),
        ("${X}${X}", "from-xfrom-x"),
    ],
)
def test_variables_expand_in_text(written: str, becomes: str) -> None:
    config = one(f"key_name: '{written}'", X="from-x", EMPTY="")
    assert config.sources[0].key_name == becomes


def test_a_variables_content_is_not_expanded_again() -> None:
    assert one("key_name: '${X}'", X="${Y}").sources[0].key_name == "${Y}"


def test_unquoted_variables_may_mean_numbers_booleans_and_nothing() -> None:
    text = """
    sources:
      - name: a
        base_url: http://h
        page_size: ${SIZE}
        verify_tls: ${TLS}
        provider: ${PROVIDER:-}
        key_name: ${DIGITS}
    """
    (source,) = load(text, SIZE="7", TLS="false", DIGITS="0123").sources
    assert (source.page_size, source.verify_tls, source.provider, source.key_name) == (7, False, None, "0123")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("15m", 900.0),
        ("30s", 30.0),
        ("1h30m", 5400.0),
        ("1h 30m", 5400.0),
        ("7d", 604800.0),
        ("2w", 1209600.0),
        ("500ms", 0.5),
        ("1.5h", 5400.0),
        ("90", 90.0),
        ("0.25", 0.25),
        ("'90'", 90.0),
    ],
)
def test_durations_become_seconds(text: str, seconds: float) -> None:
    assert one(f"read_timeout: {text}").sources[0].read_timeout == seconds


@pytest.mark.parametrize(
    ("text", "count"),
    [("64MiB", 64 << 20), ("10MB", 10_000_000), ("1 KiB", 1024), ("5", 5), ("0.5GiB", 1 << 29)],
)
def test_sizes_become_bytes(text: str, count: int) -> None:
    assert one(f"max_body: {text}").sources[0].max_body == count


@pytest.mark.parametrize("url", ["http://h", "http://h/", "http://h/v1", "http://h/v1/"])
def test_the_base_url_ends_before_v1(url: str) -> None:
    assert load(f"sources: [{{name: a, base_url: '{url}'}}]").sources[0].base_url == "http://h"


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("HTTP://GW.Example.com:80/A/", "http://gw.example.com/A"),
        ("https://gw:443/v1/", "https://gw"),
        ("https://gw:/", "https://gw"),
        ("http://gw:443", "http://gw:443"),
        ("http://[FE80::1]:80/", "http://[fe80::1]"),
        ("http://[::1]:08080", "http://[::1]:8080"),
    ],
)
def test_a_gateway_has_one_spelling(given: str, kept: str) -> None:
    """Sources of one address look for jobs that both have: spelled in two ways, each job counted twice."""
    assert load(f"sources: [{{name: a, base_url: '{given}'}}]").sources[0].base_url == kept


def test_a_path_and_a_port_stay_in_the_base_url() -> None:
    config = load("sources: [{name: a, base_url: 'https://[::1]:8443/bifrost/v1'}]")
    assert config.sources[0].base_url == "https://[::1]:8443/bifrost"


def test_yaml_is_the_newer_kind() -> None:
    """`on` is a key, `no` a word, 010 ten, a date a date."""
    config = load(
        """
        notify: {on: [failure]}
        prices: [{model: sora-2, price: 0.10, valid_from: 2026-01-31}]
        sources: [{name: "no", base_url: "http://h", provider: no, page_size: 010}]
        """
    )
    assert config.notify.on == ("failure",)
    assert (config.prices[0].price, config.prices[0].valid_from) == (Decimal("0.1"), date(2026, 1, 31))
    assert (config.sources[0].provider, config.sources[0].page_size) == ("no", 10)


@pytest.mark.parametrize(
    ("url", "whole"),
    [
        ("postgresql://u@h:5432/d?sslmode=require", "postgresql://u:p%40%2Fw@h:5432/d?sslmode=require"),
        ("postgresql://u:old@h/d", "postgresql://u:p%40%2Fw@h/d"),
        ("mysql://u@h", "mysql://u:p%40%2Fw@h"),
    ],
)
def test_the_databases_password_goes_into_its_url(url: str, whole: str) -> None:
    Path("pw").write_text("p@/w\n")
    assert load(f"database: {{url: '{url}', password_file: pw}}").database.reveal() == whole


def test_choosing_sources() -> None:
    config = load(
        "defaults: {base_url: 'http://h'}\nsources: [{name: a}, {name: b, enabled: false}, {name: c}]"
    )
    assert [s.name for s in config.choose()] == ["a", "c"]
    assert [s.name for s in config.choose(["c", "b"])] == ["b", "c"]
    with pytest.raises(ConfigError, match="'x'") as caught:
        config.choose(["x"])
    assert "a, b, c" in str(caught.value.hint)


def test_the_fingerprint_follows_what_the_gateway_sees_and_nothing_else() -> None:
    def digest(extra: str) -> str:
        return one(extra).sources[0].fingerprint()

    base = digest("api_key: one")
    assert base == digest("api_key: one, page_size: 5, schedule: {every: 1h}")
    others = {
        digest(x) for x in ("api_key: two", "api_key: one, provider: p", "api_key: one, headers: {A: b}")
    }
    assert len(others) == 3 and base not in others
    assert len(base) == 32 and int(base, 16) >= 0


def test_aliases_work_and_a_loop_of_them_is_refused() -> None:
    config = load(
        "defaults: {headers: &h {X-A: one}}\nsources: [{name: a, base_url: 'http://h', headers: *h}]"
    )
    assert config.sources[0].headers == {"X-A": Secret("one")}
    with pytest.raises(ConfigError, match="alias inside itself"):
        load("feed: {destinations: [{name: a, type: dlt, options: &o {self: *o}}]}")


def test_line_breaks_and_blanks_around_what_the_environment_says_are_no_part_of_it(tmp_path, monkeypatch):
    """Shells, secret stores and platforms add them; a file `x.db` with a line break in its name was made."""
    monkeypatch.chdir(tmp_path)
    environ = {
        "BIFROST_BASE_URL": " http://h:1/v1 \n",
        "BIFROST_API_KEY": "k\r\n",
        "BIFROST_PROVIDER": "openai ",
        "BIFROST_KEY_NAME": " main",
        "DATABASE_URL": "sqlite:///x.db\n",
    }
    [source] = (config := load_config(None, environ)).sources
    assert (source.base_url, source.provider, source.key_name) == ("http://h:1", "openai", "main")
    assert source.api_key == Secret("k")
    assert config.database.reveal() == "sqlite:///x.db"
    (tmp_path / "c.yaml").write_text(
        "database: {url: '${DATABASE_URL}'}\nsources: [{name: a, base_url: '${BIFROST_BASE_URL}'}]\n"
    )
    config = load_config(tmp_path / "c.yaml", environ)
    assert (config.database.reveal(), config.sources[0].base_url) == ("sqlite:///x.db", "http://h:1")
