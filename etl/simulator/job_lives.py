"""The life of one job, as a pure function of seed, index and time.

Nothing is stored: a world of a million jobs costs nothing until it is looked at, and no request can change
what another one sees. Times are unix seconds.
"""

import hashlib
import math
import struct
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, NamedTuple

from etl.simulator import prompts

_WORDS = struct.Struct("<16I")
_UNIT = 2.0**-32
DAY = 86400.0

Job = dict[str, Any]

#: Of each model its name, sizes and lengths.
Models = tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
OPENAI_MODELS: Models = (
    ("sora-2", ("720x1280", "1280x720"), ("4", "8", "12")),
    ("sora-2", ("1280x720", "720x1280"), ("4", "8")),
    ("sora-2-pro", ("1280x720", "1024x1792", "1792x1024", "1920x1080"), ("4", "8", "12")),
)
CUSTOM_MODELS = (
    *OPENAI_MODELS,
    ("veo-3.1-generate-preview", ("1280x720", "1920x1080", "3840x2160"), ("4", "6", "8")),
    ("veo-3.1-fast-generate-preview", ("1280x720", "1920x1080"), ("4", "6", "8")),
)
GOOGLE = ("gemini", "vertex")
GOOGLE_MODELS = (("veo-3.1-generate-preview", ("1280x720", "1920x1080"), ("4", "6", "8")),)
RUNWAY_MODELS = (
    ("gen4_turbo", ("1280x720", "720x1280"), ("5", "10")),
    ("gen4_aleph", ("1280x720",), ("5",)),
)
FAILURES = (
    ("moderation_blocked", "Your request was blocked by our moderation system."),
    ("moderation_blocked", "Your request was blocked by our moderation system."),
    ("rate_limit_exceeded", "Rate limit reached for sora-2 in organization org-sim on requests per min."),
    ("internal_error", "The server had an error while processing your request. Sorry about that!"),
    ("video_generation_failed", "Video generation failed."),
    ("input_image_rejected", 'The reference image is larger than <1280x720> & was "rejected".'),
)


@dataclass(frozen=True)
class WorldPlan:
    """What a world is drawn from."""

    seed: int
    jobs: int
    start: float
    rate: float  # new jobs per simulated hour after the start
    gap: float  # mean seconds between the jobs made before the start
    provider: str = "openai"
    weights: tuple[float, ...] = (1.0,)  # of the accounts
    failures: float = 0.07
    deletions: float = 0.0
    stuck: float = 0.0  # jobs that stay open for days
    cancels: bool = False  # some failures are cancellations
    ties: float = 0.2  # of every second job, created in the same instant as the one before

    @property
    def custom(self) -> bool:
        return self.provider not in ("openai", "azure")


class Life(NamedTuple):
    number: int
    native: str
    created: float
    begun: float
    settled: float
    outcome: str  # completed | failed | cancelled
    deleted: float
    account: int
    words: tuple[int, ...]


