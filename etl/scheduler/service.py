"""The service: APScheduler's triggers turned into runs, until it is told to stop."""

from __future__ import annotations

import contextlib
import logging
import random
import threading
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED
from apscheduler.executors.pool import ThreadPoolExecutor
from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.background import BackgroundScheduler

from etl.config import Source
from etl.errors import EtlError
from etl.load import worker_name
from etl.load.source_health import abandoned_sources, last_completions, release_all
from etl.log import get_logger
from etl.scheduler import alarms
from etl.scheduler.clock import follow_clock
from etl.scheduler.deliveries import Feeds
from etl.scheduler.in_flight import Slots
from etl.scheduler.ticks import TickRunner
from etl.scheduler.timing import ByCron, Every, next_interval, sync_trigger
from etl.scheduler.work import Telemetry, Work
from etl.worker import utc_now

#: Seconds of the shutdown time that are kept for giving leases back by force.
LAST_RESORT = 3.0
#: Seconds that the watch waits for the database before it judges by what is remembered.
READ_PATIENCE = 10.0
#: Seconds after the start at which spend is looked at first: when the first runs may have ended.
FIRST_LOOK = 30.0
#: The first runs of all sources begin within so many seconds.
SPREAD = 2.0


class Service:
    """Start it, reload it, stop it. Runs happen in its threads; the caller's is free."""

    def __init__(self, work: Work, telemetry: Telemetry, *, rng: random.Random | None = None) -> None:
        self.work = work
        self.stopping = threading.Event()
        self._slots = Slots()
        self._process = worker_name().rpartition(":")[0]
        self.feeds = Feeds(lambda: self.work, telemetry)
        self._turns = TickRunner(self._process, telemetry, self.stopping, self.feeds.synced)
        self._telemetry = telemetry
        self._rng = rng or random.Random()  # noqa: S311 (spreads load, keeps no secret)
        self._paces: dict[str, float] = {}
        self._tried: dict[str, datetime] = {}
        self._log = get_logger("service")
        self._scheduler = self._make_scheduler()
        self._thread: threading.Thread | None = None
        self._reader: threading.Thread | None = None
        self.released = True

    @property
    def alive(self) -> bool:
        """The thread that starts runs lives."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Every enabled source runs within SPREAD seconds, then on its schedule."""
        self._scheduler.start()
        self._thread = self._scheduler._thread
        for source in self._enabled_sources():
            self._add_source(source)
        self.feeds.follow()
        self._watch_every(self.work.app.config.lease.seconds / 3)
        self._scheduler.add_job(
            self._look_at_spend,
            Every(alarms.EVERY),
            id="alarms",
            executor="alarms",
            next_run_time=_moment_after(FIRST_LOOK),
        )
        follow_clock(self.stopping, self.clock_jumped)

    def clock_jumped(self, jump: timedelta) -> None:
        """The clock was set: what is waited for stays as far away; cron lines mean the new time."""
        self._log.warning("clock_jumped", seconds=round(jump.total_seconds(), 1))
        for job in self._scheduler.get_jobs():
            moment = utc_now()
            by_clock = isinstance(job.trigger, ByCron)
            due = job.trigger.get_next_fire_time(None, moment) if by_clock else job.next_run_time + jump
            with contextlib.suppress(JobLookupError):  # it ran meanwhile, for the last time
                job.modify(next_run_time=max(due, moment))
        self.feeds.clock_jumped(jump)

    def reload(self, work: Work) -> None:
        """Go on with another configuration; runs that have begun end as they began."""
        before = {source.name: source for source in self._enabled_sources()}
        old, self.work = self.work, work
        after = {source.name: source for source in self._enabled_sources()}
        for name in before.keys() - after.keys():
            self._drop_source(name)
        for name, source in after.items():
            if before.get(name) != source:
                self._drop_source(name)
                self._add_source(source)
        self.feeds.follow()
        self._watch_every(work.app.config.lease.seconds / 3)
        old.close()

    def stop(self, timeout: float) -> bool:
        """Runs finish their batch and give their leases back; True when that took less than `timeout`.

        A run that takes longer loses its lease: what it has not committed is read again by the next one.
        `released` is False afterwards when even that failed.
        """
        deadline = time.monotonic() + timeout
        self.stopping.set()
        self._slots.close()
        self.feeds.ask_to_stop()
        self._scheduler.shutdown(wait=False)
        while not self._slots.wait_idle(min(1.0, max(0.0, deadline - LAST_RESORT - time.monotonic()))):
            self._log.info("stopping", waiting_for=self._slots.busy())
            if time.monotonic() >= deadline - LAST_RESORT:
                self.feeds.end(deadline - LAST_RESORT)
                return self._abandon_runs()
        self.feeds.end(deadline - LAST_RESORT)
        self.work.close()
        return True

    def tick(self, name: str, kind: str = "incremental") -> None:
        """Run the source if it is due, in this thread; a run that is on makes it wait or skip."""
        if self.stopping.is_set() or not self._slots.enter(name, kind):
            return
        again = True
        while again:
            try:
                self._run_turn(name, kind)
            except Exception:  # noqa: BLE001 (a thread's last seam: the next tick must come)
                self._log.exception("tick_failed", source=name, kind=kind)
            finally:
                again, kind = self._slots.leave(name), "reconcile"

    def _run_turn(self, name: str, kind: str) -> None:
        source = next((s for s in self._enabled_sources() if s.name == name), None)
        if source is None or self.stopping.is_set():
            return
        if kind == "reconcile":
            wait = source.schedule.usual_interval
            try:
                wait = self._turns.reconcile(self.work, source, self._tried)
            finally:
                self._run_once_after(f"reconcile:{name}", wait, name, "reconcile")
            return
        outlook = self._turns.sync(self.work, source)
        if outlook.again is not None:
            self._run_once_after(f"again:{name}", outlook.again, name)
        if outlook.health is not None and source.schedule.every is not None:
            self._keep_pace(source, outlook.health.open_jobs, outlook.health.changed)

    def _keep_pace(self, source: Source, open_jobs: bool, changed: bool) -> None:
        current = self._paces.get(source.name, source.schedule.usual_interval)
        wanted = next_interval(current, source.schedule, open_jobs=open_jobs, changed=changed)
        if wanted != current and not self.stopping.is_set():
            self._paces[source.name] = wanted
            self._log.info("pace", source=source.name, seconds=wanted, open_jobs=open_jobs)
            with contextlib.suppress(JobLookupError):  # a reload removed the source meanwhile
                self._scheduler.reschedule_job(
                    f"sync:{source.name}", trigger=sync_trigger(source.schedule, wanted)
                )

    def _enabled_sources(self) -> list[Source]:
        return [source for source in self.work.app.config.sources if source.enabled]

    def _add_source(self, source: Source) -> None:
        self._paces[source.name] = source.schedule.usual_interval
        self._scheduler.add_job(
            self.tick,
            sync_trigger(source.schedule, source.schedule.usual_interval),
            args=[source.name],
            id=f"sync:{source.name}",
            next_run_time=_moment_after(
                self._rng.uniform(0.0, min(SPREAD, source.schedule.usual_interval / 4))
            ),
        )
        if source.schedule.reconcile.every is not None or source.schedule.reconcile.cron is not None:
            self._run_once_after(f"reconcile:{source.name}", SPREAD, source.name, "reconcile")

    def _drop_source(self, name: str) -> None:
        for job in (f"sync:{name}", f"again:{name}", f"reconcile:{name}"):
            with contextlib.suppress(JobLookupError):
                self._scheduler.remove_job(job)

    def _run_once_after(self, job: str, seconds: float, name: str, kind: str = "incremental") -> None:
        if not self.stopping.is_set():
            when = _moment_after(max(0.1, seconds))
            self._scheduler.add_job(
                self.tick, "date", run_date=when, args=[name, kind], id=job, replace_existing=True
            )

    def _watch_every(self, seconds: float) -> None:
        self._scheduler.add_job(
            self._watch_sources, Every(seconds), id="watch", executor="watch", replace_existing=True
        )

    def _watch_sources(self) -> None:
        """Take over what a dead process left, and notice sources that have grown stale.

        The database may be what broke, or hang: what is stale is then judged by what it said last.
        """
        if self._reader is None or not self._reader.is_alive():
            self._reader = threading.Thread(target=self._read_standing, name="watch", daemon=True)
            self._reader.start()
        self._reader.join(READ_PATIENCE)
        if self.work.notifier.active:
            limits = {s.name: s.schedule.slowest_interval(utc_now()) for s in self._enabled_sources()}
            feeds = self.feeds.limits(max(limits.values(), default=0.0))
            self.work.notifier.learn(self.feeds.completed())
            self.work.notifier.look(limits | feeds, utc_now())

    def _read_standing(self) -> None:
        work, names = self.work, {source.name for source in self._enabled_sources()}
        try:
            for name in (abandoned_sources(work.app.engine) & names) - set(self._slots.busy()):
                self._run_once_after(f"again:{name}", 0.0, name)
            if work.notifier.active:
                work.notifier.learn(dict.fromkeys(names) | last_completions(work.app.engine))
        except EtlError as error:  # runs report a broken database themselves
            self._log.debug("watch_failed", error=str(error))

    def _look_at_spend(self) -> None:
        work = self.work
        if not work.notifier.active or self.stopping.is_set():
            return
        try:
            alarms.look_at_spend(work, utc_now())
        except EtlError as error:  # runs report a broken database themselves
            self._log.debug("alarms_failed", error=str(error))

    def _abandon_runs(self) -> bool:
        """Give leases back over the heads of runs that do not end."""
        self._log.warning("leaving_runs_behind", sources=self._slots.busy())
        self.released = False
        thread = threading.Thread(target=self._release_leases, daemon=True)
        thread.start()
        thread.join(LAST_RESORT)
        return False

    def _release_leases(self) -> None:
        try:
            release_all(self.work.app.engine, self._process)
        except EtlError as error:
            self._log.error("leases_not_released", error=str(error))
        else:
            self.released = True

    def _make_scheduler(self) -> Any:
        logging.getLogger("apscheduler.scheduler").setLevel(logging.ERROR)  # we count overruns ourselves
        # Threads start only when needed; more sources than this wait for each other.
        threads = self.work.app.config.parallel
        scheduler = BackgroundScheduler(
            timezone=UTC,
            executors={
                "default": ThreadPoolExecutor(threads, {"thread_name_prefix": "run"}),
                "watch": ThreadPoolExecutor(1, {"thread_name_prefix": "watch"}),  # runs may all be waiting
                "alarms": ThreadPoolExecutor(1, {"thread_name_prefix": "alarms"}),  # and the watch not
            },
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        scheduler.add_listener(self._note_misfire, EVENT_JOB_MAX_INSTANCES | EVENT_JOB_MISSED)
        return scheduler

    def _note_misfire(self, event: Any) -> None:
        kind, _, name = event.job_id.partition(":")
        if kind == "sync":
            self._telemetry.misfired(name)


def _moment_after(seconds: float) -> datetime:
    return utc_now() + timedelta(seconds=seconds)
