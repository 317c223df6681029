"""Real servers that forget: a standby that lagged takes over in mid-run, and a backup is restored that is
older than what the feed has delivered."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from etl.feed.delivery import deliver_to_one
from etl.simulator import World
from tests.reliability.test_outages import After, _small_batches, right_in_the_end
from tests.support.databases import Server, _as, _free_port, postgres_server
from tests.support.reading_back import destination
from tests.support.rig import rig

__all__ = ["_small_batches"]
pytestmark = pytest.mark.slow


@contextmanager
def standby_of(primary: Server) -> Iterator[Server]:
    """Another server that streams what the primary writes; `follow` is its end."""
    folder = primary.folder / "standby"
    binary = Path(primary.command[0]).with_name("pg_basebackup")
    copy = [str(binary), "-D", str(folder), "-R", "-X", "stream", "-c", "fast", "-U", "etl"]
    copy += ["-h", "127.0.0.1", "-p", str(primary.port)]
    subprocess.run([*_as(primary.account), *copy], check=True, capture_output=True, timeout=120, cwd="/")
    found = Server("postgresql", at_port(primary.command, folder, _free_port()), primary.account, folder, 0)
    found.port = int(found.command[-1].removeprefix("port="))
    found.start()
    try:
        yield found
    finally:
        found.stop()


def at_port(command: list[str], folder: Path, port: int) -> list[str]:
    return [command[0], "-D", str(folder), *command[3:], "-c", f"port={port}"]


def take_over(primary: Server, standby: Server) -> None:
    """The primary is gone for good; the standby answers at its address, with what it had."""
    primary.kill()
    standby.command = at_port(primary.command, standby.folder, primary.port)
    standby.port = primary.port
    (standby.folder / "standby.signal").unlink()
    standby.start()


def caught_up(primary: Server, standby: Server) -> None:
    import psycopg

    with psycopg.connect(primary.url("postgres")) as here, psycopg.connect(standby.url("postgres")) as there:
        (place,) = here.execute("SELECT pg_current_wal_flush_lsn()").fetchone() or ("",)
        for _ in range(600):
            row = there.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", [place]).fetchone()
            if row is not None and row[0]:
                return
            there.execute("SELECT pg_sleep(0.05)")
    raise AssertionError("the standby never came up to the primary")


def test_a_standby_that_lagged_takes_over_in_mid_run() -> None:
    with postgres_server() as primary:
        url = primary.create("etl")
        with standby_of(primary) as standby, rig(World(seed=94, jobs=2500, rate=60), url) as told:

            def lag() -> None:
                caught_up(primary, standby)
                standby.stop()

            hook = After(commit_3=lag, commit_5=lambda: take_over(primary, standby))
            [result] = told.app.sync(progress=hook)

            assert hook.commits >= 5
            assert result.status == "failed", result  # two commits that it was told of are gone
            right_in_the_end(told, result)
            told.reconcile()
            told.assert_equals_gateway()
            told.assert_accounts()


def test_a_backup_is_restored_that_is_older_than_what_was_delivered(postgres: Server, tmp_path: Path) -> None:
    url = postgres.create("restored")
    target = destination("filesystem", tmp_path)
    try:
        with rig(World(seed=95, jobs=400, rate=60), url) as told:
            told.ok()
            assert deliver_to_one(told.app.engine, target).status == "ok"
            told.app.engine.dispose()
            postgres.create("kept", template="restored")
            told.world.advance(900)
            told.ok()
            assert deliver_to_one(told.app.engine, target).status == "ok"
            told.app.engine.dispose()
            postgres.drop("restored")
            postgres.create("restored", template="kept")

            refused = deliver_to_one(told.app.engine, target)

            assert refused.status == "failed" and "restored from a backup" in str(refused.error)
            told.world.advance(900)
            told.ok()
            told.reconcile()
            told.assert_equals_gateway()
            told.assert_accounts()
            again = deliver_to_one(told.app.engine, target)  # its marks name rows that are others now
            assert again.status == "failed" and "restored from a backup" in str(again.error)
            (tmp_path / "anew").mkdir()
            anew = destination("filesystem", tmp_path / "anew")
            assert deliver_to_one(told.app.engine, anew).rows["video_job_versions"] == len(
                told.rows("video_job_versions")
            )
    finally:
        postgres.drop("kept")
        postgres.drop("restored")
