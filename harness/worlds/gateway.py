"""A gateway in memory, written from what gateways were seen to do, and not from the simulator: what one of
them gets wrong, the other one shows.

It answers with status, headers and bytes, or with the way the connection ends, and logs all that it sent.
"""

from __future__ import annotations

import gzip
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from harness.worlds import passthrough
from harness.worlds.answers import NO_BY_ID, PROVIDER, TROUBLES, Answer, Item, Refusal, Sent, error
from harness.worlds.items import contract_item, id_of_item, odd_id, odd_item
from harness.worlds.world import START, Job, World

_FEW = 20  # of a list that ignores its cursor
_TOKEN = "cursor_"


@dataclass
class _Page:
    jobs: list[Job]
    more: bool


class Gateway:
    """Ask it with `answer(target)`; `now` moves by each answer's latency. `calm`: no lies, no troubles."""

    def __init__(self, world: World) -> None:
        self.world, self.character = world, world.character
        self.cap = world.character.cap
        self.polled: dict[str, float] = {}  # when each job was last read by id
        self.pin: str | None = None
        self.now = 0.0
        self.calm = False
        self.log: list[Sent] = []
        self.on_request: Callable[[int], None] = lambda number: None
        id_ties = world.character.ties == "id"
        self._order = sorted(
            world.jobs, key=lambda job: (int(job.born), job.name if id_ties else "", job.born, job.name)
        )
        self._by_id = {self.id_of(job): job for job in world.jobs}
        self._last: tuple[list[Item], bool] | None = None
        self.next_trouble: str | None = None

    # --- what is true ---------------------------------------------------------------------------

    def id_of(self, job: Job) -> str:
        suffixed = self.character.dialect in ("bifrost", "bifrost2", "reference")
        return f"{job.name}:{PROVIDER}" if suffixed else job.name

    def is_listed(self, job: Job, at: float) -> bool:
        """By time and retention alone; a window is the list's affair."""
        if at < job.shown or (job.gone is not None and job.gone <= at < (job.back or 1e18)):
            return False
        return self.character.retention is None or at - job.born < self.character.retention

    def listed(self, at: float, *, strangers: bool = False) -> list[Job]:
        """Oldest first."""
        jobs = [job for job in self._order if job.stranger == strangers and self.is_listed(job, at)]
        window = self.character.window
        return jobs if window is None else jobs[-window:]

    def order_of(self, asked: str) -> str:
        """In which order it lists when asked for this one."""
        if self.character.ignores_after:
            return "desc"
        return asked if self.character.order == "both" else self.character.order

    def is_poison(self, job: Job, at: float) -> bool:
        return job.poison is not None and job.poison <= at and (job.cured is None or at < job.cured)

    def shown(self, job: Job, at: float) -> Item:
        """The item that a page shows of it at that time."""
        if job.odd is not None:
            return odd_item(job)
        if self.character.moves_by_id:
            at = min(at, self.polled.get(job.name, job.born))
        item = self.contract_of(job, at)
        for moment, name, value in job.edits:
            if moment <= at:
                item[name] = START + int(job.born) + value * 1000
        if self.character.dialect == "reference":
            item.pop("status")
            item.setdefault("error", {})
        return item

    def contract_of(self, job: Job, at: float) -> Item:
        return contract_item(job, at, self.id_of(job), self.character.skew)

    # --- what is said ---------------------------------------------------------------------------

    def answer(self, target: str, pin: str | None = None) -> Answer:
        self.pin = pin
        split = urlsplit(target)
        query = {name: values[-1] for name, values in parse_qs(split.query).items()}
        self.now += self.character.latency + 0.001
        rng = random.Random(f"{self.world.seed}/{len(self.log)}")
        sent = Sent(self.now, unquote(split.path), query, 200, "body")
        self.log.append(sent)
        self.on_request(len(self.log))
        answer = self._in_trouble(rng, sent) or self._answered(rng, sent)
        sent.status, sent.ending, sent.size = answer.status, answer.ending, len(answer.body)
        return answer

    def _answered(self, rng: random.Random, sent: Sent) -> Answer:
        try:
            if sent.path == "/v1/videos":
                return self._list(rng, sent)
            if sent.path.startswith(passthrough.PATH):
                return passthrough.answer(self, sent)
            return self._one(sent)
        except Refusal as refusal:
            sent.poisoned = "unmarshal" in str(refusal)
            if refusal.kind is not None:
                return Answer(refusal.status, str(refusal).encode(), refusal.kind)
            return error(refusal.status, str(refusal))

    def _in_trouble(self, rng: random.Random, sent: Sent) -> Answer | None:
        found, self.next_trouble = self.next_trouble, None
        if found is None and not self.calm:
            found = self._drawn(rng)
        if found is None:
            return None
        sent.trouble = found
        if found == "cut":
            whole = self._answered(rng, sent)
            sent.items = None
            return Answer(whole.status, whole.body[: len(whole.body) // 2], whole.kind, "cut")
        if found == "gzip_cut":
            whole, sent.items = self._answered(rng, sent), None
            return Answer(whole.status, gzip.compress(whole.body)[:-9], whole.kind, zipped=True)
        return TROUBLES[found]()

    def _drawn(self, rng: random.Random) -> str | None:
        found = next((o.trouble for o in self.world.outages if o.since <= self.now < o.until), None)
        for name, chance in self.world.troubles.items():
            if found is None and rng.random() < chance:
                found = name
        return found

    def _one(self, sent: Sent) -> Answer:
        how = self.character.by_id
        if how != "right":
            raise NO_BY_ID[how]
        job_id = sent.path.removeprefix("/v1/videos/")
        job = self._by_id.get(job_id)
        strangers = self._is_strangers_turn(sent)
        if job is None or job.stranger != strangers or job.odd or not self.is_listed(job, self.now):
            raise Refusal(404, "video not found")
        if self.is_poison(job, self.now):
            raise Refusal(500, "failed to unmarshal response from provider API")
        self.polled[job.name] = self.now
        item = {name: value for name, value in self.shown(job, self.now).items() if value}
        sent.items = [item]
        return Answer(200, json.dumps(item).encode())

    # --- the list -------------------------------------------------------------------------------

    def _list(self, rng: random.Random, sent: Sent) -> Answer:
        lie = self._lie(rng)
        sent.lies = (lie,) if lie else ()
        query = sent.query
        strangers = lie == "other_account" or self._is_strangers_turn(sent)
        if self.character.ties == "moving" and not self.calm:
            self._move_ties(rng, sent)
        jobs = self.listed(self.now, strangers=strangers)
        order = query.get("order", "desc")
        if lie == "order_ignored":
            order = "asc" if order == "desc" else "desc"
        order = self.order_of(order)
        jobs = jobs if order == "asc" else jobs[::-1]
        limit = min(max(int(query.get("limit") or 20), self.character.floor or 1), self.cap or 100)
        after = None if lie == "cursor_ignored" or self.character.ignores_after else query.get("after")
        if self.character.ignores_after:
            limit = min(limit, _FEW)
        page = self._cut(jobs, order, after, limit * 2 if lie == "limit_ignored" else limit)
        if self.character.ignores_after or self.character.has_more == "never":
            page.more = False
        elif self.character.has_more == "guess":
            page.more = len(page.jobs) >= limit
        return self._said(rng, sent, page, lie)

    def _is_strangers_turn(self, sent: Sent) -> bool:
        turn = self.pin == "b" or (self.pin is None and len(self.log) % 2 == 0)
        if not self.character.alternates or not turn:
            return False
        sent.lies = ("other_account",)
        return True

    def _move_ties(self, rng: random.Random, sent: Sent) -> None:
        """The order within each second is another one at each request."""
        self._order.sort(key=lambda job: (int(job.born), rng.random()))
        sent.lies = (*sent.lies, "moved")

    def _lie(self, rng: random.Random) -> str | None:
        if self.calm:
            return None
        return next((name for name, chance in self.world.lies.items() if rng.random() < chance), None)

    def _cut(self, jobs: list[Job], order: str, after: str | None, limit: int) -> _Page:
        start = 0
        if after:
            start = self._start(jobs, order, after)
        if start < 0:
            return _Page([], False)
        cut = jobs[start : start + limit]
        if any(self.is_poison(job, self.now) for job in cut):
            raise Refusal(500, "failed to unmarshal response from provider API")
        return _Page(cut, start + limit < len(jobs))

    def _start(self, jobs: list[Job], order: str, after: str) -> int:
        """Where the page behind a cursor begins; -1: nowhere. Ids work without their suffix too."""
        if self.character.apart:
            after = after.removeprefix(_TOKEN) if after.startswith(_TOKEN) else "an id, which is no cursor"
        native = after.removesuffix(f":{PROVIDER}")
        for index, job in enumerate(jobs):
            if native in (job.name, odd_id(job)):
                return index if self.character.inclusive else index + 1
        how = self.character.dead_cursor
        if how == "empty":
            return -1
        if how == "first_page":
            return 0
        if how == "exact":
            return self._exact(jobs, order, native)
        raise Refusal(int(how), "no such cursor" if how != "400" else "invalid after")

    def _exact(self, jobs: list[Job], order: str, native: str) -> int:
        """Where the job would stand if it were still listed."""
        names = [job.name for job in self._order]
        if native not in names:
            return 0
        place = names.index(native)
        passed = set(names[: place + 1] if order == "asc" else names[place:])
        return sum(job.name in passed for job in jobs)

    def _said(self, rng: random.Random, sent: Sent, page: _Page, lie: str | None) -> Answer:
        items = [self.shown(job, self.now) for job in page.jobs]
        more = page.more
        if lie == "repeat" and self._last is not None:
            items, more = self._last
        elif lie == "cached":
            items = self._stale(page)
            sent.cached = True
        elif lie in ("false_end", "empty", "null_data"):
            items, more = items[: rng.randint(0, len(items)) if lie == "false_end" else 0], False
        elif lie == "hollow" and page.jobs:
            sent.items = []
            return Answer(200, json.dumps(self._envelope([], True, items[-1], lie)).encode())
        elif lie == "more":
            more = not more
            others = tuple(name for name in sent.lies if name != "more")
            sent.lies = (*others, "more" if more else "less")
        elif lie == "dropped" and len(items) > 1:
            del items[rng.randrange(len(items))]
        elif lie == "doubled" and items:
            items = [*items, items[0]]
        if lie is None:
            self._last = (items, more)
        sent.items = items
        last = rng.choice(items) if lie == "wrong_last_id" and items else (items or [None])[-1]
        return Answer(200, json.dumps(self._envelope(items, more, last, lie)).encode())

    def _cursor_of(self, job_id: str | None) -> str | None:
        return f"{_TOKEN}{job_id}" if job_id and self.character.apart else job_id

    def _stale(self, page: _Page) -> list[Item]:
        old = self.now - 3600
        return [self.shown(job, old) for job in page.jobs if self.is_listed(job, old)]

    def _envelope(self, items: list[Item], more: bool, last: Item, lie: str | None) -> dict[str, Any]:
        character = self.character
        body: dict[str, Any] = {"object": "list", "data": None if lie == "null_data" else items}
        for name, value, how in (
            ("last_id", self._cursor_of(id_of_item(last)), character.last_id),
            ("has_more", more, character.has_more),
        ):
            if how != "absent":
                body[name] = None if how == "null" else value
        if character.dialect in ("bifrost", "bifrost2"):
            extra: dict[str, Any] = {"request_type": "video_list", "provider": PROVIDER, "latency": 12}
            if character.dialect == "bifrost2":
                other = lie == "other_account" or "other_account" in self.log[-1].lies
                extra["routing_info"] = {"provider": PROVIDER, "key": "b" if other else "a"}
            body["extra_fields"] = extra
        if lie == "cached":
            body.setdefault("extra_fields", {})["cache_debug"] = {"cache_hit": True, "hit_type": "direct"}
        return body
