"""The log as it grows: rows of the worlds' jobs, and of the requests that this gateway itself answers."""

from collections.abc import Sequence

from etl.simulator.births import Birth
from etl.simulator.log.owners import owner_by_value
from etl.simulator.log.rows import LogEntry, RowMaker, request_id
from etl.simulator.settings import GatewaySettings
from etl.simulator.wire import Ask
from etl.simulator.world import World


class LogBook:
    def __init__(self, worlds: Sequence[World], settings: GatewaySettings) -> None:
        self._worlds, self._settings = worlds, settings
        self._answered = 0
        self._recorded: list[LogEntry] = []
        self.forget()

    def forget(self) -> None:
        """Everything is written anew, under the settings of now. What was answered stays."""
        self._drawn = [0] * len(self._worlds)
        self._removed = [0] * len(self._worlds)
        self._rows: dict[str, LogEntry] = {row.id: row for row in self._recorded}
        self._sorted: list[LogEntry] = []
        self._grown = True

    def row(self, id: str, now: float) -> LogEntry | None:
        """The row of this id, once it can be read."""
        self._grow(now)
        row = self._rows.get(id)
        return row if row and self._is_there(row, now) else None

    def visible(self, now: float) -> list[LogEntry]:
        """The rows that can be read at `now`, by time."""
        self._grow(now)
        if self._grown:
            self._grown = False
            self._sorted = sorted(self._rows.values(), key=lambda row: (row.timestamp, row.id))
        return [row for row in self._sorted if self._is_there(row, now)]

    def _is_there(self, row: LogEntry, now: float) -> bool:
        return row.written <= now < row.timestamp + self._settings.log_retention

    def rows_of(self, job: str, now: float) -> list[LogEntry]:
        """What the log tells of one job, by the gateway's id: for tests to hold results against."""
        return [row for row in self.visible(now) if row.job == job]

    def record(
        self, world: World, now: float, object: str, key: str, error: dict[str, object] | None, *, id: str,
        virtual_key: str, job: str | None = None, native: str | None = None, ask: Ask | None = None,
    ) -> None:  # fmt: skip
        """A request that this gateway answered at `now`. id: the client's own for it, or nothing."""
        self._answered += 1
        id = id or request_id("answered", str(self._answered))
        row = LogEntry(
            id,
            now,
            self._maker(world).late(id, now),
            object,
            world.provider,
            now,
            status="error" if error else "success",
            key="" if error else key,
            owner=owner_by_value(virtual_key),
            latency=None if object == "video_list" else 42,
            job=job,
            params={"video_id": native} if native else {},
            error=error,
            ask=ask,
        )
        self._recorded.append(row)
        self._put(row)

    def _maker(self, world: World) -> RowMaker:
        options, settles = self._settings, world.version >= (2, 1)
        keys = tuple(world.accounts)
        return RowMaker(
            world.provider, keys, options.log_delay, settles, options.log_polls, options.log_settles_as
        )

    def _grow(self, now: float) -> None:
        for place, world in enumerate(self._worlds):
            self._grow_from(place, world, now)

    def _grow_from(self, place: int, world: World, now: float) -> None:
        maker = self._maker(world)
        for birth, deleted in world.births.drawn(self._drawn[place], now):
            self._drawn[place] += 1
            self._keep(maker, birth)
            if deleted < float("inf"):
                self._put(maker.deleted(birth, deleted))
        for birth in world.births.by_hand():
            self._keep(maker, birth)
        for birth, when in world.births.removed(self._removed[place]):
            self._removed[place] += 1
            self._put(maker.deleted(birth, when))

    def _keep(self, maker: RowMaker, birth: Birth) -> None:
        for row in maker.rows(birth):
            self._put(row)

    def _put(self, row: LogEntry) -> None:
        if row.id not in self._rows:
            self._rows[row.id] = row
            self._grown = True
