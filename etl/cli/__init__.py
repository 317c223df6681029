"""The command `bifrost-etl`: parse, call, print. A command imports what is heavy when it runs."""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (default: this process's) and return its exit code.

    0 done, 1 failed, 2 wrong usage or configuration, 3 some sources failed and others did not,
    130 interrupted.
    """
    # Rows come and go by the thousand, without cycles: 5% of a first load. Modules stay, 100,000 objects when
    # a sync begins: 5% of its start.
    gc.set_threshold(200_000, 20, 20)
    # A thread that comes back from the database waits for whoever makes rows, by default for 5 ms, after each
    # of hundreds of statements: as long as the pages took to read, a fifth of a first load.
    sys.setswitchinterval(0.0005)
    atexit.register(_leave_cycles)
    _fill_closed_streams()
    _write_any_text()
    argv = list(sys.argv[1:] if arguments is None else arguments)
    try:
        if "run" in argv:
            from etl.cli.signals import hold_hangups

            hold_hangups()
        from etl.cli.errors import run_to_exit_code
        from etl.cli.root import command
        from etl.cli.settings import CommandSettings
    except KeyboardInterrupt:  # in the first tenth of a second, which is spent on importing
        return 130

    settings = CommandSettings(environ=dict(os.environ))
    return run_to_exit_code(lambda: command()(argv, prog_name="bifrost-etl", obj=settings), settings)


def _leave_cycles() -> None:
    """What lives at the end dies with the process: to look through it for cycles is 0.06 s of each command.
    But DuckDB's binding prints a page of complaints about each of its own objects that is left over."""
    if "duckdb" not in sys.modules:
        gc.freeze()


def _fill_closed_streams() -> None:
    """Who starts us with one closed (`>&-`) gets nothing to read and nowhere to write, instead of a database
    or a connection under the number that everybody takes for the output's."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number is this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _write_any_text() -> None:
    """Files and pipes get UTF-8, whatever the system's encoding: programs read them. A terminal that has no
    letter for a character shows its number."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            if stream.isatty():
                stream.reconfigure(errors="backslashreplace")
            else:
                stream.reconfigure(encoding="utf-8", errors="backslashreplace")
