"""Sync one source: extract, transform, load, in one of three kinds of run."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress

from etl.config import Source
from etl.db.checkpointer import log_copied
from etl.errors import (
    DeadCursor,
    EtlError,
    LeaseHeld,
    LeaseLost,
    OrderIgnored,
    RepeatedPage,
    SkippedPages,
    SuspiciousScan,
    Unparseable,
)
from etl.extract import GatewayClient
from etl.load import Store
from etl.log import get_logger
from etl.observer import Observer
from etl.pipeline import known_gaps
from etl.pipeline.details import read_ended_jobs
from etl.pipeline.first_load import first_load
from etl.pipeline.found_jobs import follow_log, follow_log_beside_list
from etl.pipeline.heartbeat import heartbeat
from etl.pipeline.incremental import tick
from etl.pipeline.reconcile import reconcile
from etl.pipeline.reread import reread
from etl.pipeline.run import Run, Stopped, how_it_ended, is_unexpected
from etl.pipeline.turns import look_for_turns, refuse_turns, refuse_turns_at_last
from etl.pipeline.window import find_absent, found_window, is_window, read_window
from etl.records import RunResult

__all__ = ["Stopped", "sync_source"]


def sync_source(
    source: Source,
    gateway: GatewayClient,
    store: Store,
    *,
    progress: Observer,
    stop: threading.Event,
    redact: Callable[[str], str],
    accept_suspicious: bool = False,
) -> RunResult:
    """One run, of the kind that the store decides as it opens.

    Failures end in the result, not in an exception; what was read before is stored. One that nobody foresaw
    is recorded as any other, and logged with its traceback.
    """
    try:
        state = store.open()
    except Stopped as stopped:  # while a broken database was waited for
        return _result(source, store, "interrupted", stopped)
    except Exception as error:  # noqa: BLE001 (a run's last seam: it must not end unrecorded)
        if is_unexpected(error):
            log_unexpected(source, store, error)
            with suppress(EtlError):
                store.abandon(how_it_ended(error, redact))
        return _result(source, store, "skipped" if isinstance(error, LeaseHeld) else "failed", error)
    run = Run(source, gateway, store, progress, stop)
    run.accept_suspicious = accept_suspicious
    run.accounts.recall(state.learned)
    gateway.cursors.apart = state.learned.cursors_apart
    run.pages.more.is_constant = state.learned.more_unsaid
    gateway.inclusive.known = state.learned.inclusive
    gateway.kind.recall(state.learned.profile)
    run.accounts.accepts_doubt = accept_suspicious
    progress.started(source.name, store.kind)
    result = _run(run, redact, accept_suspicious=accept_suspicious)
    progress.finished(result)
    return result


def _run(run: Run, redact: Callable[[str], str], *, accept_suspicious: bool) -> RunResult:
    error: Exception | None = None
    with heartbeat(run.store), log_copied(run.store.engine):
        try:
            _walk(run, accept_suspicious=accept_suspicious)
        except Exception as caught:  # noqa: BLE001 (a run's last seam: it must not end unrecorded)
            error = _for_source(caught, run.source.name)
        try:
            if not isinstance(error, LeaseLost | LeaseHeld):
                run.end(error, redact)
        except Exception as caught:  # noqa: BLE001 (if it is still open, the next run closes it)
            if isinstance(caught, LeaseHeld) and error is not None:
                run.end_beside_another(error, redact)
            error = error or caught
    if error is not None and is_unexpected(error):
        log_unexpected(run.source, run.store, error)
    if error is None:
        return _result(run.source, run.store, "ok", None)
    if isinstance(error, LeaseHeld):  # it was taken between our look and our first commit
        return _result(run.source, run.store, "skipped", error)
    return _result(run.source, run.store, "interrupted" if isinstance(error, Stopped) else "failed", error)


def _for_source(error: Exception, name: str) -> Exception:
    """The error, whose advice names the source, so that a command in it can be pasted."""
    if isinstance(error, EtlError) and error.hint is not None:
        error.hint = error.hint.replace(" SOURCE ", f" {name} ")
    return error


def log_unexpected(source: Source, store: Store, error: Exception) -> None:
    get_logger("pipeline").error("run_broke", source=source.name, run=store.committed.run_id, exc_info=error)


def _walk(run: Run, *, accept_suspicious: bool) -> None:
    refuse_turns(run)
    window = is_window(run)
    try:
        if not window:
            _walk_pages(run, accept_suspicious=accept_suspicious)
    except RepeatedPage:
        ids = not run.gateway.cursors.apart
        window = found_window(run)
        if window:
            run.give_up_walks()
        elif ids and run.gateway.cursors.apart:  # as the look has shown: no id is a cursor there
            run.flush()
            _walk_pages(run, accept_suspicious=accept_suspicious)
        else:
            look_for_turns(run)
            raise
    except (DeadCursor, OrderIgnored, SkippedPages, SuspiciousScan, Unparseable):
        look_for_turns(run)  # two accounts that answer in turn look like each of these
        raise
    if window:
        if not read_window(run):
            return  # whoever started this run starts the first load that is due now
        reread(run)
    if run.met_refusal:
        look_for_turns(run)
    refuse_turns_at_last(run)
    if run.accounts.doubted and not run.accounts.foreign:
        run.flush()  # what is stored tells whether another key's jobs are this account's
    run.accounts.look_around()
    if window and run.store.kind == "reconcile":
        find_absent(run)
    run.complete()
    read_ended_jobs(run)
    if run.source.reads_log and run.source.discover != "logs":
        run.flush()
        follow_log_beside_list(run)
    run.accounts.raise_if_several()


def _walk_pages(run: Run, *, accept_suspicious: bool) -> None:
    if run.source.discover == "logs":
        follow_log(run)
        return
    if known_gaps.unreadable(run) or run.pages.passthrough.possible:
        run.gateway.expect_unreadable()
    kind = run.store.kind
    if kind == "reconcile":
        reconcile(run, accept_suspicious=accept_suspicious)
        return
    if kind == "first":
        first_load(run)
        if not run.store.resumed:
            return
        run.complete()
        run.flush()  # the list went on while we were away, and what was stored then may have changed
    tick(run)
    reread(run)


def _result(source: Source, store: Store, status: str, error: Exception | None) -> RunResult:
    now = store.committed
    return RunResult(
        source=source.name,
        kind=store.kind,
        status=status,  # type: ignore[arg-type]
        run_id=now.run_id,
        started_at=store.started_at,
        finished_at=store.clock(),
        counts=now.counts,
        error=None if isinstance(error, Stopped) else error,
        gaps=len(now.open_gaps),
        gaps_opened=len(now.lasting_gaps - store.gaps_before),
        gaps_closed=len(store.gaps_before - now.lasting_gaps),
    )
