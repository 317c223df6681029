"""A destination of the change feed: where it lies, when it is filled, and what stands for prompts there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, Literal

from msgspec import Struct

from etl.config.secret import looks_secret
from etl.config.source import Problems
from etl.config.values import Cron, HiddenText, Name, PlaceUrl, PositiveDuration, TimeZone


class Mask(Struct, frozen=True, kw_only=True):
    """What stands for prompts in a destination: themselves, a digest under `key`, or nothing. Unless they are
    kept, columns that may quote them are left out as well."""

    prompt: Literal["keep", "hmac", "drop"] = "keep"
    key: HiddenText | None = None

    def problems(self) -> Problems:
        if self.key is not None and self.key.problem is not None:
            return
        if self.prompt == "hmac" and (self.key is None or len(self.key.reveal()) < 16):
            yield "key", "hmac needs a key of 16 characters or more (key, or key_file)"


class Destination(Struct, frozen=True, kw_only=True):
    """A warehouse or lake that the change feed fills. The service delivers `every` so often or by `cron`,
    and after syncs (`after_sync`); with none of them, only the command does. `keep_replaced`: seconds that
    files of a lake stay for readers after others took their place."""

    EXCLUSIVE: ClassVar[tuple[tuple[str, str], ...]] = (("every", "cron"),)
    name: Name
    type: Literal["filesystem", "duckdb", "delta", "iceberg", "postgres", "dlt"]
    url: PlaceUrl | None = None
    options: dict[str, Any] = {}
    every: PositiveDuration | None = None
    cron: Cron | None = None
    timezone: TimeZone = "UTC"
    after_sync: bool = False
    keep_replaced: PositiveDuration = 600.0
    mask: Mask = Mask()

    @property
    def scheduled(self) -> bool:
        """The service delivers here by itself."""
        return self.after_sync or self.every is not None or self.cron is not None

    def __repr__(self) -> str:
        return f"Destination(name={self.name!r}, type={self.type!r}, url={self.url}, options=…)"

    def secrets(self) -> list[str]:
        hidden = list(self.url.secrets()) if self.url else []
        hidden += self.mask.key.secrets() if self.mask.key else []
        return hidden + list(_secret_options(self.options, hidden=False))


class Feed(Struct, frozen=True, kw_only=True):
    """The change feed."""

    destinations: tuple[Destination, ...] = ()


def _secret_options(value: Any, *, hidden: bool) -> Iterable[str]:
    """Texts below a key that sounds secret."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _secret_options(item, hidden=hidden or looks_secret(str(key)))
    elif isinstance(value, list):
        for item in value:
            yield from _secret_options(item, hidden=hidden)
    elif hidden and isinstance(value, str):
        yield value
