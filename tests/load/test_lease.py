"""One writer per source, on every database: taken, renewed, refused, lost, and not waited for when dead."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl.db.engine import write_transaction
from etl.errors import LeaseHeld, LeaseLost
from etl.load import Lease, register_source, worker_name
from etl.load.lease import is_dead
from etl.schema.tables import leases


@pytest.fixture
def source_id(engine: sa.Engine) -> int:
    with write_transaction(engine) as conn:
        return register_source(conn, "main", "http://x", "openai", None, datetime.now(UTC))


def look(engine: sa.Engine, lease: Lease) -> None:
    with engine.connect() as conn:
        lease.look(conn)


def write(engine: sa.Engine, lease: Lease, *, last: bool = False) -> None:
    with write_transaction(engine) as conn:
        lease.write(conn)
        if last:
            lease.release(conn)
    lease.committed(released=last)


def test_a_living_lease_keeps_others_out_and_a_released_one_does_not(
    engine: sa.Engine, source_id: int
) -> None:
    one, two = (Lease(source_id, f"elsewhere:{n}:x", 60) for n in (1, 2))
    look(engine, one)
    write(engine, one)
    with pytest.raises(LeaseHeld, match="elsewhere:1:x"):
        look(engine, two)
    write(engine, one, last=True)
    look(engine, two)
    write(engine, two)
    assert (one.token, two.token) == (1, 2)


@pytest.mark.parametrize("noticed", [True, False], ids=["the run is over", "the commit has just ended"])
def test_a_renewal_that_waited_for_the_end_takes_nothing(
    engine: sa.Engine, source_id: int, noticed: bool
) -> None:
    lease = Lease(source_id, "elsewhere:1:x", 60)
    look(engine, lease)
    write(engine, lease)
    with write_transaction(engine) as conn:
        lease.renew(conn)
        lease.release(conn)
    if noticed:
        lease.committed(released=True)
    with pytest.raises(LeaseLost), write_transaction(engine) as conn:
        lease.renew(conn)
    with engine.connect() as conn:
        assert conn.scalar(sa.select(leases.c.holder)) is None


def test_who_looked_before_somebody_else_wrote_may_not_write(engine: sa.Engine, source_id: int) -> None:
    one, two = (Lease(source_id, f"elsewhere:{n}:x", 60) for n in (1, 2))
    look(engine, one)
    look(engine, two)
    write(engine, two, last=True)
    with pytest.raises(LeaseHeld):  # it stands back, as if it had come a moment later
        write(engine, one)


def test_a_lease_that_ran_out_writes_nothing_even_if_nobody_took_it(
    engine: sa.Engine, source_id: int
) -> None:
    lease = Lease(source_id, "elsewhere:1:x", 60)
    look(engine, lease)
    write(engine, lease)
    with write_transaction(engine) as conn:
        conn.execute(sa.update(leases).values(expires_at=datetime.now(UTC) - timedelta(seconds=1)))
    with pytest.raises(LeaseLost):
        write(engine, lease)


def test_who_names_another_boot_or_none_is_waited_for(engine: sa.Engine, source_id: int) -> None:
    """Two virtual machines of one image share name and namespace; an old version named no boot."""
    host, _, _ = worker_name().rpartition(":")[0].rpartition(":")
    before, _, boot = host.rpartition("/")
    assert Path("/proc/sys/kernel/random/boot_id").read_text().startswith(boot)
    nobody = 2**22 + 1  # above every process id
    assert is_dead(f"{host}:{nobody}:x")
    for name in (f"{before}/00000000:{nobody}:x", f"{before}:{nobody}:x"):
        assert not is_dead(name)
        look(engine, first := Lease(source_id, name, 60))
        write(engine, first)
        with pytest.raises(LeaseHeld):
            look(engine, Lease(source_id, worker_name(), 60))
        write(engine, first, last=True)


@pytest.mark.parametrize("database", ["sqlite"], indirect=True)
def test_a_killed_process_of_this_host_is_not_waited_for(engine: sa.Engine, source_id: int) -> None:
    code = "from etl.load import worker_name; print(worker_name())"
    dead = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert (
        is_dead(dead) and not is_dead(worker_name()) and not is_dead("elsewhere:1:x") and not is_dead("odd")
    )
    first = Lease(source_id, dead, 3600)
    look(engine, first)
    write(engine, first)
    second = Lease(source_id, worker_name(), 60)
    look(engine, second)
    write(engine, second)
    with pytest.raises(LeaseLost):
        write(engine, first)


def test_an_earlier_attempt_at_the_same_job_is_not_waited_for_and_is_fenced_off(
    engine: sa.Engine, source_id: int
) -> None:
    """A worker that its cluster took for dead is only frozen: the attempt that follows it wins."""
    frozen, second = (Lease(source_id, f"machine{n}:7:x", 60, job="job-1") for n in (1, 2))
    look(engine, frozen)
    write(engine, frozen)
    with pytest.raises(LeaseHeld):
        look(engine, Lease(source_id, "machine3:7:x", 60, job="another-job-1"))
    look(engine, second)
    write(engine, second)
    assert (frozen.token, second.token) == (1, 2)
    with pytest.raises(LeaseLost):
        write(engine, frozen)
    write(engine, second, last=True)


@pytest.mark.parametrize(("back", "is_held"), [(30, True), (90, False), (1800, False)])
def test_a_clock_that_was_put_back_holds_up_a_killed_writer_s_lease_no_longer_than_two_of_them(
    engine: sa.Engine, source_id: int, back: int, is_held: bool
) -> None:
    """`back`: seconds. The writer ran on another host, so that nobody knows that it is dead."""
    host, _, rest = worker_name(60).partition(":")
    gone, one = Lease(source_id, f"else-{host}:{rest}", 60), Lease(source_id, worker_name(60), 60)
    look(engine, gone)
    write(engine, gone)
    with engine.begin() as conn:
        ends = datetime.now(UTC) + timedelta(seconds=60 + back)
        conn.execute(sa.update(leases).values(expires_at=ends))
    if is_held:
        with pytest.raises(LeaseHeld):
            look(engine, one)
    else:
        look(engine, one)
        write(engine, one)
        with pytest.raises(LeaseLost):
            write(engine, gone)
