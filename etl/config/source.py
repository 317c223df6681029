"""A source: one gateway × provider × key, how it is read, and when."""

from __future__ import annotations

import base64
import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal, Self

from msgspec import Meta, Struct
from msgspec.structs import replace

from etl.config.cron import next_fire
from etl.config.key_command import key_from_command
from etl.config.profiles import PROFILES, GatewayProfile, ProfileName
from etl.config.secret import Secret, is_unmistakable, looks_secret
from etl.config.values import (
    BaseUrl,
    Cron,
    Duration,
    ExistingFile,
    HeaderSecret,
    HiddenText,
    Name,
    PositiveDuration,
    ProxyUrl,
    Size,
    TimeZone,
    header_secret,
    proxy_url,
)

Problems = Iterator[tuple[str, str]]
Count = Annotated[int, Meta(ge=1)]
NonEmptyText = Annotated[str, Meta(min_length=1)]
#: Stands for the interval of a source that runs by cron, where a length is needed.
_CRON_INTERVAL = 300.0


class Reconcile(Struct, frozen=True, kw_only=True):
    """When the whole list is compared with the table. Neither `every` nor `cron`: only by command."""

    EXCLUSIVE: ClassVar[tuple[tuple[str, str], ...]] = (("every", "cron"),)
    every: PositiveDuration | None = None
    cron: Cron | None = None
    timezone: TimeZone = "UTC"


class Schedule(Struct, frozen=True, kw_only=True):
    """When a source is synced: `every` so often, or by `cron` (then `every` is None)."""

    EXCLUSIVE: ClassVar[tuple[tuple[str, str], ...]] = (("every", "cron"),)
    every: PositiveDuration | None = 300.0
    cron: Cron | None = None
    timezone: TimeZone = "UTC"
    jitter: Duration = 0.0
    min_interval: PositiveDuration | None = None
    max_interval: PositiveDuration | None = None
    reconcile: Reconcile = Reconcile()

    def problems(self) -> Problems:
        every = self.every
        if every is None:
            if self.cron is None:
                yield "every", "give either every or cron"
            for key in ("min_interval", "max_interval"):
                if getattr(self, key) is not None:
                    yield key, "goes with every, not with cron"
            return
        if self.min_interval is not None and self.min_interval > every:
            yield "min_interval", "is longer than every"
        if self.max_interval is not None and self.max_interval < every:
            yield "max_interval", "is shorter than every"

    @property
    def usual_interval(self) -> float:
        """Seconds between two syncs, or a stand-in for them where cron decides."""
        return self.every if self.every is not None else _CRON_INTERVAL

    def slowest_interval(self, now: datetime) -> float:
        """The longest time between two syncs that this schedule itself allows."""
        if self.cron is None:
            return max(self.usual_interval, self.max_interval or 0.0) + self.jitter
        moments = [now]
        for _ in range(8):
            moments.append(next_fire(self.cron, self.timezone, moments[-1]))
        return max((b - a).total_seconds() for a, b in itertools.pairwise(moments)) + self.jitter


def stale_after(least: float, interval: float) -> float:
    """The age in seconds from which a source counts as stale: one that is asked once an hour cannot be
    fresher than an hour."""
    return max(least, 2 * interval)


_SECRETS = ("api_key", "virtual_key", "password", "logs_password", "logs_token", "proxy")
#: How those that have a form of their own are read, whenever their file is.
_FORMS: dict[str, Callable[[str], Secret]] = {
    **dict.fromkeys(("api_key", "virtual_key", "logs_token"), header_secret),
    "proxy": proxy_url,
}
_WORD = re.compile(r"[a-z][a-z_-]{0,15}")  # no token looks like this
_CONVERSATION = (
    *("base_url", "provider", "api_key", "api_key_command", "key_name", "key_id", "virtual_key"),
    *("username", "password"),
    *("headers", "ca_bundle", "verify_tls", "client_cert", "proxy", "enabled"),
    *("profile", "discover", "logs_url", "logs_username", "logs_password", "logs_token"),
)


