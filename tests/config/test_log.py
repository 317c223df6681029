"""Log records, ours and the libraries', leave structured, dated in UTC, and without secrets."""

from __future__ import annotations

import base64
import io
import json
import logging
import re
import subprocess
import sys
import warnings
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
import structlog

from etl import log
from etl.log import Redactor

CANARY = 'c4n@ry/s3cret "väl"'


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    "form",
    [
        CANARY,
        quote(CANARY),
        quote(CANARY, safe=""),
        quote_plus(CANARY),
        repr(CANARY),
        json.dumps(CANARY),
        json.dumps(CANARY, ensure_ascii=False),
        base64.b64encode(CANARY.encode()).decode(),
        base64.urlsafe_b64encode(CANARY.encode()).decode().rstrip("="),
    ],
)
def test_every_form_of_a_secret_is_masked_in_text_and_bytes(form: str) -> None:
    redact = Redactor([CANARY])
    for found in (redact(f"a {form} b"), redact(f"a {form} b".encode()).decode()):
        assert "****" in found and found.startswith("a ") and found.endswith(" b")
        assert form.strip("\"'") not in found


def test_the_longer_secret_goes_first_and_short_ones_stay() -> None:
    assert Redactor(["secret", "secret-long"])("secret-long secret") == "**** ****"
    assert Redactor(["a", "abc", ""])("abcabc") == "abcabc"


@pytest.mark.parametrize(
    ("text", "becomes"),
    [
        ("Authorization: Bearer abc", "Authorization: ****"),
        ("{'Authorization': 'Basic dTpw'}", "{'Authorization': '****'}"),
        ('"authorization":"xyz"', '"authorization":"****"'),
        ("got Bearer abcdef123456 back", "got Bearer **** back"),
        ("key sk-bf-12345, next", "key ****, next"),
        ("postgresql://u:p4ss@h/d failed", "postgresql://u:****@h/d failed"),
        ("http://h:8080/v1 and a@b", "http://h:8080/v1 and a@b"),
        ("use Basic credentials plus a Bearer token", "use Basic credentials plus a Bearer token"),
    ],
)
def test_what_looks_like_a_secret_is_masked_without_being_told(text: str, becomes: str) -> None:
    assert Redactor()(text) == becomes
    assert Redactor()(text.encode()) == becomes.encode()


def test_what_is_no_text_passes_and_containers_are_walked() -> None:
    redact = Redactor(["canary"])
    assert redact(5) == 5 and redact(None) is None
    value = {"canary": [b"canary", ("canary", 1.5, None)], "password": "x", "error": ValueError("canary")}
    assert redact.deep(value) == {"****": [b"****", ["****", 1.5, None]], "password": "****", "error": "****"}


@pytest.mark.parametrize("format", ["json", "console", "auto"])
def test_no_record_holds_a_secret(format: str) -> None:
    stream = io.StringIO()
    log.set_up_logging("debug", format, Redactor(["canary-1"]), stream)
    logger = log.get_logger("etl.test").bind(bound="canary-1")
    logger.info("canary-1", url="http://h/?k=canary-1", nested={"a": ["canary-1"]})
    logging.getLogger("urllib3").warning("retry %s", "canary-1")
    try:
        held = "canary-1"  # a local variable, which a rich traceback would show
        raise ValueError(f"bad {held}")
    except ValueError:
        logger.exception("failed")
        logging.getLogger("alembic").exception("failed %s", held)
    text = stream.getvalue()
    assert text.count("bad ****") == 2 and "canary-1" not in text and "\x1b[" not in text


def test_json_records_have_action_level_logger_and_utc_time() -> None:
    stream = io.StringIO()
    log.set_up_logging("info", "json", Redactor(), stream)
    log.get_logger("etl.pipeline").info("page_loaded", source="a", run=7)
    log.get_logger("etl.pipeline").debug("unseen")
    logging.getLogger("a.library").info("started")
    logging.getLogger("urllib3.connectionpool").info("unseen")
    ours, theirs = records(stream)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", ours.pop("timestamp"))
    assert ours == {
        "event": "page_loaded",
        "level": "info",
        "logger": "etl.pipeline",
        "source": "a",
        "run": 7,
    }
    assert (theirs["event"], theirs["logger"]) == ("started", "a.library")


def test_bound_context_reaches_every_record() -> None:
    stream = io.StringIO()
    log.set_up_logging("info", "json", Redactor(), stream)
    with structlog.contextvars.bound_contextvars(source="a", run=3):
        log.get_logger("x").info("one")
    log.get_logger("x").info("two")
    one, two = records(stream)
    assert (one["source"], one["run"]) == ("a", 3) and "source" not in two


def test_the_last_setup_counts_and_writes_once() -> None:
    first, second = io.StringIO(), io.StringIO()
    log.set_up_logging("debug", "console", Redactor(), first)
    logger = log.get_logger("x")
    log.set_up_logging("warning", "json", Redactor(), second)
    logger.info("unseen")
    logger.warning("seen")
    assert first.getvalue() == "" and [r["event"] for r in records(second)] == ["seen"]


def test_colour_only_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    coloured, plain = Terminal(), Terminal()
    log.set_up_logging("info", "auto", Redactor(), coloured)
    log.get_logger("x").info("hello")
    monkeypatch.setenv("NO_COLOR", "1")
    log.set_up_logging("info", "auto", Redactor(), plain)
    log.get_logger("x").info("hello")
    assert "\x1b[" in coloured.getvalue() and "\x1b[" not in plain.getvalue()


def test_warnings_are_logged_and_redacted() -> None:
    stream = io.StringIO()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        log.set_up_logging("info", "json", Redactor(["canary"]), stream)
        warnings.warn("insecure canary", UserWarning, stacklevel=1)
    (record,) = records(stream)
    assert record["logger"] == "py.warnings" and "insecure ****" in record["event"]


def test_without_setup_nothing_is_printed() -> None:
    code = (
        "from etl.log import get_logger as get; get('x').info('quiet', key='value'); get('y').debug('quiet')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_a_line_about_a_run_without_a_number_carries_none():
    stream = io.StringIO()
    log.set_up_logging("info", "json", Redactor([]), stream)
    log.get_logger("extract").warning("retry", source="a", run=None, wait=1)
    log.get_logger("extract").warning("retry", source="a", run=7, wait=1)
    first, second = map(json.loads, stream.getvalue().splitlines())
    assert "run" not in first and second["run"] == 7
