"""Where a world keeps its jobs: the drawn ones, computed when looked at, and those that tests put in by hand.

A reference is an int: a drawn job's index, or -1, -2, … for the added ones.
"""

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from heapq import merge
from itertools import chain, groupby
from typing import Any, NamedTuple

from etl.simulator.job_lives import Fate, Job, WorldPlan
from etl.simulator.profiles import PROFILES
from etl.simulator.wire import dress_job, dump_json, finish_job, native_id, wire_id

ListPlace = tuple[float, int, int]  # (created, 0 drawn | 1 added, number): the order of the list


class UnknownCursor(Exception):
    """`after` names a job that this list does not hold."""


class Entry(NamedTuple):
    settled: float  # from when the bytes stand still; inf: never
    gone: float
    account: int
    place: ListPlace
    id: str
    body: bytes


class Added(NamedTuple):
    fields: Job
    account: int
    since: float
    place: ListPlace


class JobStore:
    """sort: created (ties as they were made) | id (jobs of one second stand by their ids).

    retention: age in seconds after which a job is forgotten; window: after which it is only listed no more.
    """

    def __init__(
        self,
        plan: WorldPlan,
        shape: str,
        retention: float | None,
        window: float | None,
        sort: str,
        cache: int,
    ) -> None:
        self.fate, self._provider, self._shape, self._sort = Fate(plan), plan.provider, shape, sort
        self._retention = math.inf if retention is None else retention
        self._window = min(self._retention, math.inf if window is None else window)
        self._cache: dict[int, Entry] = {}
        self.room = cache
        self.added: dict[int, Added] = {}
        self._by_id: dict[str, int] = {}
        self._order: list[tuple[ListPlace, int]] = []
        self._gone: dict[int, float] = {}
        self.removed: list[tuple[float, int]] = []  # by hand: when, which
        self.changes: dict[int, list[tuple[float, Job | bytes]]] = {}

    # reading

    def walk(self, after: str | None, ascending: bool, account: int | None, when: float) -> Iterator[Entry]:
        """The listed jobs behind the cursor, in order. Raises DeadCursor."""
        cursor = self._find_cursor(after, account, when) if after else None
        if self._sort == "id":
            return self._walk_seconds(cursor, ascending, account, when)
        return self._walk_places(cursor.place if cursor else None, ascending, account, when)

    def _walk_places(
        self, cursor: ListPlace | None, ascending: bool, account: int | None, when: float
    ) -> Iterator[Entry]:
        drawn = self._walk_drawn(cursor, ascending, account, when)
        refs = self._added_behind(cursor, ascending)
        if not refs:
            return drawn
        oldest = when - self._window
        added = (self._entry_of(ref, when) for ref in refs if self.added[ref].since <= when)
        seen = (e for e in added if e.place[0] > oldest and self._shows_entry(e, account, when))
        return merge(drawn, seen, key=lambda entry: entry.place, reverse=not ascending)

    def _walk_seconds(
        self, cursor: Entry | None, ascending: bool, account: int | None, when: float
    ) -> Iterator[Entry]:
        """In the order of whole seconds, and of ids within one."""
        edge: ListPlace | None = None
        if cursor:
            second = math.floor(cursor.place[0]) + (not ascending)
            edge = (math.nextafter(second, -math.inf), 1, 0 if ascending else 1 << 60)
        groups = groupby(self._walk_places(edge, ascending, account, when), _second_of_creation)
        entries = chain.from_iterable(
            sorted(group, key=lambda entry: entry.id, reverse=not ascending) for _, group in groups
        )
        if cursor is None:
            return entries
        here = (_second_of_creation(cursor), cursor.id)
        return (
            e for e in entries if ((_second_of_creation(e), e.id) > here) == ascending and e.id != cursor.id
        )

    def listed(self, id: str, account: int | None, when: float) -> Entry | None:
        ref = self.find(id)
        if ref is None or not self._exists_at(ref, when):
            return None
        entry = self._entry_of(ref, when)
        return entry if self._shows_entry(entry, account, when) else None

    def find(self, id: str) -> int | None:
        if id in self._by_id:
            return self._by_id[id]
        native = native_id(id, self._provider, self._shape)
        return None if native is None else self.fate.index_of(native)

    def id_at(self, index: int) -> str:
        return wire_id(self.fate.native(index), self._provider, self._shape)

    def created(self, id: str) -> float:
        ref = self._known(id)
        return self.added[ref].place[0] if ref < 0 else self.fate.created(ref)

    def created_count(self, when: float) -> int:
        return self.fate.made_by(when) + len(self.added)

    # changing

    def add(self, given: Job, account: int, when: float) -> str:
        id = self._with_suffix(str(given.get("id") or f"video_added{len(self.added):043x}"))
        if self.find(id) is not None:
            raise ValueError(f"{id} is already in this world")
        base: Job = {"id": id, "object": "video", "model": "sora-2", "status": "queued", "progress": 0}
        rest: Job = {"created_at": int(when), "size": "720x1280", "seconds": "4", "prompt": "A paper boat"}
        ref = -1 - len(self.added)
        place = (_sort_time(given.get("created_at"), when), 1, -ref)
        self.added[ref] = Added({**base, **rest, **given, "id": id}, account, when, place)
        self._by_id[id] = ref
        insort(self._order, (place, ref))
        return id

    def change(self, id: str, change: Job | bytes, when: float) -> None:
        ref = self._known(id)
        self.changes.setdefault(ref, []).append((when, change))
        self._cache.pop(ref, None)

    def remove(self, id: str, when: float) -> None:
        ref = self._known(id)
        self.removed.append((when, ref))
        self._gone[ref] = min(self._gone.get(ref, math.inf), when)
        self._cache.pop(ref, None)

    # beneath

    def _walk_drawn(
        self, cursor: ListPlace | None, ascending: bool, account: int | None, when: float
    ) -> Iterator[Entry]:
        low, high = self.fate.made_by(when - self._window), self.fate.made_by(when)
        if cursor and ascending:
            low = max(low, self._drawn_before(cursor, inclusive=True))
        elif cursor:
            high = min(high, self._drawn_before(cursor, inclusive=False))
        # Inlined rather than calling _entry and _shows: this loop is the whole cost of a page.
        cached = self._cache.get
        for ref in range(low, high) if ascending else range(high - 1, low - 1, -1):
            entry = cached(ref)
            if entry is None or entry.settled > when:
                entry = self._draw_entry(ref, when)
            if entry.gone > when and (account is None or entry.account == account):
                yield entry

    def _drawn_before(self, cursor: ListPlace, inclusive: bool) -> int:
        created, added, number = cursor
        return self.fate.made_by(created) if added else number + inclusive

    def _added_behind(self, cursor: ListPlace | None, ascending: bool) -> list[int]:
        order = self._order
        if cursor is None:
            part = order
        elif ascending:
            part = order[bisect_right(order, (cursor, 1)) :]
        else:
            part = order[: bisect_left(order, (cursor, -math.inf))]
        refs = [ref for _, ref in part]
        return refs if ascending else refs[::-1]

    def _find_cursor(self, id: str, account: int | None, when: float) -> Entry:
        """A cursor may also be the provider's own id."""
        entry = self.listed(id, account, when) or self.listed(
            wire_id(id, self._provider, self._shape), account, when
        )
        if entry is None:
            raise UnknownCursor(id)
        return entry

    def _exists_at(self, ref: int, when: float) -> bool:
        return self.added[ref].since <= when if ref < 0 else ref < self.fate.made_by(when)

    def _shows_entry(self, entry: Entry, account: int | None, when: float) -> bool:
        kept = entry.gone > when and entry.place[0] > when - self._retention
        return kept and (account is None or entry.account == account)

    def _entry_of(self, ref: int, when: float) -> Entry:
        entry = self._cache.get(ref)
        if entry is not None and entry.settled <= when:
            return entry
        return self._draw_entry(ref, when) if ref >= 0 else self._read_entry(ref, when)

    def _draw_entry(self, ref: int, when: float) -> Entry:
        life = self.fate.life(ref)
        job = dress_job(self.fate.job(life, when), self._provider, self._shape)
        changed = ref in self.changes
        body = self._apply_change(ref, job, when) if changed else dump_json(job, self._escapes)
        gone = min(life.deleted, self._gone.get(ref, math.inf))
        settled = math.inf if changed else life.settled
        entry = Entry(settled, gone, life.account, (life.created, 0, ref), job["id"], body)
        if settled <= when:
            self._remember_entry(ref, entry)
        return entry

    def _read_entry(self, ref: int, when: float) -> Entry:
        added = self.added[ref]
        body = self._apply_change(ref, finish_job(added.fields, self._shape), when)
        gone = self._gone.get(ref, math.inf)
        return Entry(math.inf, gone, added.account, added.place, added.fields["id"], body)

    def _apply_change(self, ref: int, job: Job, when: float) -> bytes:
        """The job's bytes with what was changed by hand; the last change wins."""
        raw: bytes | None = None
        for since, change in self.changes.get(ref, ()):
            if since > when:
                break
            raw = change if isinstance(change, bytes) else None
            if not isinstance(change, bytes):
                job = {**job, **change}
        return dump_json(finish_job(job, self._shape), self._escapes) if raw is None else raw

    @property
    def _escapes(self) -> bool:
        return PROFILES[self._shape].suffixed

    def _remember_entry(self, ref: int, entry: Entry) -> None:
        if len(self._cache) >= self.room:
            self._cache.clear()
        self._cache[ref] = entry

    def _known(self, id: str) -> int:
        ref = self.find(id)
        if ref is None:
            raise KeyError(id)
        return ref

    def _with_suffix(self, id: str) -> str:
        profile = PROFILES[self._shape]
        if profile.suffixed:
            return id if id.endswith(f":{self._provider}") else f"{id}:{self._provider}"
        return wire_id(id, self._provider, self._shape) if profile.wrapped else id


def _sort_time(created: Any, when: float) -> float:
    """Where an added job stands; within the current second it is the newest."""
    if not isinstance(created, int | float) or not abs(created) < 1e11 or int(created) == int(when):
        return when
    return float(created)


def _second_of_creation(entry: Entry) -> int:
    return math.floor(entry.place[0])
