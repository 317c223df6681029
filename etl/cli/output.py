"""Printing: tables and marks on a terminal, aligned text into a pipe, one JSON document for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from etl.times import span_text

if TYPE_CHECKING:
    from rich.console import Console

#: Rich's box of a table: one line under the headings, and nothing else.
_RULE = "    \n    \n ── \n    \n    \n    \n    \n    \n"
#: What a style means to Rich; into a pipe there are no styles.
GOOD, BAD, WARN, DIM = "green", "bold red", "yellow", "dim"


def on_terminal(stream: TextIO | None = None) -> bool:
    """Whether a person watches `stream` (default stdout) on a terminal that can draw."""
    return (stream or sys.stdout).isatty() and os.environ.get("TERM") != "dumb"


def make_console(stream: TextIO | None = None, *, wrap: bool = False) -> Console:
    """A Rich console on `stream`; it honours NO_COLOR by itself. `wrap` keeps lines within the width."""
    from rich.console import Console

    return Console(file=stream or sys.stdout, highlight=False, emoji=False, soft_wrap=not wrap)


def print_line(text: str = "", style: str | None = None, *, stream: TextIO | None = None) -> None:
    """One line; coloured on a terminal. Control characters that came from outside are shown, not obeyed."""
    text = make_printable(text)
    if style is None or not on_terminal(stream):
        print(text, file=stream or sys.stdout)
    else:
        make_console(stream).print(text, style=style, markup=False)


def say_json(document: Any) -> None:
    """The one JSON document of a command. Instants are ISO 8601 in UTC, ending in Z."""
    from etl.log import visible_json

    print(visible_json(json.dumps(document, ensure_ascii=False, indent=2, default=_plain_json)))


def _plain_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return show_instant(value)
    raise TypeError(f"no JSON form for {type(value).__name__}")


def print_table(
    headings: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    sums: Sequence[Sequence[str]] = (),
    right: Sequence[int] = (),
    whole: bool = False,
    short: bool = False,
) -> None:
    """Rows and their sums under headings; columns in `right` hold numbers. A pipe gets them two blanks apart.

    On a terminal that is too narrow columns are left out, unless all are wanted (`whole`) or too little
    would be left: then each row is told a field a line. Where one table is among several (`short`), a
    row is a line all the same.
    """
    headings = [make_printable(heading) for heading in headings]
    cells = [[make_printable(cell) for cell in row] for row in (*rows, *sums)]
    if on_terminal():
        _draw_table(headings, cells, len(rows), right, whole, short)
        return
    lines = [list(headings), *cells]
    widths = [max(len(line[column]) for line in lines) for column in range(len(headings))]
    for line in lines:
        padded = (
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        print("  ".join(padded).rstrip())


def _draw_table(
    headings: Sequence[str],
    cells: Sequence[Sequence[str]],
    rows: int,
    right: Sequence[int],
    whole: bool,
    short: bool,
) -> None:
    """The first `rows` of the `cells` are rows, the others their sums."""
    from rich.box import Box
    from rich.table import Table
    from rich.text import Text

    from etl.cli.fitting import fit_columns

    target = make_console()
    fitted = fit_columns(headings, cells, right, target.width)
    if fitted.left_out and (whole or (not short and fitted.says_too_little(headings))):
        _print_fields(headings, cells, rows)
        return
    target.width = max(target.width, fitted.width)  # an id that is wider than the terminal is shown whole
    drawn = Table(box=Box(_RULE), pad_edge=False, padding=(0, 1, 0, 0), show_edge=False, header_style="bold")
    for column, width in zip(fitted.columns, fitted.widths, strict=True):
        justify = "right" if column in right else "left"
        drawn.add_column(Text(headings[column]), justify=justify, no_wrap=True, width=width)  # type: ignore[arg-type]
    for row in cells:
        drawn.add_row(*(Text(row[column]) for column in fitted.columns))
    target.print(drawn, soft_wrap=False)
    if fitted.left_out:
        print_line(f"left out because the terminal is too narrow: {', '.join(fitted.left_out)}", DIM)


def _print_fields(headings: Sequence[str], cells: Sequence[Sequence[str]], rows: int) -> None:
    """A field a line, and an empty line between rows; the terminal breaks what is longer than it is wide.

    Of the sums, what follows the first `rows`, only what was added up is shown.
    """
    names = max(len(heading) for heading in headings)
    for number, row in enumerate(cells):
        if number:
            print_line()
        for heading, cell in zip(headings, row, strict=True):
            if heading and (cell or number < rows):  # a bar has no heading
                print_line(f"{heading.ljust(names)}  {cell}".rstrip())


def make_printable(text: str) -> str:
    """`text` on one line, without control characters and lone surrogates: much comes from outside."""
    safe = "".join(
        c if c.isprintable() else " " if c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )
    return safe if _can_encode_marks() else safe.encode("ascii", "replace").decode()


def _can_encode_marks() -> bool:
    """Whether the output takes marks such as ✓: a C locale's may not."""
    encoding = (sys.stdout.encoding or "ascii").lower().replace("-", "")
    return encoding.startswith("utf")


def show_instant(moment: datetime | None) -> str | None:
    """`2026-11-23T01:44:28Z`, with milliseconds when there are any."""
    if moment is None:
        return None
    precision = "milliseconds" if moment.microsecond else "seconds"
    return moment.isoformat(timespec=precision).replace("+00:00", "Z")


def moment_text(moment: datetime | None) -> str:
    """`2026-11-23 01:44:28` (UTC), or a dash."""
    return "-" if moment is None else moment.strftime("%Y-%m-%d %H:%M:%S")


def show_span(length: timedelta | None) -> str:
    """`42s`, `12m`, `3h 10m`, `5d 2h`; a dash when unknown."""
    return "-" if length is None else span_text(max(0.0, length.total_seconds()))


def show_number(value: int | None) -> str:
    return "-" if value is None else f"{value:,}"


def program_name() -> str:
    """How to call this command from here: by name when it is on the PATH, else by its path."""
    found, own = shutil.which("bifrost-etl"), Path(sys.argv[0])
    if own.name != "bifrost-etl" or (found is not None and Path(found).resolve() == own.resolve()):
        return "bifrost-etl"
    return os.path.relpath(own)
