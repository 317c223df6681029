"""What a world is: plain data, so that it prints, replays from a file and shrinks part by part.

Times are seconds since the world's first moment, `START`; the gateway's own clock is `skew` ahead.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

START = 1_767_225_600  # 2026-01-01, unix seconds
DAY = 86_400.0


@dataclass
class Character:
    """What kind of gateway it is. Each default is the plain one, which shrinking tries first.

    dialect: bifrost (suffixed ids, extra_fields) | bifrost2 (routing_info) | openai | reference (no status).
    order: both | desc | asc: the only one it lists in. ties: sequence | id | moving (anew for each page,
    while the disorder lasts), within a second.
    dead_cursor: 400 | 404 | 410 | 422 | empty | first_page | exact, where `after` names no listed job.
    has_more, last_id: right | absent | null; has_more also never (no page says that more follows) | guess (a
    full page says so, the last one too). apart: ids are no cursors, `last_id` is one. inclusive: the page
    behind a job begins with that job. floor: no page is asked for fewer. by_id: right | 404 | html | 403.
    window: it lists its newest so many only. ignores_after: every page is the newest one. alternates: every
    other answer is another account's. passthrough: none | right | list_only: the provider's own bytes, and
    whether single jobs are among them. moves_by_id: a listed status is that of the last read by id.
    """

    dialect: str = "bifrost"
    cap: int | None = None
    order: str = "both"
    ties: str = "sequence"
    dead_cursor: str = "404"
    retention: float | None = None
    window: int | None = None
    ignores_after: bool = False
    alternates: bool = False
    passthrough: str = "none"
    moves_by_id: bool = False
    has_more: str = "right"
    last_id: str = "right"
    by_id: str = "right"
    skew: int = 0
    latency: float = 0.05
    apart: bool = False
    inclusive: bool = False
    floor: int | None = None


@dataclass
class Job:
    """One job's life. `steps` are (time, status, progress); `edits` are (time, field, value), late changes.

    `odd`: the item is no readable job: null | number | no_id | list. `poison` is when it becomes unreadable
    for the gateway itself, `cured` when that ends. It is listed from `shown`, a moment after `born`.
    """

    name: str
    born: float
    shown: float
    steps: list[tuple[float, str, int]]
    gone: float | None = None
    back: float | None = None
    dated: bool = True
    stranger: bool = False
    odd: str | None = None
    poison: float | None = None
    cured: float | None = None
    edits: list[tuple[float, str, Any]] = field(default_factory=list)


@dataclass
class Action:
    """After `wait` seconds: sync or reconcile. `kill` is (request | before | after | statement, n): at the
    n-th request, before the n-th commit, after it, at the n-th statement. `stop` asks for an end at the n-th
    request. From then on our clock is so far ahead (`clock`), and pages hold at most `cap` jobs (0: any)."""

    wait: float
    kind: str = "sync"
    kill: tuple[str, int] | None = None
    stop: int | None = None
    clock: float | None = None
    cap: int | None = None


@dataclass
class Settings:
    """How the product is configured. `batch` is its pages per commit, `eager` starts every lane at once."""

    page_size: int = 10
    lanes: int = 2
    concurrency: int = 4
    patience: float = 86400.0
    rereads: int = 20
    batch: int = 3
    segment: int = 20
    eager: bool = True
    attempts: int = 3
    probe: bool = True


@dataclass
class Outage:
    """Between two times every answer is this trouble."""

    since: float
    until: float
    trouble: str


@dataclass
class World:
    """`lies` and `troubles` are chances per answer, by name, while the disorder lasts."""

    seed: int
    character: Character = field(default_factory=Character)
    settings: Settings = field(default_factory=Settings)
    jobs: list[Job] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    lies: dict[str, float] = field(default_factory=dict)
    troubles: dict[str, float] = field(default_factory=dict)
    outages: list[Outage] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(told: dict[str, Any]) -> World:
        jobs = [
            Job(
                **{
                    **job,
                    "steps": [tuple(s) for s in job["steps"]],
                    "edits": [tuple(e) for e in job["edits"]],
                }
            )
            for job in told["jobs"]
        ]
        actions = [
            Action(**{**action, "kill": action["kill"] and tuple(action["kill"])})
            for action in told["actions"]
        ]
        return World(
            **{**told, "jobs": jobs, "actions": actions},
        )._revived()

    def _revived(self) -> World:
        """Nested parts, read from JSON, as what they are."""
        if isinstance(self.character, dict):
            self.character = Character(**self.character)
        if isinstance(self.settings, dict):
            self.settings = Settings(**self.settings)
        self.outages = [Outage(**o) if isinstance(o, dict) else o for o in self.outages]
        return self

    def oddities(self) -> list[str]:
        """What is not plain about the gateway, for the report."""
        plain = Character()
        names = [f.name for f in fields(Character)]
        told = [
            f"{n}={getattr(self.character, n)}"
            for n in names
            if getattr(self.character, n) != getattr(plain, n)
        ]
        return told + sorted(self.lies) + sorted(self.troubles) + sorted({o.trouble for o in self.outages})
