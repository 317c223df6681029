"""What a source's configuration decides about its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from etl.log import EchoMask

NOTHING_TO_MASK = EchoMask(())


@dataclass(frozen=True, slots=True)
class Options:
    """`prompts`: as text, as sha256, or not at all. `raw_payloads` are stored only beside full prompts.

    `mask` hides the source's own credentials where the gateway echoes them.
    """

    prompts: Literal["store", "hash", "drop"] = "store"
    raw_payloads: Literal["drop", "store"] = "drop"
    mask: EchoMask = NOTHING_TO_MASK

    @property
    def keeps_raw(self) -> bool:
        return self.raw_payloads == "store" and self.prompts == "store"
