"""The gateway's log over HTTP: `/api/logs` and `/api/logs/{id}`."""

from collections import deque
from collections.abc import Sequence
from statistics import fmean
from typing import Any

from etl.simulator.credentials import Credentials
from etl.simulator.error_body import ErrorContext, Mistake, render_error
from etl.simulator.error_table import named_error
from etl.simulator.exchange import Exchange
from etl.simulator.log.book import LogBook
from etl.simulator.log.render import Renderer, error_of
from etl.simulator.log.rows import LogEntry
from etl.simulator.log.search import Search, parse_search
from etl.simulator.settings import GatewaySettings
from etl.simulator.wire import Request, Response, dump_json, native_id
from etl.simulator.world import World

LOG_PATH = "/api/logs"
#: Of the requests that were answered since somebody looked, how many are told.
REMEMBERED = 20_000


class LogEndpoint:
    """book: what is in it."""

    def __init__(self, worlds: Sequence[World], credentials: Credentials, settings: GatewaySettings) -> None:
        self._worlds = {world.provider: world for world in worlds}
        self._first, self._credentials, self._settings = worlds[0], credentials, settings
        self.book = LogBook(worlds, settings)
        # Rows are made when somebody looks: most gateways of tests and measurements are never asked for them.
        self._answered: deque[tuple[float, Exchange, bytes | None]] = deque(maxlen=REMEMBERED)

    def answer(self, request: Request) -> Response:
        context = ErrorContext(self._first.shape, self._first.version)
        if not self._credentials.may_read_log(request.headers):
            return named_error("unauthorized", context)
        self._write_answered()
        now = self._first.now()
        if request.path == LOG_PATH:
            return self._found(request, self.book.visible(now), context)
        row = self.book.row(request.path.removeprefix(LOG_PATH + "/"), now)
        if row is None:
            return render_error(Mistake(404, "log not found"), context)
        return Response(200, dump_json(self._renderer(row).detail(row)))

    def record(self, exchange: Exchange, response: Response) -> None:
        """Keep what was just answered."""
        error = response.body if response.status != 200 else None
        self._answered.append((exchange.world.now(), exchange, error))

    def _write_answered(self) -> None:
        while self._answered:
            now, exchange, error = self._answered.popleft()
            headers, world, id = exchange.request.headers, exchange.world, exchange.asked.id
            self.book.record(
                world,
                now,
                exchange.context.request_type,
                exchange.key or "",
                error_of(error) if error is not None else None,
                id=headers.get("x-request-id", ""),
                virtual_key=self._credentials.virtual_key(headers),
                job=id or None,
                native=native_id(id, world.provider, world.shape) if id else None,
                ask=exchange.ask,
            )

    def _found(self, request: Request, rows: list[LogEntry], context: ErrorContext) -> Response:
        try:
            search = parse_search(request.query)
        except ValueError as exc:
            return render_error(Mistake(400, str(exc)), context)
        found = search.find(rows)
        shown = found[search.offset : search.offset + search.limit]
        body = {
            "logs": [self._renderer(row).summary(row) for row in shown],
            "pagination": self._pagination(search, len(found)),
            "stats": _stats_body(found),
            "has_logs": bool(rows),
        }
        return Response(200, dump_json(body))

    def _pagination(self, search: Search, found: int) -> dict[str, Any]:
        place = {"limit": search.limit, "offset": search.offset, "sort_by": search.sort_by}
        total = found if self._first.version >= (2, 0) else 0
        return {**place, "order": search.order, "total_count": total}

    def _renderer(self, row: LogEntry) -> Renderer:
        return Renderer(self._worlds[row.provider], not self._settings.log_content)


def _stats_body(rows: list[LogEntry]) -> dict[str, Any]:
    good = sum(row.status == "success" for row in rows)
    return {
        "total_requests": len(rows),
        "success_rate": 100 * good / len(rows) if rows else 0,
        "average_latency": fmean(row.latency or 0 for row in rows) if rows else 0,
        "total_tokens": 0,
        "total_cost": sum(row.cost or 0 for row in rows),
    }
