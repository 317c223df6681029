"""What a gateway is set to, and may be set to otherwise while it runs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

DEAD_CURSORS = ("400", "404", "410", "422", "empty", "first_page")


@dataclass
class GatewaySettings:
    """dead_cursor: DEAD_CURSORS, what an unknown `after` is answered with. latency: seconds of every answer.

    allow_raw: the configuration lets a request ask for the provider's raw answer. passthrough: whether
    `/openai_passthrough/` is there. log_content: whether the gateway's log keeps prompts, parameters and
    outputs; log_delay: within how many seconds a row is written; log_polls: whether whoever made a job reads
    it by id, which the log tells; log_settles_as: the object of a settler's row (from 2.1), "" for that of
    the request that made the job; log_retention: the age in seconds at which a row is removed; logs: whether
    the gateway keeps a log at all.
    """

    dead_cursor: str = "404"
    latency: float = 0.0
    allow_raw: bool = False
    passthrough: bool = True
    log_content: bool = True
    log_delay: float = 2.0
    log_polls: bool = True
    log_settles_as: str = ""
    log_retention: float = 365 * 86400.0
    logs: bool = True

    def __post_init__(self) -> None:
        self.dead_cursor = str(self.dead_cursor)
        if self.dead_cursor not in DEAD_CURSORS:
            raise ValueError(f"a dead cursor is answered with one of {', '.join(DEAD_CURSORS)}")


def on_or_off(text: str) -> bool:
    """Raises ValueError for anything but on, off and their synonyms."""
    known = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}
    if text.lower() not in known:
        raise ValueError(f"{text!r} is neither on nor off")
    return known[text.lower()]


#: How each of them is read from a text.
READERS: dict[str, Callable[[str], Any]] = {
    "dead_cursor": str,
    "log_settles_as": str,
    "latency": float,
    "log_delay": float,
    "log_retention": float,
    **dict.fromkeys(("allow_raw", "passthrough", "log_content", "log_polls", "logs"), on_or_off),
}
