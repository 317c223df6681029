"""One turn of one source: is it due, run it, tell everybody how it ended."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from structlog.contextvars import bound_contextvars

from etl.app import App
from etl.config import Source
from etl.errors import EtlError, LeaseHeld, LeaseLost
from etl.load.source_health import Health, read_health
from etl.log import get_logger
from etl.records import RunKind, RunResult, never_began
from etl.scheduler.outages import claim_outage
from etl.scheduler.timing import decide_sync, reconcile_verdict
from etl.scheduler.work import Telemetry, Work
from etl.worker import utc_now


@dataclass(frozen=True, slots=True)
class Outlook:
    """After a turn: how the source stands, and after how many seconds to look once more, if at all."""

    health: Health | None
    again: float | None = None


class TickRunner:
    """`process` is our `host:pid`, by which we know our own runs in the database. `ran` is told of every run
    that has ended, well or badly."""

    def __init__(
        self, process: str, telemetry: Telemetry, stop: threading.Event, ran: Callable[[], None]
    ) -> None:
        self._process, self._telemetry, self._stop, self._ran = process, telemetry, stop, ran
        self._ensured: App | None = None
        self._log = get_logger("service")

    def sync(self, work: Work, source: Source) -> Outlook:
        """Sync if it is due. Failures end in logs, metrics and notifications, not in an exception."""
        with bound_contextvars(source=source.name):
            try:
                before = self._read_health(work, source)
            except EtlError as error:
                self._report_result(work, source, None, None, _broken_result(source, "incremental", error))
                return Outlook(None)
            found = decide_sync(before, source, utc_now(), self._process)
            if not found.run:
                self._report_skip(source, found.reason)
                if found.reason == "disabled" and before is not None:
                    claim = partial(claim_outage, work.app)
                    work.notifier.met_disabled(source.name, before, utc_now(), claim)
                return Outlook(before, found.again)
            if found.reason == "takeover":
                assert before is not None
                self._log.warning("takeover", source=source.name, left_by=before.last_worker)
            result, after = self._run_source(work, source, "incremental", before)
            held = isinstance(result.error, LeaseHeld)
            return Outlook(after, work.app.config.lease.seconds if held else None)

    def reconcile(self, work: Work, source: Source, tried: dict[str, datetime]) -> float:
        """Reconcile if it is due; returns after how many seconds to ask again."""
        plan = source.schedule.reconcile
        if plan.every is None and plan.cron is None:
            return source.schedule.usual_interval
        with bound_contextvars(source=source.name):
            try:
                before = self._read_health(work, source)
                found = reconcile_verdict(before, source, utc_now(), tried.get(source.name))
                if found.run:
                    tried[source.name] = utc_now()
                    _, before = self._run_source(work, source, "reconcile", before)
                    found = reconcile_verdict(before, source, utc_now(), tried[source.name])
            except EtlError as error:
                self._log.error("reconcile_failed", source=source.name, error=work.app.redact(str(error)))
                return source.schedule.usual_interval
            return found.again if found.again is not None else source.schedule.usual_interval

    def _read_health(self, work: Work, source: Source) -> Health | None:
        if self._ensured is not work.app:
            work.app.prepare()
            self._ensured = work.app
        return read_health(
            work.app.engine, source.name, utc_now() - timedelta(seconds=source.open_job_patience)
        )

    def _run_source(
        self, work: Work, source: Source, kind: RunKind, before: Health | None
    ) -> tuple[RunResult, Health | None]:
        self._log.debug("run_started", source=source.name, kind=kind)
        try:
            result = work.app.run_source(source, kind, progress=self._telemetry, stop=self._stop)
        except Exception as error:
            self._report_result(work, source, before, before, _broken_result(source, kind, error))
            raise
        after = self._health_after(work, source)
        self._report_result(work, source, before, after, _lost_to_another(result))
        return result, after

    def _health_after(self, work: Work, source: Source) -> Health | None:
        try:
            return self._read_health(work, source)
        except EtlError:  # the run has failed for the same reason, and says so
            return None

    def _report_result(
        self, work: Work, source: Source, before: Health | None, after: Health | None, result: RunResult
    ) -> None:
        self._telemetry.ended(result)
        if result.run_id is not None:
            self._ran()
        work.notifier.ended(result, before, after, partial(claim_outage, work.app))
        facts: dict[str, Any] = {
            "source": source.name,
            "run": result.run_id,
            "kind": result.kind,
            "status": result.status,
        }
        counts = result.counts
        took = round((result.finished_at - result.started_at).total_seconds(), 3)
        facts |= {"seconds": took, "pages": counts.pages, "requests": counts.requests}
        facts |= {"new": counts.jobs_inserted, "updated": counts.jobs_updated, "gaps": result.gaps}
        if result.status == "failed":
            text = work.app.redact(str(result.error))
            hint = result.error.hint if isinstance(result.error, EtlError) else None
            self._log.error("run_failed", error=type(result.error).__name__, message=text, hint=hint, **facts)
            self._say_disabled(source, before, after)
        else:
            why = {} if result.error is None else {"why": type(result.error).__name__}
            self._log.info("run_finished", **facts, **why)

    def _say_disabled(self, source: Source, before: Health | None, after: Health | None) -> None:
        if after is None or after.disabled_at is None:
            return
        if before is None or before.disabled_at != after.disabled_at:
            self._log.error(
                "source_disabled",
                source=source.name,
                reason=after.disabled_reason,
                hint=f"correct its settings, or: bifrost-etl sync {source.name}",
            )

    def _report_skip(self, source: Source, reason: str) -> None:
        self._telemetry.skipped(source.name, reason)
        self._log.debug("tick_skipped", source=source.name, reason=reason)


def _broken_result(source: Source, kind: RunKind, error: Exception) -> RunResult:
    moment = utc_now()
    return never_began(source.name, kind, "failed", moment, moment, error)


def _lost_to_another(result: RunResult) -> RunResult:
    """Two services that begin at the same moment: one writes, the other has nothing to complain about."""
    if isinstance(result.error, LeaseLost | LeaseHeld):
        return replace(result, status="skipped")
    return result
