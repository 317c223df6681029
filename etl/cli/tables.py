"""Tables to a terminal, a pipe or a file, for the commands that answer questions."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from etl.cli.output import DIM, WARN, on_terminal, say, table
from etl.errors import ConfigError
from etl.log import visible

if TYPE_CHECKING:
    from etl.analytics.queries import Table
    from etl.analytics.rendering import Document


def check_output(form: str, output: Path | None) -> None:
    """Raises ConfigError for a format that does not exist or cannot go to standard output."""
    from etl.analytics.rendering import FORMATS

    if form not in FORMATS:
        raise ConfigError(f"no format {form!r}", hint=f"one of: {', '.join(FORMATS)}")
    if form == "parquet" and output is None:
        raise ConfigError("a Parquet file needs a name", hint="add --output FILE.parquet")
    if form == "table" and output is not None:
        raise ConfigError("a table is for reading here", hint="choose a --format for the file")


def write(document: Document, form: str, output: Path | None) -> None:
    """The document in `form`, to `output` or standard output. Raises ConfigError."""
    from etl.analytics.rendering import render, to_parquet

    if form == "table":
        show(document)
    elif form == "parquet" and output is not None:
        to_parquet(document, output)
    elif output is None:
        text = render(document, form)
        sys.stdout.write(visible(text) if sys.stdout.isatty() else text)
    else:
        _save(render(document, form), output)


def _save(text: str, output: Path) -> None:
    try:
        output.write_text(text, encoding="utf-8", newline="")
    except OSError as exc:
        raise ConfigError(f"{output}: cannot be written: {exc.strerror}") from None


def show(document: Document) -> None:
    """The document for a person."""
    from etl.analytics.rendering import lines

    head, *notes = lines(document) or [""]
    if any(each.ranged for each in document.tables):
        say(head, DIM)
    else:
        notes = lines(document)
    for each in document.tables:
        if len(document.tables) > 1:
            say()
            say(each.title)
        show_table(each, document.zone)
    for note in notes:
        say(note, WARN)


def show_table(each: Table, zone: str) -> None:
    from etl.analytics.rendering import bars, is_number, shown

    if not each.rows:
        say("nothing in this range" if each.ranged else "nothing", DIM)
        return
    columns = [i for i, _ in enumerate(each.columns) if any(row[i] is not None for row in each.rows)]
    headings = [each.columns[i].name for i in columns]
    cells = [[shown(row[i], each.columns[i].kind, zone) for i in columns] for row in each.rows]
    right = [n for n, i in enumerate(columns) if is_number(each.columns[i], each.rows, i)]
    if each.chart is not None and on_terminal() and len(each.rows) > 1:
        place = next(i for i, column in enumerate(each.columns) if column.name == each.chart)
        drawn = bars([row[place] for row in each.rows])
        headings.append("")
        cells = [[*row, bar] for row, bar in zip(cells, drawn, strict=True)]
    table(headings, cells, right=right)
