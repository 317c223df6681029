"""What a source's configuration decides about its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Options:
    """`prompts`: as text, as sha256, or not at all. `raw_payloads` are stored only beside full prompts."""

    prompts: Literal["store", "hash", "drop"] = "store"
    raw_payloads: Literal["drop", "store"] = "drop"

    @property
    def keeps_raw(self) -> bool:
        return self.raw_payloads == "store" and self.prompts == "store"
