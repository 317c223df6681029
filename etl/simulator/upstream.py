"""The provider behind the gateway: what it lists and tells, and what goes wrong with it."""

from etl.simulator import error_table
from etl.simulator.error_body import Refused
from etl.simulator.exchange import Exchange
from etl.simulator.faults import Faults
from etl.simulator.settings import GatewaySettings
from etl.simulator.type_drift import drift_types
from etl.simulator.wire import Ask
from etl.simulator.world import Listing, UnknownCursor, World


class Upstream:
    """Items are the provider's jobs as the world's shape writes them."""

    def __init__(self, world: World, faults: Faults, settings: GatewaySettings) -> None:
        self._world, self._faults, self._settings = world, faults, settings
        self._twin: World | None = None
        self._polled: dict[str, float] = {}

    def page(self, ask: Ask, exchange: Exchange) -> Listing:
        """Raises Refused: the provider's own refusal."""
        if how := self._faults.upstream_gone(self._world.provider, ask.now):
            if how != "empty":
                raise Refused(error_table.gone_list(int(how), exchange.upstream_context))
            return Listing([], [], False)
        try:
            page = self._find(ask)
        except UnknownCursor:
            page = self._answer_dead(ask, exchange)
        if self._world.profile.polled:
            page = page._replace(items=[self._as_polled(*item) for item in zip(page.ids, page.items)])  # noqa: B905
        if self._faults.standing("poison_type"):
            page = page._replace(items=[self._drift(*item) for item in zip(page.ids, page.items)])  # noqa: B905
        return page

    def read(self, id: str, exchange: Exchange) -> bytes | None:
        """One job; None when this account does not know it. Raises Refused."""
        if how := self._faults.upstream_gone(self._world.provider, self._world.now()):
            if how != "empty":
                raise Refused(error_table.gone_list(int(how), exchange.upstream_context))
            return None
        account = exchange.account if len(self._world.accounts) > 1 else None
        body = self._world.raw(id, account)
        if body is not None:
            self._polled[id] = self._world.now()
        return body if body is None else self._drift(id, body)

    def _find(self, ask: Ask) -> Listing:
        world = self._world
        if ask.twin:
            world = self._twin = self._twin or self._world.twin()
        account = ask.account if len(world.accounts) > 1 else None
        return world.page(account=account, after=ask.after, order=ask.order, limit=ask.limit, now=ask.now)

    def _answer_dead(self, ask: Ask, exchange: Exchange) -> Listing:
        how = self._faults.dead_cursor or self._settings.dead_cursor
        if how == "empty":
            return Listing([], [], False)
        if how != "first_page":
            raise Refused(error_table.dead_cursor(ask.after or "", int(how), exchange.upstream_context))
        ask.after = None
        return self._find(ask)

    def _as_polled(self, id: str, body: bytes) -> bytes:
        """The job as it was when somebody last read it by id, or when it was made."""
        seen = self._polled.get(id)
        when = self._world.created(id) if seen is None else seen
        return self._world.raw(id, None, when) or body

    def _drift(self, id: str, body: bytes) -> bytes:
        faults = self._faults.standing("poison_type")
        return drift_types(faults, id, self._world.id_at, body) if faults else body
