"""Who may ask: tokens, virtual keys, keys that rotate, and the dashboard's own authentication."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field

from etl.simulator.world import World

#: What a virtual key's holder gets when it has spent what it may.
SPENT = ("budget_exceeded", "rate_limited", "token_limited", "request_limited")


@dataclass(frozen=True)
class Rotation:
    """A virtual key that is replaced on a schedule; the old one goes on working for a while.

    start: unix seconds of the first key; every, grace: seconds.
    """

    start: float
    every: float
    grace: float = 0.0

    def key(self, now: float) -> str:
        return f"sk-bf-rotating-{self._number(now)}"

    def accepts(self, given: str, now: float) -> bool:
        return given in (self.key(now), self.key(now - self.grace))

    def _number(self, now: float) -> int:
        return int((now - self.start) // self.every)


@dataclass
class Credentials:
    """token: what a Bearer must be; None lets everybody in, unless virtual keys are given.

    virtual_keys: {"sk-bf-…": "active" | "provider_configs" | name of the error that its holder gets}.
    dashboard: (user, password), when the dashboard's authentication is on. enforced (from 2.0): lists ask for
    credentials too.
    """

    token: str | None = None
    virtual_keys: dict[str, str] = field(default_factory=dict)
    dashboard: tuple[str, str] | None = None
    enforced: bool = False
    rotation: Rotation | None = None

    def refusal(self, headers: Mapping[str, str], world: World) -> str | None:
        """The name of the error that this request for videos is answered with."""
        if not world.profile.suffixed:
            return None if self._is_let_in(headers, world.profile.login) else "unauthorized"
        virtual = self.virtual_key(headers)
        if self.dashboard and not world.version.names_accounts:
            return self._below_dashboard(headers, virtual, world)
        if self.dashboard:
            return self._beside_dashboard(headers, virtual, world)
        scheme, given = _read_authorization(headers)
        if scheme == "bearer" and self.token is not None and given == self.token:
            return None
        return self._virtual_refusal(virtual, bool(given), world)

    def current_key(self, now: float) -> str | None:
        return self.rotation.key(now) if self.rotation else None

    def may_read_log(self, headers: Mapping[str, str]) -> bool:
        """Only the dashboard's administrator may, by Basic credentials, where it has one."""
        return self.dashboard is None or self._is_administrator(headers)

    def virtual_key(self, headers: Mapping[str, str]) -> str:
        scheme, given = _read_authorization(headers)
        bearer = given if scheme == "bearer" and given.startswith("sk-bf-") else ""
        return headers.get("x-bf-vk", "") or bearer

    def _is_let_in(self, headers: Mapping[str, str], login: str) -> bool:
        if self.token is None:
            return True
        scheme, given = _read_authorization(headers)
        if login == "basic":
            return scheme == "basic" and given in (self.token, _encode_basic(self.token))
        by_header = login == "api-key" and headers.get("api-key") == self.token
        return by_header or (scheme == "bearer" and given == self.token)

    def _below_dashboard(self, headers: Mapping[str, str], virtual: str, world: World) -> str | None:
        """Up to 1.5 the administrator's credentials are asked for, and a virtual key besides."""
        if not self._is_administrator(headers):
            return "unauthorized"
        virtual = headers.get("x-bf-vk", "")
        if self._has_virtual_keys and not virtual:
            return "virtual_key_required"
        return self._state(virtual, world) if virtual and self._has_virtual_keys else None

    def _beside_dashboard(self, headers: Mapping[str, str], virtual: str, world: World) -> str | None:
        """From 2.0 a list needs no credentials unless that is enforced, and then a virtual key suffices."""
        if virtual and self._has_virtual_keys:
            return self._state(virtual, world)
        if not self.enforced or self._is_administrator(headers):
            return None
        return "virtual_key_required" if self._has_virtual_keys else "unauthorized"

    def _virtual_refusal(self, virtual: str, credentials: bool, world: World) -> str | None:
        if virtual and self._has_virtual_keys:
            return self._state(virtual, world)
        if self._has_virtual_keys and not credentials:
            return "virtual_key_required"
        return None if self.token is None and not self._has_virtual_keys else "unauthorized"

    def _state(self, virtual: str, world: World) -> str | None:
        if self.rotation and self.rotation.accepts(virtual, world.now()):
            return None
        state = self.virtual_keys.get(virtual, "virtual_key_not_found")
        if state in SPENT and not world.version.blocks_spent_lists:
            return None
        if state == "provider_configs":
            return "model_blocked" if world.version < (1, 5) else None
        return None if state == "active" else state

    @property
    def _has_virtual_keys(self) -> bool:
        return bool(self.virtual_keys or self.rotation)

    def _is_administrator(self, headers: Mapping[str, str]) -> bool:
        scheme, given = _read_authorization(headers)
        return self.dashboard is not None and (scheme, given) == (
            "basic",
            _encode_basic(":".join(self.dashboard)),
        )


def _read_authorization(headers: Mapping[str, str]) -> tuple[str, str]:
    scheme, _, given = headers.get("authorization", "").partition(" ")
    return scheme.lower(), given


def _encode_basic(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
