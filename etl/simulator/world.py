"""A seeded world of video jobs that live, are listed, and are forgotten.

The drawn jobs are pure functions of seed and time; what a test adds, changes or deletes lies over them.
Every listing costs O(limit), at any size.
"""

import json
import threading
from collections.abc import Mapping
from itertools import islice
from typing import Any, NamedTuple

from etl.simulator.births import Births
from etl.simulator.clock import Clock, ManualClock
from etl.simulator.job_lives import WorldPlan
from etl.simulator.job_store import JobStore, UnknownCursor
from etl.simulator.profiles import PROFILES
from etl.simulator.versions import CONTRACT, parse_version
from etl.simulator.wire import wire_id

__all__ = ["START", "Listing", "UnknownCursor", "World"]

START = 1_767_225_600.0  # 2026-01-01T00:00:00Z


class Listing(NamedTuple):
    items: list[bytes]
    ids: list[str]
    more: bool


class World:
    """Jobs behind one provider.

    seed, jobs, start: the draw, how many jobs exist at `start` (unix seconds).
    rate: new jobs per simulated hour after the start; gap: mean seconds between earlier ones.
    retention: age in seconds after which the list forgets a job. deletions, failures, stuck, ties: fractions.
    accounts: how many, or {key name: weight}. clock: callable → unix seconds; a ManualClock unless given.
    shape: whose answers (profiles.PROFILES). version: a Bifrost's (versions.VERSIONS), which then decodes
    strictly; without one it behaves as the contract says, and shows what it is given. strict: overrides that.
    cap: no page holds more jobs, whatever was asked. window: how far back the list reaches (seconds), though
    a job can still be read by id. sort: how ties stand: created | id.
    """

    def __init__(
        self,
        seed: int = 1,
        jobs: int = 1000,
        start: float = START,
        *,
        rate: float = 0.0,
        gap: float = 10.0,
        provider: str = "openai",
        shape: str = "bifrost",
        retention: float | None = None,
        deletions: float = 0.0,
        failures: float = 0.07,
        stuck: float = 0.0,
        ties: float = 0.2,
        accounts: int | Mapping[str, float] = 1,
        clock: Clock | None = None,
        cache: int = 300_000,
        version: str | None = None,
        strict: bool | None = None,
        cap: int | None = None,
        window: float | None = None,
        sort: str = "created",
    ) -> None:
        named = accounts if isinstance(accounts, Mapping) else {f"key-{n + 1}": 1.0 for n in range(accounts)}
        self.accounts = dict(named)
        self.provider, self.shape, self.retention = provider, shape, retention
        self.profile = PROFILES[shape]
        self.version = parse_version(version) if version else CONTRACT
        self.strict = (version is not None) if strict is None else strict
        self.cap = cap
        self.clock: Clock = clock or ManualClock(start)
        weights = tuple(self.accounts.values())
        cancels = self.profile.cancels
        self.plan = WorldPlan(
            seed, jobs, start, rate, gap, provider, weights, failures, deletions, stuck, cancels, ties
        )
        reach = self.profile.window if window is None else window
        self._store = JobStore(self.plan, shape, retention, reach, sort, cache)
        self.births = Births(self._store, provider, shape)
        self._lock = threading.RLock()

    # time

    def now(self) -> float:
        return self.clock()

    def advance(self, seconds: float) -> float:
        clock = self.clock
        if not isinstance(clock, ManualClock):
            raise TypeError("this world's clock cannot be advanced")
        return clock.advance(seconds)

    def twin(self) -> "World":
        """Somebody else's jobs: the same plan, another seed."""
        plan = self.plan
        return World(
            plan.seed + 7919,
            max(plan.jobs, 10),
            plan.start,
            rate=plan.rate,
            gap=plan.gap,
            provider=self.provider,
            shape=self.shape,
            clock=self.clock,
            cache=10_000,
            strict=self.strict,
            cap=self.cap,
        )

    # reading

    def page(
        self,
        *,
        account: int | None = None,
        after: str | None = None,
        order: str = "desc",
        limit: int = 20,
        now: float | None = None,
    ) -> Listing:
        """Up to `limit` jobs behind the cursor. Raises DeadCursor. account None: every account's."""
        with self._lock:
            when = self.now() if now is None else now
            found = list(islice(self._store.walk(after, order == "asc", account, when), limit + 1))
            kept = found[:limit]
            return Listing([e.body for e in kept], [e.id for e in kept], len(found) > limit)

    def raw(self, id: str, account: int | None = None, now: float | None = None) -> bytes | None:
        """One listed job's JSON; None when the provider does not know it (any more)."""
        with self._lock:
            when = self.now() if now is None else now
            entry = self._store.listed(id, account, when)
            return entry.body if entry else None

    def job(self, id: str, now: float | None = None) -> Any:
        """The job as listed at `now`, or None."""
        body = self.raw(id, None, now)
        return None if body is None else _decode_body(body)

    def expected(self, now: float | None = None, account: int | str | None = None) -> list[Any]:
        """The truth: every listed job, oldest first, exactly as a page would show it (bytes, if no JSON)."""
        with self._lock:
            when = self.now() if now is None else now
            place = self.account(account) if isinstance(account, str) else account
            return [_decode_body(entry.body) for entry in self._store.walk(None, True, place, when)]

    def created(self, id: str) -> float:
        """When a job was made (unix seconds). Raises KeyError."""
        return self._store.created(id)

    def names(self, native: str) -> list[str]:
        """This world's name of a job that the provider calls `native`; none when there is no such job."""
        id = wire_id(native, self.provider, self.shape)
        return [id] if self._store.find(id) is not None else []

    def warm(self) -> None:
        """Render every listed job now, as far as the cache reaches, so that no page has to."""
        with self._lock:
            for _ in islice(self._store.walk(None, False, None, self.now()), self._store.room):
                pass

    def id_at(self, index: int) -> str:
        """The id of the drawn job number `index`, in creation order."""
        return self._store.id_at(index)

    def created_count(self) -> int:
        """How many jobs have ever been created, listed or not."""
        return self._store.created_count(self.now())

    def account(self, name: str) -> int | None:
        names = list(self.accounts)
        return names.index(name) if name in names else None

    # changing

    def add(self, job: Mapping[str, Any] | None = None, account: int = 0, **fields: Any) -> str:
        """Put a job in now; returns its id. Its `created_at` is its place in the order (default: now)."""
        with self._lock:
            return self._store.add({**dict(job or {}), **fields}, account, self.now())

    def update(self, id: str, **fields: Any) -> None:
        """Change fields of a job from now on, as the wire shows them; its own life goes on beneath."""
        with self._lock:
            self._store.change(id, dict(fields), self.now())

    def set(self, id: str, raw: bytes, account: int = 0) -> str:
        """From now on this job's bytes on a page are `raw`, valid or not; an unknown id is added."""
        with self._lock:
            if self._store.find(id) is None:
                id = self._store.add({"id": id}, account, self.now())
            self._store.change(id, raw, self.now())
            return id

    def delete(self, id: str) -> None:
        """The provider knows the job no longer, from now on."""
        with self._lock:
            self._store.remove(id, self.now())


def _decode_body(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body
