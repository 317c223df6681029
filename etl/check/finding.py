"""What a probe answers: one finding per question."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """One answer. `good` is None when it could not be checked; `hint` says what to do; `source` is None for
    what concerns all of them."""

    what: str
    good: bool | None
    detail: str
    hint: str | None = None
    source: str | None = None
