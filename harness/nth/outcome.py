"""What one trial tells, and what the undisturbed run told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Outcome:
    """`status`: how the disturbed run ended, or killed."""

    status: str
    findings: list[str]


@dataclass
class Reference:
    """The undisturbed run: its calls, the facts after it and one more run, and how both ended."""

    calls: list[str] = field(default_factory=list)
    facts: Any = field(default_factory=dict)
    statuses: tuple[str, str] = ("", "")
    findings: list[str] = field(default_factory=list)
