"""One fault: which requests it spoils, how often, and its arguments."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from etl.simulator.wire import Request, video_path


@dataclass
class Fault:
    name: str
    times: int | None = None
    skip: int = 0
    rate: float = 1.0
    match: dict[str, str] = field(default_factory=dict)
    args: dict[str, str] = field(default_factory=dict)
    hits: int = 0
    rng: random.Random = field(default_factory=lambda: random.Random(0), repr=False)
    moment: Callable[[float], float] = field(default=lambda s: time.time() + s, repr=False)

    def text(self, key: str, default: str = "") -> str:
        return self.args.get(key, default)

    def number(self, key: str, default: float = 0.0) -> float:
        return float(self.args.get(key, default))

    def strikes(self, request: Request) -> bool:
        """Whether this request is spoilt; counts it when it is."""
        if self.times == 0 or not self._matches(request):
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.rate < 1 and self.rng.random() >= self.rate:
            return False
        self.hits += 1
        if self.times is not None:
            self.times -= 1
        return True

    def _matches(self, request: Request) -> bool:
        if request.path.startswith("/api/"):
            return self.match.get("on") == "log"  # the log is spoilt only when it is meant
        asked = video_path(request.path)
        id = asked.id if asked else ""
        seen = {
            "after": request.query.get("after", ""),
            "order": request.query.get("order", "desc"),
            "id": id,
            "on": "job" if id else "list",
            "through": asked.through if asked else "",
        }
        return all(seen[key] == value for key, value in self.match.items())
