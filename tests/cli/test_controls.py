"""What strangers wrote is shown by a terminal, not obeyed: no control character leaves by any exit."""

from __future__ import annotations

import io
import json
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from etl import log
from etl.config import Notify
from etl.log import Redactor, make_visible, visible_json
from etl.scheduler.news import News
from etl.scheduler.notify import Message, Notifier
from etl.simulator import Simulator, World
from tests.support.command import Command
from tests.support.running import TOKEN, configure, source

#: Sets a terminal's title, starts red text with one character, rings, deletes.
EVIL = "nice\x1b]0;owned\x07\x9b31m\x7f\x85end"
OBEYED = ("\x1b]", "\x07", "\x9b", "\x7f", "\x85")


@pytest.fixture(scope="module")
def mirrored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    folder = tmp_path_factory.mktemp("controls")
    with Simulator(World(seed=3, jobs=3, start=time.time()), token=TOKEN) as sim:
        moment = int(sim.world.now()) - 60
        job = sim.world.add(
            object="video", model=EVIL, status="failed", progress=1, created_at=moment,
            completed_at=moment + 5, size="1280x720", seconds="8", prompt=EVIL,
            error={"code": EVIL, "message": EVIL}, remixed_from_video_id=None,
        )  # fmt: skip
        configure(folder, f"sqlite:///{folder / 'etl.db'}", [source(sim)])
        command = Command(folder, EVIL_JOB=job)
        done = command("sync")
        assert done.code == 0, done.all
        yield command


def harmless(text: str) -> bool:
    return not any(mark in text for mark in OBEYED)


FORMS = ("table", "csv", "json", "markdown", "html")
ASKED = [
    *(("report", "failures", "--format", form) for form in FORMS),
    *(("report", "models", "--format", form) for form in FORMS),
    *(("sql", "SELECT model, prompt, error_message FROM video_jobs", "--format", form) for form in FORMS),
    ("sql", 'SELECT 1 AS "nice\x1b]0;owned\x07\x9bend"'),
    ("history", "JOB"),
    ("history", "JOB", "--json"),
    ("status",),
    ("status", "--json"),
]


@pytest.mark.parametrize("arguments", ASKED, ids=lambda words: f"{words[0]}-{words[-1][:8]}")
def test_on_a_terminal(mirrored: Command, arguments: tuple[str, ...]):
    job = mirrored.environ["EVIL_JOB"]
    code, text = mirrored.on_terminal(*(job if word == "JOB" else word for word in arguments))
    assert code == 0 and harmless(text)


@pytest.mark.parametrize("form", ["json", "markdown", "html"])
def test_in_files_that_people_read(mirrored: Command, form: str):
    text = mirrored("report", "failures", "--format", form).out
    assert "nice" in text and harmless(text) and "\x1b" not in text
    if form == "json":
        rows = json.loads(text)["tables"]["failures"]["rows"]
        assert any(EVIL in row.values() for row in rows), "its value is what was written"


def test_a_csv_file_keeps_what_was_written(mirrored: Command):
    assert EVIL.encode() in mirrored("sql", "SELECT prompt FROM video_jobs", "--format", "csv").out.encode()


@pytest.mark.parametrize("form", ["console", "json"])
def test_in_the_log(form: str):
    stream, root = io.StringIO(), logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    try:
        log.set_up_logging("info", form, Redactor(), stream)
        log.get_logger("a").error("broken", error=f"{EVIL}\nforged record", key=EVIL)
        logging.getLogger("library").error(f"said {EVIL}\nforged record")
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
    said = stream.getvalue()
    assert harmless(said) and "\x1b" not in said
    assert len(said.splitlines()) == 2


def test_in_a_notification():
    told: list[Message] = []
    notifier = Notifier(Notify(), lambda text: text, send=lambda message: told.append(message) or True)
    news = News("failure", "main", f"main {EVIL}", f"{EVIL}\nsecond line")
    notifier._queue_news(news, datetime.now(UTC))
    notifier.close()
    title, text = told[0].title, told[0].text
    assert harmless(title + text) and "\x1b" not in title + text and text.endswith("end\nsecond line")


def test_text_that_is_harmless_stays_as_it_is():
    for text in ("plain", "zwei\nZeilen\tund Tab", "日本語 👩‍👩‍👧 é ־ עברית"):
        assert make_visible(text) == text
    assert make_visible("a\nb\tc\x1bd\ud800", lines=False) == "a b c\ufffdd\ufffd"


def test_json_keeps_its_value():
    value: Any = {"a": f"{EVIL} \ud800 ü"}
    text = visible_json(json.dumps(value, ensure_ascii=False))
    assert json.loads(text) == value and harmless(text) and text.encode()
