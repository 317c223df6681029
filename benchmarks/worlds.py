"""What gateways really send, and the simulator's tidy world does not: two worlds drawn from a seed.

*reference*: every field of the reference page is filled, no job has a status, each has an error object; ids
are in random order; every page carries `cache_debug`, one in fifty as a hit (a stale page, to be asked for
again); the newest jobs are open. `change()` changes every tenth job.

*dirty*: the same, but each job and each page has fields that nobody told us about, and every hundredth item
cannot be understood.
"""

from __future__ import annotations

import json
import random
from typing import Any

WORLDS = ("reference", "dirty")
#: Every so many jobs one changes, and one is not to be understood.
CHANGED, SPOILT = 10, 100
#: The newest jobs, of which every third is open.
NEWEST = 60
_GAP = 20
_HIT = 50
_MODELS = (("sora-2", "1280x720"), ("sora-2", "720x1280"), ("sora-2-pro", "1792x1024"))
_SCENE = """a slow dolly shot of a lighthouse above the sea at dawn, gulls, warm light, 35mm film grain, the
keeper climbs a spiral stair with a lantern; rain on the window, thunder far away, no text, calm music"""
_WORDS = _SCENE.split()


class World:
    """`jobs` items of a world, newest created just before `now` (unix seconds). Ids name no time."""

    def __init__(self, name: str, jobs: int, now: int, seed: int = 17) -> None:
        self._dirty, self._jobs, self._now = name == "dirty", jobs, now
        self._seed, self._generation = seed, 0
        self.ids = [_id(seed, number) for number in range(jobs)]
        self.items = [self._item(number) for number in range(jobs)]
        self._places = {key: place for place, key in enumerate(self.ids)}

    def change(self) -> int:
        """Every tenth job says something new from now on; returns how many."""
        self._generation += 1
        changed = range(0, self._jobs, CHANGED)
        for number in changed:
            self.items[number] = self._item(number)
        return len(changed)

    def page(self, after: str | None, order: str, limit: int) -> tuple[list[int], bool]:
        """Numbers of the items behind the cursor, and whether there are more. Raises KeyError."""
        if order == "asc":
            start = 0 if after is None else self._places[after] + 1
            return list(range(start, min(start + limit, self._jobs))), start + limit < self._jobs
        start = self._jobs if after is None else self._places[after]
        return list(range(start - 1, max(start - 1 - limit, -1), -1)), start > limit

    def body(self, after: str | None, order: str, limit: int) -> bytes:
        """One page. Raises KeyError for a cursor that this world does not know."""
        numbers, more = self.page(after, order, limit)
        items = b",".join([self.items[number] for number in numbers])
        ids = [self.ids[number] for number in numbers] or [""]
        rest = {"first_id": ids[0], "has_more": more, "last_id": ids[-1]}
        rest["extra_fields"] = self._extra_fields(numbers[0] if numbers else 0, limit)
        return b'{"object":"list","data":[%b],%b' % (items, json.dumps(rest).encode()[1:])

    def job(self, key: str) -> bytes:
        """One job. Raises KeyError."""
        return self.items[self._places[key]]

    def _extra_fields(self, number: int, limit: int) -> dict[str, Any]:
        """A hit is answered with the same page, asked for with a full page's limit; then comes a miss."""
        used = {"provider_used": "openai", "model_used": "text-embedding-3-small", "input_tokens": 12}
        debug: dict[str, Any] = {"cache_hit": False, **used}
        if limit == 100 and number // 100 % _HIT == 7:
            asked = {"requested_provider": "openai", "requested_model": "sora-2"}
            debug = {"cache_hit": True, "cache_id": f"entry-{number}", "hit_type": "direct", **asked}
            if number % 200 >= 100:
                debug |= {"hit_type": "semantic", **used, "threshold": 0.8, "similarity": 0.93}
        fields = {
            "request_type": "video_list",
            "provider": "openai",
            "model_requested": "sora-2",
            "model_deployment": "sora-2",
            "latency": 41 + number % 7,
            "chunk_index": 0,
            "raw_request": {},
            "raw_response": {},
            "cache_debug": debug,
        }
        return fields | {"routing": {"engine": "v2", "weights": [1, 2]}} if self._dirty else fields

    def _item(self, number: int) -> bytes:
        if self._dirty and number % SPOILT == SPOILT // 2:
            return b'{"id":{"of":%d},"object":"video","prompt":"cut o' % number + b'off"}'
        return json.dumps(self._job(number), ensure_ascii=False, separators=(",", ":")).encode()

    def _job(self, number: int) -> dict[str, Any]:
        draw = random.Random(self._seed * 1_000_003 + number)
        model, size = draw.choice(_MODELS)
        created = self._now - (self._jobs - number) * _GAP
        fails = draw.random() < 0.05
        nothing = {"code": None, "message": None}
        job: dict[str, Any] = {
            "id": self.ids[number],
            "object": "video",
            "model": model,
            "created_at": created,
            "completed_at": created + draw.randrange(20, 300),
            "expires_at": created + 86_400,
            "progress": 100,
            "prompt": " ".join(draw.choices(_WORDS, k=draw.randrange(8, 60))),
            "remixed_from_video_id": self.ids[max(0, number - draw.randrange(1, 500))],
            "seconds": draw.choice(("4", "8", "12")),
            "size": size,
            "error": nothing,
        }
        if fails:
            job["error"] = {"code": "moderation_blocked", "message": "Your request was blocked: “unsafe”."}
        if self._jobs - number < NEWEST and number % 3 == 0:
            job |= {"completed_at": None, "expires_at": None, "progress": 40, "error": nothing}
        if self._generation and number % CHANGED == 0:
            job["expires_at"] = created + 86_400 + 60 * self._generation
        if self._dirty:
            job |= {"quality": "high", "usage": {"tokens": number, "tiers": [1, 2]}}
        return job


def _id(seed: int, number: int) -> str:
    draw = random.Random(seed * 7_919 + number)
    return f"video_{draw.getrandbits(192):048x}:openai"


def numbers_spoilt(jobs: int) -> range:
    """Numbers of a dirty world's items that cannot be understood."""
    return range(SPOILT // 2, jobs, SPOILT)
