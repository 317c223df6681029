"""What can be configured, as frozen records. Defaults stand here and, tested equal, in config.example.yaml.

Durations are seconds (float), sizes bytes, paths relative to the current directory. A record's `problems()`
yields (key, message) for what only its fields together can tell; `EXCLUSIVE` names keys that bar each other.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

from msgspec import Meta, Struct

from etl.config.budgets import Alerts, Currency, SpendBudget
from etl.config.destination import Feed
from etl.config.nearest import unknown_name
from etl.config.needed import require_secrets
from etl.config.secret import SecretUrl
from etl.config.source import NonEmptyText, Problems, Source, stale_after
from etl.config.values import (
    DatabaseUrl,
    HeaderSecret,
    HiddenText,
    Money,
    PositiveDuration,
    TimeZone,
    WebPath,
)
from etl.errors import ConfigError

DEFAULT_DATABASE = "sqlite:///bifrost-etl.db"


class DatabaseConfig(Struct, frozen=True, kw_only=True):
    """Where the mirror is kept. `password` replaces the one in the URL."""

    url: DatabaseUrl = SecretUrl(DEFAULT_DATABASE)
    password: HiddenText | None = None

    def reveal(self) -> str:
        """The whole URL, password included: for the engine only."""
        url = self.url.reveal()
        if self.password is None:
            return url
        scheme, _, rest = url.partition("://")
        where, slash, tail = rest.partition("/")
        userinfo, _, host = where.rpartition("@")
        password = quote(self.password.reveal(), safe="")
        return f"{scheme}://{userinfo.partition(':')[0]}:{password}@{host}{slash}{tail}"

    def absolute_url(self) -> str:
        """The whole URL as it holds in any folder: a relative SQLite file starts at the current one."""
        scheme, slashes, path = self.reveal().partition(":///")
        if not slashes or not scheme.startswith("sqlite"):
            return self.reveal()
        return f"{scheme}:///{Path(path).expanduser().absolute()}"

    def secrets(self) -> list[str]:
        return [*self.url.secrets(), *(self.password.secrets() if self.password else [])]

    def problems(self) -> Problems:
        known = self.url.problem is None
        if self.password is not None and known and "@" not in self.url.reveal():
            yield "password", "needs a URL with a user: postgresql://user@host/name"


class LeaseConfig(Struct, frozen=True, kw_only=True):
    """How long a source stays reserved for a process that no longer answers."""

    seconds: PositiveDuration = 60.0

    def problems(self) -> Problems:
        if not 5 <= self.seconds <= 3600:
            yield (
                "seconds",
                "expects 5s to 1h: shorter ones expire during a commit, longer ones delay a takeover",
            )


class Dask(Struct, frozen=True, kw_only=True):
    """The cluster of `executor: dask`. Without an address: `workers` processes of `threads` on this machine.

    With `config_file` the workers read the configuration themselves, from that path of theirs.
    """

    address: NonEmptyText | None = None
    config_file: NonEmptyText | None = None
    workers: Annotated[int, Meta(ge=1, le=256)] = 2
    threads: Annotated[int, Meta(ge=1, le=64)] = 4

    @property
    def far(self) -> bool:
        """The cluster is, or may be, on other machines."""
        return self.address is not None and not _is_loopback(_host_of_address(self.address))

    def problems(self) -> Problems:
        if self.address is None:
            return
        if not re.fullmatch(r"(tcp|tls)://[^/@]+:\d+", self.address):
            yield "address", "expects tcp://host:port or tls://host:port, the scheduler's"
        elif self.far and self.config_file is None and not self.address.startswith("tls:"):
            yield (
                "address",
                "would carry keys over the network in clear text: use tls://, or give config_file, "
                "the path of the configuration on the workers",
            )


_STRONG = "where other machines can try it must have 16 characters or more, 6 of them different"


def _is_weak(token: str) -> bool:
    return len(token) < 16 or len(set(token)) < 6


class ServiceConfig(Struct, frozen=True, kw_only=True):
    """The long-running service: health, metrics, page, logs."""

    host: NonEmptyText = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 9464
    allow_remote: bool = False
    path: WebPath = ""
    token: HeaderSecret | None = None
    log_format: Literal["auto", "console", "json"] = "auto"
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    shutdown_timeout: PositiveDuration = 30.0
    ready_max_age: PositiveDuration = 900.0

    def problems(self) -> Problems:
        if _is_loopback(self.host):
            return
        if not self.allow_remote:
            yield "host", "is reachable from other machines: that needs allow_remote: true (and a token)"
        elif self.token is None:
            yield "allow_remote", "needs a token (token, or token_file)"
        elif self.token.problem is None and _is_weak(self.token.reveal()):
            yield "token", f"can be guessed: {_STRONG}, such as openssl rand -hex 24 writes"


class Reporting(Struct, frozen=True, kw_only=True):
    """How reports cut days and name money."""

    timezone: TimeZone = "UTC"
    currency: Currency = "USD"


class Price(Struct, frozen=True, kw_only=True):
    """The price of one unit from `valid_from` (a UTC date) on. `*` is any; in a model it stands for any text.

    A second is one of video; clip and request are a job each, however long.
    """

    model: NonEmptyText
    price: Money
    valid_from: date
    provider: NonEmptyText = "*"
    resolution: NonEmptyText = "*"
    currency: Currency = "USD"
    unit: Literal["second", "clip", "request"] = "second"

    def problems(self) -> Problems:
        if "%" in self.model:
            yield "model", f"write * for any text, % stands for itself: {self.model.replace('%', '*')}"
        if self.price != round(self.price, 6):
            yield "price", f"at most 6 decimals: {self.price:f}"


class Notify(Struct, frozen=True, kw_only=True):
    """Who is told what, through Apprise URLs. `max_age` is the age at which a source counts as stale."""

    urls: tuple[HiddenText, ...] = ()
    on: tuple[Literal["failure", "recovery", "staleness", "gap", "budget", "trend"], ...] = (
        *("failure", "recovery", "staleness", "gap", "budget", "trend"),
    )
    max_age: PositiveDuration = 3600.0


class Retention(Struct, frozen=True, kw_only=True):
    """How long what `prune` removes is kept; None keeps it for ever."""

    page_log: PositiveDuration | None = None
    runs: PositiveDuration | None = None
    rejects: PositiveDuration | None = None
    requests: PositiveDuration | None = None
    versions: PositiveDuration | None = None


class Config(Struct, frozen=True, kw_only=True):
    """Everything. `origin` says in words where it came from; `path` is the file, or None without one.

    `parallel` bounds how many sources are worked on at once: here, or on the cluster from here.
    """

    sources: tuple[Source, ...] = ()
    database: DatabaseConfig = DatabaseConfig()
    lease: LeaseConfig = LeaseConfig()
    executor: Literal["threads", "dask"] = "threads"
    parallel: Annotated[int, Meta(ge=1, le=1000)] = 32
    dask: Dask = Dask()
    service: ServiceConfig = ServiceConfig()
    reporting: Reporting = Reporting()
    prices: tuple[Price, ...] = ()
    budgets: tuple[SpendBudget, ...] = ()
    alerts: Alerts = Alerts()
    notify: Notify = Notify()
    feed: Feed = Feed()
    retention: Retention = Retention()
    origin: str = "defaults"
    path: Path | None = None

    def problems(self) -> Problems:
        if self.executor != "dask" or not self.dask.far:
            return
        url = self.database.url
        if url.problem is None and url.reveal().startswith("sqlite"):
            yield "executor", "a cluster of machines cannot share a SQLite file: give it a database server"

    def secrets(self) -> list[str]:
        """Every text that must never be printed; for the redactor."""
        hidden = [item for item in (self.service.token, *self.notify.urls) if item is not None]
        owners: tuple[Any, ...] = (*self.sources, self.database, *hidden, *self.feed.destinations)
        return list(dict.fromkeys(text for owner in owners for text in owner.secrets()))

    def freshness_limits(self, now: datetime) -> dict[str, float]:
        """The age in seconds up to which each enabled source counts as fresh."""
        least = self.service.ready_max_age
        enabled = (source for source in self.sources if source.enabled)
        return {s.name: stale_after(least, s.schedule.slowest_interval(now)) for s in enabled}

    def choose(self, names: Sequence[str] = ()) -> tuple[Source, ...]:
        """The sources of these names, in the order of the file; without names, all that are enabled.

        Raises ConfigError for a name that does not exist, when there is nothing to choose from, and for a
        secret that is missing: who chooses sources asks their gateways.
        """
        if not self.sources:
            hint = "set BIFROST_BASE_URL, BIFROST_API_KEY and BIFROST_PROVIDER, or run: bifrost-etl init"
            raise ConfigError(f"no source is configured ({self.origin})", hint=hint)
        known = [source.name for source in self.sources]
        for name in names:
            if name not in known:
                raise unknown_name("source", name, known)
        chosen = tuple(s for s in self.sources if (s.name in names if names else s.enabled))
        if not chosen:
            raise ConfigError("every source is switched off (enabled: false)", hint="name one to run it")
        require_secrets(self.origin, *chosen)
        return chosen


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _host_of_address(address: str) -> str:
    """The host of tcp://host:port, without the brackets of IPv6."""
    return address.partition("://")[2].rpartition(":")[0].strip("[]")
