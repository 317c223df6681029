"""Every mistake is reported at once, with file, line, key and what to do, and never with a value."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import pytest

from etl.config import Config, load_config
from etl.errors import ConfigError

CANARY = "sk-bf-canary0123456789"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def complaint(text: str | bytes, **environ: str) -> str:
    path = Path("c.yaml")
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ConfigError) as caught:
        use(load_config(path, environ))
    return str(caught.value)


def use(config: Config) -> None:
    """As a sync does, which needs the secrets of its sources and of the database."""
    config.database.reveal()
    config.choose()


def about(extra: str, **environ: str) -> str:
    return complaint(f"sources:\n  - name: a\n    base_url: http://h\n    {extra}\n", **environ)


def test_all_problems_of_a_file_come_together_in_its_order() -> None:
    text = """\
sources:
  - name: a
    base_ulr: http://h
    page_size: many
  - name: a
    base_url: ftp://h
    read_timeout: soon
    order: ${NOPE}
servce:
  port: 1
"""
    assert complaint(text).splitlines() == [
        "8 problems in the configuration",
        "c.yaml:2: sources[0]: base_url is missing",
        "c.yaml:3: sources[0].base_ulr: unknown key; did you mean base_url?",
        "c.yaml:4: sources[0].page_size: expects a whole number from 1 to 100",
        "c.yaml:5: sources[1].name: this name is used twice, first at c.yaml:2",
        "c.yaml:6: sources[1].base_url: expects a URL that starts with http:// or https://",
        "c.yaml:7: sources[1].read_timeout: expects a duration such as 30s, 15m, 1h30m, 7d or 500ms, "
        "or a number of seconds, greater than 0",
        "c.yaml:8: sources[1].order: the environment variable NOPE is not set (or empty); "
        "set it, or write ${NOPE:-default}",
        "c.yaml:9: servce: unknown key; did you mean service?",
    ]


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("source", "sources"), ("souces", "sources"), ("default", "defaults"), ("feeds", "feed")],
)
def test_a_section_nearly_right_is_told_of_whoever_reads_it(wrong: str, right: str) -> None:
    assert f"{wrong}: unknown key; did you mean {right}?" in complaint(f"{wrong}: {{}}\n")


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ("page_size: 0", "from 1 to 100"),
        ("page_size: '5'", "whole number"),
        ("page_size: [5]", "whole number"),
        ("max_attempts: 0", "at least 1"),
        ("rereads_per_run: -1", "at least 0"),
        ("requests_per_second: 0", "greater than 0"),
        ("verify_tls: maybe", "true or false"),
        ("verify_tls: yes", "true or false"),
        ("order: up", "one of auto, asc, desc"),
        ("order: Ascc", "one of auto, asc, desc; 'Ascc' is not one: did you mean asc?"),
        ("schedule: {timezone: europe/berln}", "'europe/berln' is not one: did you mean Europe/Berlin?"),
        ("schedule: {timezone: Europe/Berln}", "did you mean Europe/Berlin?"),
        ("order: null", "one of auto, asc, desc"),
        ("provider: 5", "text"),
        ("provider: ''", "text"),
        ("api_key: 5", "expects text; put quotes"),
        ("api_key: ''", "is empty"),
        ('api_key: "a\\nb"', "line break"),
        ("api_key: clé", "header cannot carry"),
        ("max_body: 12XB", "a size such as 64MiB"),
        ("max_body: 0", "a size such as 64MiB"),
        ("read_timeout: 0", "greater than 0"),
        ("read_timeout: -5", "a duration"),
        ("read_timeout: 1m30", "a duration"),
        ("read_timeout: .inf", "a duration"),
        ("read_timeout: 1e400", "a duration"),
        ("read_timeout: true", "a duration"),
        ("headers: [a]", "a mapping"),
        ("headers: {'A b': c}", "header's name"),
        ("headers: {X-BF-Cache-Key: c}", "answer from its cache"),
        ("schedule: 5m", "a mapping"),
        ("schedule: {every: 5m, cron: '* * * * *'}", "every and cron exclude each other"),
        ("schedule: {every: null}", "either every or cron"),
        ("schedule: {min_interval: 1h}", "longer than every"),
        ("schedule: {max_interval: 1m}", "shorter than every"),
        ("schedule: {cron: '* * * * *', min_interval: 1s}", "goes with every"),
        ("schedule: {timezone: Mars/Olympus}", "the name of a time zone"),
        ("schedule: {timezone: ../etc/passwd}", "the name of a time zone"),
        ("schedule: {timezone: Europe}", "the name of a time zone"),
        ("schedule: {cron: '* * * *'}", "five fields"),
        ("schedule: {cron: '60 * * * *'}", "minute"),
        ("schedule: {cron: '* 24 * * *'}", "hour"),
        ("schedule: {cron: '* * 0 * *'}", "day of month"),
        ("schedule: {cron: '* * * 13 *'}", "month"),
        ("schedule: {cron: '* * * * mun'}", "day of week"),
        ("schedule: {cron: '*/0 * * * *'}", "minute"),
        ("schedule: {cron: '9-5 * * * *'}", "minute"),
        ("schedule: {cron: '1, * * * *'}", "minute"),
        ("schedule: {cron: '*/70 * * * *'}", "minute"),
        ("schedule: {cron: '0 4 31 2 *'}", "day of month"),  # no year has a 31 February
        ("schedule: {cron: '0 4 30,31 2 *'}", "day of month"),
        ("username: u", "go together"),
        ("password: p", "go together"),
        ("api_key: k\n    username: u\n    password: p", "api_key and username exclude"),
        ("api_key: k\n    api_key_file: f", "api_key and api_key_file exclude"),
        ("api_key_file: missing", "there is no such file"),
        ("api_key_file: .", "cannot be read"),
        ("api_key_file: 5", "expects the path of a file"),
        ("ca_bundle: missing", "there is no such file"),
        ("proxy: socks5://h", "http:// or https://"),
        ("unheard_of: 1", "unknown key; known here: api_key,"),
        ("page_size: 5\n    page_size: 6", "duplicate key; it was first given on line 4"),
        ("provider: ${}", "${NAME}"),
        ("provider: !env X", "tags"),
        ("page_size: !!int x", "does not fit its tag"),
    ],
)
def test_mistakes_in_a_source(extra: str, words: str) -> None:
    message = about(extra)
    assert words in message
    assert re.match(r"(\d+ problems in the configuration\n)?c\.yaml:\d+: sources\[0\]", message)
    # One mistake, one complaint: nothing follows from a value that is already known to be wrong.
    assert len(message.splitlines()) == 1 or "exclude" in message


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("sources: {name: a}", "c.yaml:1: sources: expects a list"),
        ("sources: [a]", "expects a mapping"),
        ("sources: [null]", "is empty"),
        ("sources: [{name: a b, base_url: 'http://h'}]", "letters, digits"),
        ("defaults: {name: a}", "unknown key"),
        ("- a", "must be a mapping"),
        ("just text", "must be a mapping"),
        ("origin: x", "unknown key"),
        ("[1]: x", "plain word"),
        ("database: {url: nothing}", "expects a URL such as"),
        ("database: {url: 'postgresql://h:port/d'}", "host and port"),
        ("database: {password: p}", "needs a URL with a user"),
        ("lease: {seconds: 1}", "5s to 1h"),
        ("service: {port: 70000}", "from 0 to 65535"),
        ("service: {host: 0.0.0.0}", "allow_remote: true"),
        ("service: {host: 0.0.0.0, allow_remote: true}", "needs a token"),
        ("reporting: {currency: euro}", "three capital letters"),
        ("prices: [{model: m, price: 1}]", "valid_from is missing"),
        ("prices: [{model: m, price: -1, valid_from: 2026-01-01}]", "at least 0"),
        ("prices: [{model: m, price: 0.1234567, valid_from: 2026-01-01}]", "at most 6 decimals: 0.1234567"),
        ("prices: [{model: m, price: 25e-8, valid_from: 2026-01-01}]", "at most 6 decimals: 0.00000025"),
        ("prices: [{model: m, price: 1, valid_from: soon}]", "a date such as"),
        ("notify: {on: [victory]}", "notify.on[0]: expects one of failure"),
        ("notify: {urls: text}", "expects a list"),
        ("feed: {destinations: [{name: a, type: dlt}, {name: a, type: dlt}]}", "used twice"),
        ("retention: {runs: 0}", "greater than 0"),
    ],
)
def test_mistakes_elsewhere(text: str, words: str) -> None:
    message = complaint(text)
    assert words in message
    assert len(message.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("sources: [", "c.yaml:1:"),
        ("a: 1\nb: c: d\n", "c.yaml:2:5:"),
        ("a: 1\n\tb: 2\n", "c.yaml:2:1: not valid YAML: a tab stands here; indent with spaces"),
        ("a:\n\t- b\n", "c.yaml:2:1: not valid YAML: a tab stands here; indent with spaces"),
        ("a: 'b\n", "c.yaml:2:1: not valid YAML: a quotation mark is opened above and never closed"),
        ("a: [b\nc: d\n", "c.yaml:2:2: not valid YAML: a list that begins with [ is not closed"),
        ("a:\n    b: 1\n  c: 2\n", "c.yaml:3:3: not valid YAML: this line is not indented like"),
        ("a: @b\n", "c.yaml:1:4: not valid YAML: a text that begins with this character needs quotes"),
        ("a: 1\n--- \nb: 2\n", "c.yaml:2:1:"),
        (b"a: 1\nb: \xff\n", "c.yaml:2: this file is not UTF-8"),
        (b"a: 1\nb: \x00\n", "c.yaml:2: holds a control character"),
    ],
)
def test_what_is_not_yaml_is_named_by_line_and_column(text: str | bytes, place: str) -> None:
    assert complaint(text).startswith(place)


def test_a_missing_file_is_named() -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: there is no such file"):
        load_config(Path("nowhere.yaml"), {})
    with pytest.raises(ConfigError, match="cannot be read"):
        load_config(Path(), {})


@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({"BIFROST_BASE_URL": "nothing"}, "environment variable BIFROST_BASE_URL"),
        ({"DATABASE_URL": "nothing"}, "environment variable DATABASE_URL"),
        (
            {"BIFROST_BASE_URL": "http://h", "BIFROST_API_KEY_FILE": "missing"},
            "BIFROST_API_KEY_FILE: there is",
        ),
        ({"DATABASE_URL": "sqlite://", "DATABASE_URL_FILE": "x"}, "DATABASE_URL and DATABASE_URL_FILE"),
    ],
)
def test_mistakes_in_the_environment_name_the_variable(environ: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        use(load_config(None, environ))
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_an_empty_or_binary_secret_file_is_refused() -> None:
    Path("empty").write_text("\n")
    Path("binary").write_bytes(b"\xff\xfe")
    assert "api_key_file: this file is empty" in about("api_key_file: empty")
    assert "not UTF-8" in about("api_key_file: binary")
    assert "K_FILE: this file is empty" in about("api_key: ${K}", K_FILE="empty")


_EVERY_KEY = (
    *(
        "enabled",
        "provider",
        "key_name",
        "key_id",
        "username",
        "password",
        "headers",
        "ca_bundle",
        "verify_tls",
    ),
    *("client_cert", "proxy", "connect_timeout", "page_size", "order", "max_body", "prompts", "schedule"),
    *("api_kee", "api_key_file", "requests_per_second", "api_key", "virtual_key"),
)


@pytest.mark.parametrize("key", _EVERY_KEY)
@pytest.mark.parametrize(
    "value", ["{0}", "[{0}]", "{{{0}: {0}}}", "http://u:{0}@h:port", "'{0}\t\\n'", "${{{0}}}"]
)
def test_a_secret_in_the_wrong_place_is_not_repeated(key: str, value: str) -> None:
    message = complaint(f"sources: [{{base_url: 'http://h/', {key}: {value.format(CANARY)}}}]")
    assert CANARY not in message  # there is always one: the name is missing


@pytest.mark.parametrize(
    "text",
    [
        f"sources: [{{name: a, base_url: 'http://u:{CANARY}@h'}}]",
        f"sources: [{{name: a, base_url: 'http://h?key={CANARY}'}}]",
        f"sources: [{{name: a, base_url: 'http://h:{CANARY}'}}]",
        f"sources: [{{name: '{CANARY} x', base_url: '{CANARY}'}}]",
        f"sources: {CANARY}",
        f"{CANARY}",
        f"{CANARY}: x",
        f"{CANARY}: x\n{CANARY}: y",
        f"api_key: *{CANARY}",
        f"api_key: !{CANARY} x",
        f"a: &{CANARY} x\nb: &{CANARY} y\nc: [",
        f"api_key: '{CANARY}",
        f"api_key: {CANARY}: {CANARY}",
        f"api_key: @{CANARY}",
        f'api_key: "\\{CANARY}"',
        f"%{CANARY}\n---\na: 1",
        f"database: {{url: 'postgresql://u:{CANARY}@h:port/d'}}",
        f"database: {{url: '{CANARY}'}}",
        f"database: {{password: '{CANARY}'}}",
        f"notify: {{urls: [{CANARY}, 5]}}",
        f"notify: {{on: [{CANARY}]}}",
        f"service: {{token: [{CANARY}], host: 'x{CANARY}'}}",
        f"feed: {{destinations: [{{name: a, type: {CANARY}, options: {{secret_key: {CANARY}}}}}]}}",
        f"prices: [{{model: m, price: {CANARY}, valid_from: {CANARY}}}]",
        "sources: [{name: a, base_url: '${S}', order: '${S}', page_size: '${S}', api_key_file: '${S}'}]",
        "sources: [{name: a, base_url: 'http://h', api_key: '${S}\n${UNSET}', api_key_file: '${S}'}]",
        "sources: [{name: '${S}', base_url: 'http://h'}, {name: '${S}', base_url: 'http://h'}]",
    ],
)
def test_no_error_path_repeats_a_secret(text: str) -> None:
    message = complaint(text, S=CANARY)
    assert CANARY not in message and "canary" not in message


def test_no_environment_error_repeats_a_secret() -> None:
    for environ in (
        {"BIFROST_BASE_URL": f"http://u:{CANARY}@h"},
        {"BIFROST_BASE_URL": f"http://h:{CANARY}"},
        {"BIFROST_BASE_URL": "http://h", "BIFROST_API_KEY": f"{CANARY}\nsecond"},
        {"BIFROST_BASE_URL": "http://h", "BIFROST_API_KEY_FILE": CANARY},
        {"DATABASE_URL": f"postgresql://u:{CANARY}@h:x/d"},
        {"DATABASE_URL": CANARY},
    ):
        with pytest.raises(ConfigError) as caught:
            use(load_config(None, environ))
        told = "".join(traceback.format_exception(caught.value))
        assert CANARY not in f"{told} {caught.value!r} {caught.value.hint}"


def test_aliases_that_multiply_are_refused_at_once() -> None:
    laughs = ["a0: &a0 [ha, ha, ha, ha, ha, ha, ha, ha, ha]"]
    laughs += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 15)]
    assert re.match(
        r"c\.yaml:\d+: .*aliases \(\*name\) make more than 10,000 values", complaint("\n".join(laughs))
    )


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("sources: " + "[" * 50_000, "c.yaml:1:29"),
        ("sources:\n" + "".join(f"{' ' * n}a:\n" for n in range(1, 2000)), "c.yaml:20:20"),
        ("sources: " + "- " * 9, "c.yaml:1:10"),
        ("? " * 3000 + "a", "c.yaml:1:41"),
        ("a: " + "{b: " * 3000, "c.yaml:1:"),
    ],
)
def test_a_deep_file_is_refused_by_place(text: str, place: str) -> None:
    assert complaint(text).startswith(place)


def test_many_sources_may_share_by_alias() -> None:
    text = "sources:\n  - &one {name: n0, base_url: http://h, headers: &h {X-A: aa, X-B: bb}}\n"
    text += "".join(f"  - {{name: n{n}, base_url: http://h, headers: *h}}\n" for n in range(1, 1500))
    Path("many.yaml").write_text(text)
    assert len(load_config(Path("many.yaml"), {}).sources) == 1500