class Fate:
    """Draws lives from a plan."""

    def __init__(self, plan: WorldPlan) -> None:
        self.plan = plan
        self._key = hashlib.blake2b(repr(plan.seed).encode(), digest_size=16).digest()
        self._bounds = [w / sum(plan.weights) for w in accumulate(plan.weights)]
        self._prefix = "gen/video_" if plan.custom else "video_"
        self._models: Models = CUSTOM_MODELS if plan.custom else OPENAI_MODELS
        if plan.provider == "runway":
            self._models = RUNWAY_MODELS
        if plan.provider in GOOGLE:
            self._prefix = f"models/{GOOGLE_MODELS[0][0]}/operations/"
            self._models = GOOGLE_MODELS
        self._step = 3600.0 / plan.rate if plan.rate else math.inf

    def life(self, index: int) -> Life:
        digest = self._draw_digest(index)
        words = _WORDS.unpack(digest)
        created = self._created(index, words)
        begun = created + 1 + 60 * (words[6] * _UNIT) ** 3
        settled = begun + self._render_time(words)
        return Life(
            index,
            self._make_id(index, digest, created),
            created,
            begun,
            settled,
            self._draw_outcome(words[8] * _UNIT),
            self._draw_deletion(words, created),
            min(bisect_right(self._bounds, words[2] * _UNIT), len(self._bounds) - 1),
            words,
        )

    def created(self, index: int) -> float:
        """Never falls as the index rises, so positions can be computed instead of stored."""
        return self._created(index, _WORDS.unpack(self._draw_digest(index)))

    def _created(self, index: int, words: tuple[int, ...]) -> float:
        plan = self.plan
        if index % 2 and index != plan.jobs and words[1] * _UNIT < plan.ties:
            index -= 1
            words = _WORDS.unpack(self._draw_digest(index))
        place: float = index - plan.jobs + words[0] * _UNIT
        return plan.start + place * (plan.gap if place < 0 else self._step)

    def made_by(self, when: float) -> int:
        """How many jobs had been created at `when` (inclusive)."""
        plan = self.plan
        if when == -math.inf:
            return 0
        most = math.inf if plan.rate else plan.jobs
        step = plan.gap if when < plan.start else self._step
        count = int(max(0, min(most, plan.jobs + (when - plan.start) // step)))
        while count and self.created(count - 1) > when:
            count -= 1
        while count < most and self.created(count) <= when:
            count += 1
        return count

    def index_of(self, native: str) -> int | None:
        """The index that `native` was made from; None when this world never made it."""
        tail = native.removeprefix(self._prefix)
        try:
            index = int(tail[32:48], 16) ^ int(tail[16:32], 16)
        except ValueError:
            return None
        return index if index < 1 << 40 and self.native(index) == native else None

    def native(self, index: int) -> str:
        digest = self._draw_digest(index)
        return self._make_id(index, digest, self._created(index, _WORDS.unpack(digest)))

    def job(self, life: Life, now: float) -> Job:
        """The job as its provider knows it at `now`: native ids, nothing omitted but what is unknown."""
        words = life.words
        model, sizes, lengths = self._models[words[3] % len(self._models)]
        job: Job = {
            "id": life.native,
            "object": "video",
            "model": model,
            "status": self._status_at(life, now),
            "progress": self._progress_at(life, now),
            "created_at": int(life.created),
            "size": sizes[words[5] % len(sizes)],
            "seconds": lengths[words[4] % len(lengths)],
            "prompt": prompts.write_prompt(words[12]),
        }
        if words[11] % 12 == 0 and life.number:
            job["remixed_from_video_id"] = self.native(life.number - 1 - words[11] % min(life.number, 500))
        if now >= life.settled:
            self._settle_job(job, life)
        return job

    def _settle_job(self, job: Job, life: Life) -> None:
        if life.outcome == "completed":
            job["completed_at"] = int(life.settled)
            job["expires_at"] = int(life.settled + DAY)
        elif life.outcome == "failed":
            code, message = FAILURES[life.words[9] % len(FAILURES)]
            job["error"] = {"code": code, "message": message}
            if code == "internal_error":
                job["completed_at"] = int(life.settled)

    def _status_at(self, life: Life, now: float) -> str:
        if now >= life.settled:
            return life.outcome
        return "in_progress" if now >= life.begun else "queued"

    def _progress_at(self, life: Life, now: float) -> float:
        full = 1 if self.plan.custom else 100
        if now >= life.settled and life.outcome == "completed":
            return full
        share = (min(now, life.settled) - life.begun) / (life.settled - life.begun)
        percent = max(0, min(99, int(100 * share)))
        return percent / 100 if self.plan.custom else percent

    def _draw_outcome(self, chance: float) -> str:
        if chance >= self.plan.failures:
            return "completed"
        cancels = self.plan.custom or self.plan.cancels
        return "cancelled" if cancels and chance < self.plan.failures / 4 else "failed"

    def _render_time(self, words: tuple[int, ...]) -> float:
        seconds = 20 + 280 * (words[7] * _UNIT) ** 2
        return seconds + 3 * DAY if words[14] * _UNIT < self.plan.stuck else seconds

    def _draw_deletion(self, words: tuple[int, ...], created: float) -> float:
        if words[15] * _UNIT >= self.plan.deletions:
            return math.inf
        return created + 30 + 2 * DAY * (words[10] * _UNIT) ** 2

    def _make_id(self, index: int, digest: bytes, created: float) -> str:
        """OpenAI's ids begin with the second of creation: video_68d7512d0784… was created at 0x68d7512d."""
        head = digest[:16].hex()
        if not self.plan.custom:
            head = f"{int(min(max(created, 0), 2**32 - 1)):08x}{head[8:]}"
        return f"{self._prefix}{head}{index ^ int(head[16:], 16):016x}"

    def _draw_digest(self, index: int) -> bytes:
        return hashlib.blake2b(index.to_bytes(8, "little"), key=self._key, digest_size=64).digest()
