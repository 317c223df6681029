"""One writer per source: a lease row with a fencing token, checked inside every transaction that writes.

The first commit of a run takes the lease, provided that nobody took it since the run looked (the token is
unchanged); each further commit renews it; the last one gives it back. So a tick with nothing new is still
one transaction. Expiry is judged by the database's clock, so machines need not agree on the time. A holder
that is known to be dead, a process of this host that was killed, need not be waited for.
"""

from __future__ import annotations

import math
import os
import secrets
import socket
import time
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import sqlalchemy as sa

from etl.errors import CommitLost, LeaseHeld, LeaseLost
from etl.records import as_utc
from etl.schema.tables import leases

_CLOCKS = {
    "postgresql": "clock_timestamp()",
    "mysql": "UTC_TIMESTAMP(6)",
    "mariadb": "UTC_TIMESTAMP(6)",
}
_NOW = {dialect: sa.text(f"SELECT {clock}") for dialect, clock in _CLOCKS.items()}

#: No lease is longer. One that ends later was written before the database's clock was put back.
LONGEST = timedelta(hours=1, minutes=1)
#: Of a holder whose name says how long its leases are, one may end so many times later than that: whoever
#: lives renews it before another third has passed, and a clock that was put a little need not cost a run.
_CLOCK_MARGIN = 2


# Put together once: every transaction begins with them.
_SEEN = sa.select(leases).where(leases.c.source_id == sa.bindparam("source"))
_LOCKED = _SEEN.with_for_update()
_UNCHANGED = sa.update(leases).where(
    leases.c.source_id == sa.bindparam("source"), leases.c.token == sa.bindparam("seen")
)
_TAKE = _UNCHANGED.values(
    {name: sa.bindparam(name) for name in ("holder", "token", "acquired_at", "expires_at")}
)
#: Taken and given back by one transaction: the server's clock is asked on the way.
_PASS = {
    dialect: _UNCHANGED.values(
        holder=None, token=sa.bindparam("token"), acquired_at=sa.text(clock), expires_at=None
    )
    for dialect, clock in _CLOCKS.items()
}


def worker_name(seconds: float | None = None) -> str:
    """Host (with its boot and its namespace of processes), process and a nonce: unique for every holder. It
    ends with how long its leases are, in whole seconds."""
    length = "" if seconds is None else f"~{math.ceil(seconds)}"
    return f"{_host_name()}:{os.getpid()}:{secrets.token_hex(4)}{length}"


def longest_lease(holder: str) -> timedelta:
    """How far ahead of the database's clock a lease of this holder ends, unless that clock was put back."""
    _, mark, length = holder.partition(".")[0].rpartition(":")[2].rpartition("~")
    return (
        min(LONGEST, _CLOCK_MARGIN * timedelta(seconds=int(length))) if mark and length.isdigit() else LONGEST
    )


@cache
def _host_name() -> str:
    """Virtual machines of one image share their name and the number of their namespace, never a boot;
    containers of one machine share the boot, and may share a name, never a namespace."""
    return f"{socket.gethostname()}{_pid_namespace()}{_boot_id()}"


def _pid_namespace() -> str:
    try:
        return f"/{Path('/proc/self/ns/pid').stat().st_ino}"
    except OSError:
        return ""


def _boot_id() -> str:
    try:
        return f"/{Path('/proc/sys/kernel/random/boot_id').read_text().strip()[:8]}"
    except OSError:
        return ""


def is_dead(holder: str) -> bool:
    """The holder was a process of this boot of this host that is gone; a false yes costs only the fenced-off
    run. Nothing is known of another boot, or of a version that did not name its boot: it is waited for."""
    host, _, rest = holder.rpartition(":")[0].rpartition(":")
    if os.name != "posix" or host != _host_name() or not rest.isdigit():
        return False
    try:
        os.kill(int(rest), 0)
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def database_now(conn: sa.Connection) -> datetime:
    """The database's clock (UTC); SQLite has none of its own, and lives on this machine."""
    query = _NOW.get(conn.dialect.name)
    if query is None:
        return datetime.now(UTC)
    moment: datetime = conn.execute(query).scalar_one()
    return as_utc(moment if moment.tzinfo else moment.replace(tzinfo=UTC))


