"""Servers whose list is not Bifrost's: what is asked of them differently. Presets; every setting counts."""

from __future__ import annotations

from typing import Literal, NamedTuple

ProfileName = Literal["auto", "bifrost", "openai", "azure", "litellm", "window24h", "inworld"]


class GatewayProfile(NamedTuple):
    """`below`: what stands between base_url and /v1/videos. `key_header`: how a key travels; None: in
    Authorization, behind `scheme`. `provider`: where it is named: in the query, in a header, or nowhere.
    `newest_first`: there is no `order`. `polled`: a job moves in the list only when somebody reads it by id.
    `one_page`: only the newest page is shown, whatever is asked.
    """

    title: str
    below: str = ""
    key_header: str | None = None
    scheme: str = "Bearer"
    provider: Literal["query", "header", "nowhere"] = "nowhere"
    newest_first: bool = False
    polled: bool = False
    one_page: bool = False


PROFILES: dict[ProfileName, GatewayProfile] = {
    "auto": GatewayProfile("found out", provider="query"),
    "bifrost": GatewayProfile("Bifrost", provider="query"),
    "openai": GatewayProfile("plain OpenAI"),
    "azure": GatewayProfile("Azure OpenAI, Foundry", below="/openai", key_header="api-key"),
    "litellm": GatewayProfile("LiteLLM proxy", provider="header", one_page=True),
    "window24h": GatewayProfile(
        "a list of the last 24 hours that shows each job as last polled", polled=True
    ),
    "inworld": GatewayProfile("newest first, Basic authentication", scheme="Basic", newest_first=True),
}
