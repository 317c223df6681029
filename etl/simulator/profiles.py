"""The kinds of servers with a list of videos: Bifrost, its reference page, and its cousins."""

from dataclasses import dataclass

DAY = 86400.0


@dataclass(frozen=True)
class ServerProfile:
    """How a server differs from Bifrost.

    suffixed: ids end in `:provider`, and JSON is escaped as Go does it. path: where the list is.
    login: how a token is sent (bearer | api-key | basic). errors: bifrost | openai | detail.
    asked: the parameters that are honoured. cap: jobs on a page at most; 0: more than 100 are an error.
    clamps: a limit beyond its bounds is brought within them, silently. window: how far back the list
    reaches, in seconds, while a job can still be read by id. polled: a job moves in the list only when it
    was read by id. wrapped: ids are wrapped in base64, and cursors are not.
    """

    suffixed: bool = False
    path: str = "/v1/videos"
    login: str = "bearer"
    errors: str = "openai"
    asked: tuple[str, ...] = ("after", "limit", "order")
    cap: int = 0
    clamps: bool = False
    window: float | None = None
    polled: bool = False
    wrapped: bool = False
    null_ids: bool = False
    cancels: bool = False


PROFILES = {
    "bifrost": ServerProfile(suffixed=True, errors="bifrost"),
    "reference": ServerProfile(suffixed=True, errors="bifrost"),
    "openai": ServerProfile(),
    "azure": ServerProfile(path="/openai/v1/videos", login="api-key", null_ids=True),
    "litellm": ServerProfile(asked=(), cap=20, wrapped=True),
    "window24h": ServerProfile(errors="detail", clamps=True, window=DAY, polled=True),
    "inworld": ServerProfile(login="basic", asked=("after", "limit"), cancels=True),
}
