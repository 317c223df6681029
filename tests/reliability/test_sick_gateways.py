"""One service, a source for every row of the gateway's error table and worse, and one that is well.

What disables a source and what waits for the next tick is in tests/service/test_refusals.py; here all happen
at once, on a schedule, and go away again.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from itertools import repeat
from pathlib import Path
from typing import Any

import pytest

from etl.load.source_health import REFUSALS
from etl.pipeline.turns import MOST
from etl.simulator.error_table import TABLE, named_error
from tests.reliability.raw_gateway import JOBS, JSON, Ask, Pieces, RawGateway, answer, page
from tests.service.test_refusals import DISABLING
from tests.support.running import Service, configure, until

pytestmark = pytest.mark.slow

#: Asked again at once: everything else waits for the next tick, or for a person.
RETRIED = {
    *("rate_limited", "token_limited", "request_limited", "upstream_429"),
    *("upstream_500", "upstream_503", "request_timed_out", "empty_response", "unmarshal"),
    *("network_error", "http_failed", "html_upstream", "queue_full", "shutting_down"),
    *("html", "reset", "truncated", "nonsense"),
}
UNTABLED = {"html", "reset", "truncated", "nonsense", "loop"}
STUCK = {"hangs", "drips"}


class Ward:
    """A gateway with a patient at each path. `healed`: they answer as the one who is well."""

    def __init__(self) -> None:
        self.healed = False
        self.over = threading.Event()

    def __call__(self, ask: Ask) -> bytes | Pieces:
        patient = ask.path.split("/")[1]
        if patient == "well" or (self.healed and patient not in STUCK):
            if "limit" not in ask.query:  # its version, its status page: a list is all that it has
                return answer(b"{}", status="404 Not Found")
            return answer(page(ask.listed(JOBS)))
        if patient in TABLE:
            response = named_error(patient)
            return answer(response.body, *JSON, status=f"{response.status} Sick")
        return self._untabled(patient)

    def _untabled(self, patient: str) -> bytes | Pieces:
        if patient in STUCK:
            return self._never_ending(patient)
        return {
            "html": answer(b"<html>", "Content-Type: text/html"),
            "reset": [None],
            "truncated": [answer(b"{", length=100), None],
            "nonsense": answer(b'{"object":"list","data":{}}'),
            "loop": answer(page((JOBS[:100], True))),
        }[patient]

    def _never_ending(self, patient: str) -> Iterator[bytes]:
        if patient == "drips":
            yield answer(b"", length=10**9)
        while not self.over.wait(0.2):
            yield from repeat(b" ", patient == "drips")


class Heard:
    """The service's log, each line read once: there are thousands."""

    def __init__(self, log: Path) -> None:
        self._file, self._lines = log.open(), list[dict[str, Any]]()
        self._rest = ""

    def close(self) -> None:
        self._file.close()

    def sources(self, **facts: Any) -> set[str]:
        """Of which sources such lines were written."""
        *whole, self._rest = (self._rest + self._file.read()).split("\n")
        self._lines += [json.loads(line) for line in whole if line.startswith("{") and "source" in line]
        return {line["source"] for line in self._lines if facts.items() <= line.items() and "source" in line}


def test_every_sickness_at_once(tmp_path: Path) -> None:
    patients = sorted({*TABLE, *UNTABLED})
    ward = Ward()
    with RawGateway(ward) as gateway:

        def sources(key: str) -> list[dict[str, Any]]:
            names = [*patients, *sorted(STUCK), "well"]
            plan = {"schedule": {"every": "1s"}, "api_key": key}
            return [{"name": each, "base_url": f"{gateway.base_url}/{each}", **plan} for each in names]

        url = f"sqlite:///{tmp_path / 'etl.db'}"
        options: dict[str, Any] = {"parallel": 64, "service": {"shutdown_timeout": "5s"}}
        configure(tmp_path, url, sources("canary-first-key"), **options)
        with Service(tmp_path) as service:
            heard = Heard(tmp_path / "one.log")

            def all_said(expected: set[str], what: str, event: str, **facts: Any) -> None:
                until(lambda: expected <= heard.sources(event=event, **facts), what)

            waiting = set(patients) - DISABLING
            all_said(DISABLING, "the refused are disabled", "source_disabled")
            all_said(waiting, "the failing are left alone for a while", "tick_skipped", reason="breaker")
            all_said({"well"}, "the well goes on", "run_finished", kind="incremental", status="ok")
            assert not service.events("run_finished", source="hangs")
            _asked_as_often_as_it_makes_sense(tmp_path, gateway, patients)

            ward.healed = True
            all_said(waiting, "they recover by themselves", "run_finished", status="ok")
            for name in DISABLING:
                assert _asked(gateway, name) == REFUSALS, f"{name} was asked again"
            configure(tmp_path, url, sources("canary-other-key"), **options)
            service.signal(signal.SIGHUP)
            all_said(DISABLING, "a new key is tried", "run_finished", status="ok")

            service.signal(signal.SIGTERM)
            assert service.wait() == 0, service.output[-3000:]
            ward.over.set()
            heard.close()
            assert "canary" not in service.output and not service.events("tick_failed")
    _everything_is_there(tmp_path, {*patients, "well"})


def _asked(gateway: RawGateway, name: str) -> int:
    return sum(ask.path.split("/")[1] == name for ask in list(gateway.asked))


def _asked_as_often_as_it_makes_sense(folder: Path, gateway: RawGateway, patients: list[str]) -> None:
    with closing(sqlite3.connect(folder / "etl.db")) as db:
        query = (
            "SELECT name, count(*), sum(requests), sum(retries) FROM sync_runs JOIN sources"
            " ON sources.id = source_id WHERE sync_runs.status = 'failed' GROUP BY name"
        )
        seen = {name: counts for name, *counts in db.execute(query)}
    for name in patients:
        runs, requests, retries = seen[name]
        if name == "unmarshal":  # looked into within a budget, not asked again
            assert requests <= (60 + MOST) * runs, seen[name]  # and it is asked whose jobs it lists
            continue
        assert (retries > 0) == (name in RETRIED), (name, seen[name])
        assert runs == REFUSALS if name in DISABLING else runs >= 3, (name, seen[name])
        if name not in RETRIED and name != "loop":
            assert requests == runs, (name, seen[name])


def _everything_is_there(folder: Path, names: set[str]) -> None:
    with closing(sqlite3.connect(folder / "etl.db")) as db:
        jobs = "SELECT name, count(*) FROM video_jobs JOIN sources ON sources.id = source_id GROUP BY name"
        versions = "SELECT count(*), count(DISTINCT source_id || ' ' || job_id) FROM video_job_versions"
        found = dict(db.execute(jobs))
        assert {name: found.get(name) for name in names} == dict.fromkeys(names, len(JOBS))
        assert len(set(db.execute(versions).fetchone())) == 1, "a version too many"
