"""The questions: what a check and a sync ask of a gateway, and what shows how strange it is. Only GET."""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from etl.check import Probe
from etl.config import Config, Source
from etl.db.engine import make_engine
from etl.errors import EtlError
from etl.extract import GatewayClient
from etl.extract.provider_bytes import native_id
from etl.observer import Silent
from etl.recording.tape import Tape
from etl.records import SETTLED_STATUSES, Order, PageRequest, RawPage, RunKind
from etl.schema.migrate import ensure_schema
from etl.worker import Worker

#: A rehearsed run may make this many requests for each page that `--pages` allows, and so many more.
_PER_PAGE, _BESIDES = 6, 60
#: Nothing is stored that need not be, and the gateway's log, which is about people, stays unread.
_QUIET: dict[str, Any] = {
    "prompts": "drop",
    "discover": "list",
    "read_logs": False,
    **dict.fromkeys(("logs_url", "logs_username", "logs_password", "logs_token")),
}
_ORDERS: tuple[Order, ...] = ("asc", "desc")


class Recorder:
    """Asks one source. What fails is noted in `failures` and asked no further; `tape` holds the answers.

    pages: so many from each end. jobs, cursors: more ids to read, more cursors to read behind.
    """

    def __init__(
        self, config: Config, source: Source, *, pages: int, jobs: Sequence[str], cursors: Sequence[str]
    ) -> None:
        self._config = config
        self._source = replace(source, **_QUIET, max_attempts=min(2, source.max_attempts))
        self._pages, self._jobs, self._cursors = pages, jobs, cursors
        self.tape, self.failures = Tape(), list[str]()
        self.secrets: set[str] = set()  # all that were sent: a key may be replaced meanwhile
        self._seen: dict[str, str | None] = {}  # id → status

    def record(self) -> None:
        """Raises StorageError when no scratch database can be made."""
        with tempfile.TemporaryDirectory(prefix="bifrost-etl-record-") as folder:
            engine = make_engine(f"sqlite:///{Path(folder) / 'scratch.db'}", pool_size=5)
            worker = _Listening(self._config, engine, self.tape)
            try:
                self._ask_everything(worker)
            finally:
                engine.dispose()
            for gateway in worker.made:
                self.secrets.update(gateway.source.secrets(), gateway.secrets)

    def _ask_everything(self, worker: _Listening) -> None:
        with worker.gateway(self._source) as gateway:
            self._try_question("check", lambda: list(Probe(self._source, gateway).findings()))
            ends = [self._read_end(gateway, order) for order in _ORDERS]
            self._ask_single(gateway)
            self._ask_provider(gateway)
        if any(ends):
            self._rehearse_runs(worker)

    def _try_question(self, what: str, ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except EtlError as error:
            self.failures.append(f"{what}: {error}")
            return None

    def _read_end(self, gateway: GatewayClient, order: Order) -> bool:
        """Pages from one end; True when the other end was reached."""
        after: str | None = None
        for _ in range(self._pages):
            page = self._record_page(gateway, after, order)
            if page is None:
                return False
            self._note_ids(page)
            cursor = page.leads_to
            if cursor is None or cursor == after or page.has_more is False:
                return True
            after = cursor
        return False

    def _record_page(self, gateway: GatewayClient, after: str | None, order: Order) -> RawPage | None:
        request = PageRequest(after, order, self._source.page_size)
        found: RawPage | None = self._try_question(
            f"page ({order})", partial(gateway.page, request, attempts=2)
        )
        return found

    def _note_ids(self, page: RawPage) -> None:
        for item in page.items:
            try:
                job = json.loads(item)
            except ValueError:
                continue
            if isinstance(job, dict) and isinstance(job.get("id"), str) and job["id"]:
                status = job.get("status")
                self._seen[job["id"]] = status if isinstance(status, str) else None

    def _ask_single(self, gateway: GatewayClient) -> None:
        for job in self._chosen_ids():
            self._try_question("job by id", partial(gateway.job, job))
        for cursor in self._cursors:
            for order in _ORDERS:
                self._record_page(gateway, cursor, order)
        self._ask_dead(gateway)

    def _ask_dead(self, gateway: GatewayClient) -> None:
        """What is said of a job, and of a cursor, that is not there: to be refused is no failure."""
        for known in list(self._seen)[:1]:
            request = PageRequest(_dead_id(known), "asc", self._source.page_size)
            asks = partial(gateway.job, _dead_id(known)), partial(gateway.page, request, attempts=1)
            for ask in asks:
                with suppress(EtlError):
                    ask()

    def _chosen_ids(self) -> list[str]:
        """The ids at both ends, in the middle, of open jobs; and those asked for."""
        known = list(self._seen)
        is_open = [i for i, status in self._seen.items() if status and status.lower() not in SETTLED_STATUSES]
        some = [*known[:1], *known[len(known) // 2 :][:1], *known[-1:], *is_open[:1], *is_open[-1:]]
        return list(dict.fromkeys([*some, *self._jobs]))

    def _ask_provider(self, gateway: GatewayClient) -> None:
        if self._source.provider not in (None, "openai") or self._source.passthrough == "never":
            return
        for order in _ORDERS:
            request = PageRequest(None, order, self._source.page_size)
            if self._try_question("passthrough", partial(gateway.raw_page, request, None)) is None:
                return
        native = native_id(next(iter(self._seen), ""))
        if native:
            self._try_question("passthrough by id", lambda: gateway.raw_job(native, f"{native}:openai"))

    def _rehearse_runs(self, worker: _Listening) -> None:
        """What runs ask of a list that is short enough to be recorded whole. Rows go to a scratch file."""
        ensure_schema(worker.engine)
        for lanes in (1, 2):
            name = f"rehearsal-{lanes}"
            source = replace(self._source, name=name, first_load_lanes=lanes)
            kinds: tuple[RunKind, ...] = ("incremental", "reconcile", "incremental")
            for kind in kinds:
                stop = threading.Event()
                self.tape.allow(_PER_PAGE * self._pages + _BESIDES, stop.set)
                result = worker.run(source, kind, progress=Silent(), stop=stop)
                if result.error is not None:
                    self.failures.append(f"{kind} run: {result.error}")


class _Listening(Worker):
    """A worker whose gateways are listened to."""

    def __init__(self, config: Config, engine: Any, tape: Tape) -> None:
        super().__init__(config, engine)
        self._tape, self.made = tape, list[GatewayClient]()

    def gateway(self, source: Source, **options: Any) -> GatewayClient:
        made = super().gateway(source, **options)
        made.listen(self._tape)
        self.made.append(made)
        return made


def _dead_id(job_id: str) -> str:
    """An id of the same make that nothing has: its last letters are turned."""
    native, colon, owner = job_id.rpartition(":")
    if not colon:
        native, owner = job_id, ""
    return f"{native[:-6]}{native[-6:][::-1]}0{colon}{owner}"
