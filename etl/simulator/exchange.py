"""One request for videos, and what becomes known of it on its way through the gateway."""

from dataclasses import dataclass, field

from etl.simulator.error_body import ErrorContext
from etl.simulator.fault import Fault
from etl.simulator.wire import Ask, Request, VideoPath
from etl.simulator.world import World


@dataclass
class Exchange:
    request: Request
    asked: VideoPath
    world: World
    faults: list[Fault] = field(default_factory=list)  # those that spoil this answer
    account: int | None = None
    key: str | None = None  # the account's name, once one was chosen
    ask: Ask | None = None

    @property
    def listing(self) -> bool:
        return not self.asked.id

    @property
    def raw(self) -> bool:
        """Through the gateway's passthrough: the provider's own bytes."""
        return self.asked.through == "openai_passthrough"

    @property
    def context(self) -> ErrorContext:
        world = self.world
        kind = "video_list" if self.listing else "video_retrieve"
        return ErrorContext(world.shape, world.version, world.provider, kind, self.key)

    @property
    def upstream_context(self) -> ErrorContext:
        """How the provider's own refusals look: through the passthrough, as it wrote them."""
        return self.context._replace(shape="openai") if self.raw else self.context