class Source(Struct, frozen=True, kw_only=True):
    """One gateway × provider × key, and how it is read."""

    EXCLUSIVE: ClassVar[tuple[tuple[str, str], ...]] = (
        ("api_key", "api_key_command"),
        ("api_key_command", "username"),
        ("api_key", "username"),
        ("api_key", "password"),
        ("logs_token", "logs_username"),
        ("logs_token", "logs_password"),
    )
    name: Name
    base_url: BaseUrl
    enabled: bool = True
    profile: ProfileName = "auto"
    provider: NonEmptyText | None = None
    api_key: HeaderSecret | None = None
    api_key_command: NonEmptyText | None = None
    virtual_key: HeaderSecret | None = None
    key_name: NonEmptyText | None = None
    key_id: NonEmptyText | None = None
    username: NonEmptyText | None = None
    password: HiddenText | None = None
    headers: dict[str, HeaderSecret] = {}
    ca_bundle: ExistingFile | None = None
    verify_tls: bool = True
    client_cert: ExistingFile | None = None
    proxy: ProxyUrl | None = None
    discover: Literal["list", "logs", "both"] = "list"
    read_logs: bool = False
    logs_url: BaseUrl | None = None
    logs_username: NonEmptyText | None = None
    logs_password: HiddenText | None = None
    logs_token: HeaderSecret | None = None
    logs_overlap: PositiveDuration = 900.0
    connect_timeout: PositiveDuration = 10.0
    read_timeout: PositiveDuration | None = None
    max_attempts: Count = 6
    max_retry_time: Duration = 300.0
    max_backoff: Duration = 30.0
    retry_after_cap: Duration = 300.0
    max_body: Size = 64 * 1024 * 1024
    requests_per_second: Annotated[float, Meta(gt=0)] | None = None
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 8
    first_load_lanes: Annotated[int, Meta(ge=1, le=2)] = 2
    page_size: Annotated[int, Meta(ge=1, le=100)] = 100
    order: Literal["auto", "asc", "desc"] = "auto"
    window: Literal["auto", "always", "never"] = "auto"
    open_job_patience: Duration = 86400.0
    rereads_per_run: Annotated[int, Meta(ge=0)] = 20
    details: bool = False
    probe_accounts: bool = True
    history_progress: bool = False
    prompts: Literal["store", "hash", "drop"] = "store"
    raw_payloads: Literal["drop", "store"] = "drop"
    passthrough: Literal["auto", "never", "always"] = "auto"
    schedule: Schedule = Schedule()

    @property
    def asked_as(self) -> GatewayProfile:
        """How this kind of server is asked."""
        return PROFILES[self.profile]

    @property
    def below(self) -> str:
        """What stands between base_url and /v1/videos, unless base_url ends with it."""
        below = self.asked_as.below
        return "" if self.base_url.endswith(below) else below

    @property
    def lists_newest_first(self) -> bool | None:
        """Whether the list runs downwards, as configured; None: it is found out."""
        if self.order == "auto":
            return True if self.asked_as.newest_first else None
        return self.order == "desc"

    @property
    def reads_log(self) -> bool:
        """The gateway's log is read, be it only for who asked."""
        own = (self.logs_url, self.logs_username, self.logs_token)
        return self.read_logs or self.discover != "list" or any(item is not None for item in own)

    def secrets(self) -> list[str]:
        """Every text of this source that must never be printed, the Basic credentials' base64 included."""
        found = [text for item in self._held().values() for text in item.secrets()]
        for text in [s for s in found if " " in s]:
            found.append(text.split(" ", 1)[1])  # "Bearer xyz" in a header: xyz alone is secret as well
        for user, password in (
            (self.username, self.password),
            (self.logs_username, self.logs_password),
        ):
            if user is not None and password is not None and password.problem is None:
                found.append(base64.b64encode(f"{user}:{password.reveal()}".encode()).decode())
        return found

    def renewed(self) -> Self:
        """With the secrets that stand in files, or that a command prints, as they are now.

        Raises ConfigError when the command fails."""
        held = {name: getattr(self, name) for name in _SECRETS}
        fresh = {name: item.renewed(_FORMS.get(name)) for name, item in held.items() if item is not None}
        if self.api_key_command is not None:
            fresh["api_key"] = Secret(key_from_command(self.api_key_command))
        headers = {name: secret.renewed(header_secret) for name, secret in self.headers.items()}
        return replace(self, **fresh, headers=headers)

    def credentials(self) -> list[str]:
        """The secrets that no other text equals by chance; hidden where a gateway echoes them in data."""
        return [text for text in self.secrets() if is_unmistakable(text)]

    def plain_secrets(self) -> list[str]:
        """The settings whose secret may be an ordinary word: masked in messages, left alone in data."""
        return [
            name
            for name, item in self._held().items()
            if not all(is_unmistakable(text.rpartition(" ")[2]) for text in item.secrets())
        ]

    def _held(self) -> dict[str, Secret]:
        # `custom-llm-provider: openai` is no secret, and masking "openai" everywhere would hide the facts.
        headers = {
            f"headers.{n}": v
            for n, v in self.headers.items()
            if looks_secret(n) or v.problem is not None or not _WORD.fullmatch(v.reveal())
        }
        named = {name: getattr(self, name) for name in _SECRETS}
        return {name: item for name, item in {**named, **headers}.items() if item is not None}

    def fingerprint(self) -> str:
        """32 hex digits that change whenever a setting changes that the gateway's answers depend on."""
        settings = {key: _plain_value(getattr(self, key)) for key in _CONVERSATION}
        return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:32]

    def problems(self) -> Problems:
        if (self.username is None) != (self.password is None):
            yield "username" if self.password is None else "password", "username and password go together"
        if (self.logs_username is None) != (self.logs_password is None):
            lacking = "logs_username" if self.logs_password is None else "logs_password"
            yield lacking, "logs_username and logs_password go together"
        if self.details and not self.rereads_per_run:
            yield "details", "needs rereads_per_run above 0: that bounds how many jobs a run reads by id"
        if self.ca_bundle is not None and not self.verify_tls:
            yield "ca_bundle", "has no effect with verify_tls: false; keep one of them"
        for header in self.headers:
            if not header.replace("-", "").replace("_", "").isalnum() or not header.isascii():
                yield "headers", "a header's name holds letters, digits and dashes only"
            if header.lower() == "x-bf-cache-key":
                yield "headers", "x-bf-cache-key would let the gateway answer from its cache; remove it"


def _plain_value(value: Any) -> Any:
    if isinstance(value, Secret):
        return value.reveal()
    if isinstance(value, dict):
        return {key: _plain_value(item) for key, item in value.items()}
    return value if value is None or isinstance(value, bool) else str(value)
