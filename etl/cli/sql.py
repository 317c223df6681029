"""`bifrost-etl sql`: questions to the configured database, which cannot be changed by them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from etl.cli.output import BAD, DIM, print_line
from etl.cli.report import FormatOption, Output
from etl.cli.settings import CommandSettings, ConfigFile
from etl.errors import EtlError
from etl.words import count_noun

if TYPE_CHECKING:
    from etl.db.engine import Engine

_HELP = "A statement ends with ; — \\d lists tables and views, \\d NAME its columns; help, exit."

#: As in psql and in sqlite3.
_DESCRIBE = ("\\d", "\\dt", "\\dv", ".tables", ".schema")


def command(
    ctx: typer.Context,
    statement: Annotated[
        str | None, typer.Argument(metavar="STATEMENT", help="One statement; without it, a prompt opens.")
    ] = None,
    format: FormatOption = "table",
    output: Output = None,
    limit: Annotated[
        int, typer.Option(min=0, metavar="ROWS", help="At most this many rows; 0 for all.")
    ] = 1000,
    timeout: Annotated[
        float, typer.Option(min=0.001, metavar="SECONDS", help="Time limit for the statement.")
    ] = 60.0,
    config: ConfigFile = None,
) -> None:
    """Ask the database in SQL, read-only: one statement, or a prompt.

    The tables and views are described in docs/sql.md. Statements also come from a pipe, each ending with ;.
    """
    from etl.cli.tables import check_output

    check_output(format, output)
    settings = ctx.ensure_object(CommandSettings)
    loaded = settings.load(config)

    from etl.analytics.connections import open_filled_database

    with open_filled_database(loaded) as engine:
        _warn_of_rights(engine)
        if statement is not None:
            _answer(engine, statement, format, output, limit, timeout)
            return
        for text in _typed_statements() if sys.stdin.isatty() else _split_statements(sys.stdin):
            try:
                _answer(engine, text, format, output, limit, timeout)
            except EtlError as exc:
                if not sys.stdin.isatty():
                    raise
                print_line(settings.redact(str(exc)), BAD, stream=sys.stderr)
                if exc.hint:
                    print_line(f"  {settings.redact(exc.hint)}", DIM, stream=sys.stderr)


def _warn_of_rights(engine: Engine) -> None:
    """Says what the account may do that no read-only transaction takes away."""
    from etl.db.rights import HINT, server_rights

    if rights := server_rights(engine):
        print_line(
            f"this account may do more than read ({', '.join(rights)}); {HINT}", DIM, stream=sys.stderr
        )


def _answer(engine: Engine, text: str, form: str, output: Path | None, limit: int, timeout: float) -> None:
    word, _, name = text.rstrip().rstrip(";").partition(" ")
    if word in _DESCRIBE:
        _describe_relation(name.strip())
    else:
        _answer_statement(engine, text, form, output, limit, timeout)


def _answer_statement(
    engine: Engine, statement: str, form: str, output: Path | None, limit: int, timeout: float
) -> None:
    from etl.analytics.adhoc_sql import run_statement
    from etl.analytics.rendering import Document
    from etl.cli.tables import write_document

    answer = run_statement(engine, statement, timeout=timeout, limit=limit or None)
    notes = (f"the first {count_noun(len(answer.rows), 'row')}; --limit 0 shows all",) if answer.cut else ()
    write_document(Document("Answer", (answer,), notes=notes), form, output)
    if form in ("csv", "parquet"):
        for note in notes:
            print_line(note, DIM, stream=sys.stderr)


def _describe_relation(name: str) -> None:
    """What there is, or the columns of `name`: the same on every database, and with what things mean."""
    from etl.analytics.catalogue import describe_relation
    from etl.cli.tables import show_table

    show_table(describe_relation(name), "UTC")


def _split_statements(lines: Iterable[str]) -> Iterator[str]:
    """Statements end with a semicolon at the end of a line; the last may do without."""
    waiting: list[str] = []
    for line in lines:
        if not waiting and not line.strip():
            continue
        waiting.append(line)
        if _ends_statement(line, first=len(waiting) == 1):
            yield "".join(waiting).strip()
            waiting = []
    if "".join(waiting).strip():
        yield "".join(waiting).strip()


def _ends_statement(line: str, *, first: bool) -> bool:
    """Whether a statement ends with this line; what begins with a backslash or a dot is complete."""
    return line.rstrip().endswith(";") or (first and line.startswith(("\\", ".")))


def _typed_statements() -> Iterator[str]:
    _keep_line_history()
    print_line(_HELP, DIM)
    yield from _split_statements(_typed_lines())


def _typed_lines() -> Iterator[str]:
    """Lines as they are typed; another prompt says that a statement still lacks its semicolon."""
    waiting = False
    while True:
        try:
            line = input("  -> " if waiting else "sql> ")
        except EOFError:
            print()
            return
        word = line.strip().rstrip(";").lower()
        if not waiting and word in ("\\q", ".quit", ".exit", "quit", "exit"):
            return
        if not waiting and word in ("\\?", "\\h", ".help", "?", "help"):
            print_line(_HELP, DIM)
            continue
        waiting = bool(waiting or line.strip()) and not _ends_statement(line, first=not waiting)
        yield line + "\n"


def _keep_line_history() -> None:
    """Arrow keys, and what was typed before, where the system has readline."""
    try:
        import atexit
        import readline
    except ImportError:
        return
    home = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "bifrost-etl"
    file = home / "sql_history"
    try:
        home.mkdir(parents=True, exist_ok=True, mode=0o700)
        if file.exists():
            readline.read_history_file(file)
        readline.set_history_length(1000)
        atexit.register(readline.write_history_file, file)
    except OSError:  # a home that cannot be written: nothing is remembered
        return