class Lease:
    """The right to write one source. `seconds` is how long it lasts without renewal.

    `job` names the work of which this is one attempt: an earlier attempt's lease is not waited for. Whoever
    started this one took the other for lost; if it lives after all, its token is out of date.
    """

    def __init__(self, source_id: int, holder: str, seconds: float, *, job: str | None = None) -> None:
        self.source_id = source_id
        self.holder = holder if job is None else f"{holder}.{job}"
        self._job = job
        self.seconds = seconds
        self.token: int | None = None  # as seen before taking, as taken after
        self.held = False
        self._taken = 0
        self._wrote_at = self._renewed_at = -math.inf  # by our monotonic clock

    def look(self, conn: sa.Connection) -> None:
        """Remember the token; raise LeaseHeld when somebody else's lease is alive."""
        row = self._read_row(conn, lock=False)
        if row is not None and row.holder is not None:
            self._refuse_if_alive(row, database_now(conn))
        self.token = 0 if row is None else row.token

    def write(self, conn: sa.Connection, *, last: bool = False) -> int:
        """Take or renew, as the first statement of a writing transaction; returns the fencing token.

        Locks the row until the transaction ends, so that two commits of one source never overlap. `last`:
        this transaction gives the lease back as well; the token stays, so that late writers are refused.
        """
        row = self._read_row(conn, lock=True)
        self._wrote_at = time.monotonic()
        if self.held and (row is None or row.token < self._taken):
            raise CommitLost  # tokens only grow
        if row is None or not self._is_ours(row):
            meanwhile = "another process wrote this source meanwhile; nothing was written"
            raise LeaseLost(meanwhile) if self.held or row is None else LeaseHeld(meanwhile)
        if last and not self.held and row.holder is None and conn.dialect.name in _PASS:
            return self._pass(conn, row.token)
        now = database_now(conn)
        held = row.holder == self.holder
        if self.held:
            self._refuse_if_late(row, now)
        elif not held:
            self._refuse_if_alive(row, now)
        token: int = row.token if held else row.token + 1
        values = {
            "holder": None if last else self.holder,
            "token": token,
            "acquired_at": row.acquired_at if held else now,
            "expires_at": None if last else now + timedelta(seconds=self.seconds),
        }
        conn.execute(_TAKE, {"source": self.source_id, "seen": row.token, **values})
        self._taken = token
        return token

    def _pass(self, conn: sa.Connection, seen: int) -> int:
        """Take and give back what nobody holds: no lease is judged, so no clock need be asked before. Each
        quiet tick does this, and a server is a journey away."""
        self._taken = seen + 1
        values = {"source": self.source_id, "seen": seen, "token": self._taken}
        conn.execute(_PASS[conn.dialect.name], values)
        return self._taken

    def renew(self, conn: sa.Connection) -> None:
        """Renew the lease where it is still ours, and never take it: a renewal may have waited for the
        commit that gave the lease back.

        Raises LeaseLost.
        """
        row = self._read_row(conn, lock=True)
        if row is None or row.holder != self.holder:
            raise LeaseLost("the lease was given back, or taken, before it could be renewed")
        self.write(conn)

    def lock(self, conn: sa.Connection) -> None:
        """Wait for whatever transaction writes this source now, and keep others out."""
        self._read_row(conn, lock=True)

    def committed(self, *, released: bool) -> None:
        """The transaction that called `write` (and perhaps `release`) is durable."""
        self.token = self._taken
        self.held = not released
        self.renewed()

    def renewed(self) -> None:
        """The transaction that called `write` is durable: the lease lasts from that call on."""
        self._renewed_at = self._wrote_at

    def age(self) -> float:
        """Seconds since it was last renewed; without end before the first time."""
        return time.monotonic() - self._renewed_at

    def release(self, conn: sa.Connection) -> None:
        """Give it back; the token stays, so that late writers are still refused."""
        conn.execute(
            sa.update(leases)
            .where(leases.c.source_id == self.source_id, leases.c.holder == self.holder)
            .values(holder=None, expires_at=None)
        )

    def _is_ours(self, row: sa.Row[tuple[int, str, int, datetime, datetime]]) -> bool:
        """Nobody took it since we looked, or it was we who took it and the answer got lost."""
        return row.token == self.token or (row.holder == self.holder and not self.held)

    def _read_row(
        self, conn: sa.Connection, *, lock: bool
    ) -> sa.Row[tuple[int, str, int, datetime, datetime]] | None:
        return conn.execute(_LOCKED if lock else _SEEN, {"source": self.source_id}).one_or_none()

    def _refuse_if_alive(self, row: sa.Row[tuple[int, str, int, datetime, datetime]], now: datetime) -> None:
        if row.holder in (None, self.holder) or is_dead(row.holder) or self._is_earlier(row.holder):
            return
        if row.expires_at is not None and now < row.expires_at <= now + longest_lease(row.holder):
            raise LeaseHeld(
                f"{row.holder} is writing this source",
                hint=f"its lease ends at {row.expires_at:%Y-%m-%d %H:%M:%S} UTC if it does not renew it",
            )

    def _is_earlier(self, holder: str) -> bool:
        return self._job is not None and holder.endswith(f".{self._job}")

    def _refuse_if_late(self, row: sa.Row[tuple[int, str, int, datetime, datetime]], now: datetime) -> None:
        if row.holder != self.holder or row.expires_at is None or row.expires_at <= now:
            raise LeaseLost("the lease ran out before this transaction; nothing was written")
