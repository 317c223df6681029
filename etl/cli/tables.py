"""Tables to a terminal, a pipe or a file, for the commands that answer questions."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etl.cli.output import DIM, WARN, on_terminal, print_line, print_table
from etl.errors import ConfigError
from etl.log import make_visible

if TYPE_CHECKING:
    from etl.analytics.queries import Table
    from etl.analytics.rendering import Document


def check_output(form: str, output: Path | None) -> None:
    """Raises ConfigError for a format that does not exist or cannot go to standard output."""
    from etl.analytics.rendering import FORMATS

    if form not in FORMATS:
        raise ConfigError(f"there is no format {form!r}", hint=f"one of: {', '.join(FORMATS)}")
    if form == "parquet" and output is None:
        raise ConfigError("a Parquet file needs a name", hint="add --output FILE.parquet")
    if form == "table" and output is not None:
        raise ConfigError("--format table is for the terminal", hint="choose another one, such as csv")


def write_document(document: Document, form: str, output: Path | None) -> None:
    """The document in `form`, to `output` or standard output. Raises ConfigError."""
    from etl.analytics.parquet_file import to_parquet
    from etl.analytics.rendering import render_document

    if form == "table":
        show_document(document)
    elif form == "parquet" and output is not None:
        to_parquet(document, output)
    elif output is None:
        text = render_document(document, form)
        sys.stdout.write(make_visible(text) if sys.stdout.isatty() else text)
    else:
        _save_text(render_document(document, form), output)


def _save_text(text: str, output: Path) -> None:
    try:
        output.write_text(text, encoding="utf-8", newline="")
    except OSError as exc:
        raise ConfigError(f"{output}: cannot be written: {exc.strerror}") from None


def show_document(document: Document) -> None:
    """The document for a person."""
    from etl.analytics.rendering import document_notes

    head, *notes = document_notes(document) or [""]
    if any(each.ranged for each in document.tables):
        print_line(head, DIM)
    else:
        notes = document_notes(document)
    for each in document.tables:
        if len(document.tables) > 1:
            print_line()
            print_line(each.title)
        show_table(each, document.zone, short=len(document.tables) > 1)
    for note in notes:
        print_line(note, WARN)


def show_table(each: Table, zone: str, *, short: bool = False) -> None:
    """`short`: a row is a line, however narrow the terminal (see `print_table`)."""
    from etl.analytics.rendering import heading_of, is_number, row_texts, total_texts

    if not each.rows:
        print_line("nothing in this range" if each.ranged else "nothing", DIM)
        return
    texts = [row_texts(each, row, zone) for row in each.rows]
    columns = [i for i, _ in enumerate(each.columns) if i < each.asked or any(row[i] != "-" for row in texts)]
    headings = [heading_of(each, each.columns[i]) for i in columns]
    cells = [[row[i] for i in columns] for row in texts]
    sums = [[line[i] for i in columns] for line in total_texts(each, zone)]
    right = [n for n, i in enumerate(columns) if is_number(each.columns[i], each.rows, i)]
    if each.chart is not None and on_terminal() and len(each.rows) > 1:
        place = next(i for i, column in enumerate(each.columns) if column.name == each.chart)
        drawn = text_bars([row[place] for row in each.rows])
        headings.append("")
        cells = [[*row, bar] for row, bar in zip(cells, drawn, strict=True)]
        sums = [[*line, ""] for line in sums]
    whole = 0 < len(each.columns) <= each.asked
    print_table(headings, cells, sums=sums, right=right, whole=whole, short=short)


def text_bars(values: Sequence[Any], width: int = 20) -> list[str]:
    """A bar for each number, the largest `width` characters long."""
    numbers = [float(value or 0) for value in values]
    top = max(numbers, default=0)
    return ["" if top <= 0 or v <= 0 else _text_bar(v / top * width) for v in numbers]


def _text_bar(length: float) -> str:
    eighths = max(1, round(length * 8))
    return "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
