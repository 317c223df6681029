"""Text that a spreadsheet shows instead of running it."""

from __future__ import annotations


def spreadsheet_safe(text: str) -> str:
    """The text as a CSV cell that a spreadsheet shows instead of running it: a ' in front of a formula.

    Spreadsheets look past blanks in front, and take full-width signs like ordinary ones.
    """
    first = text.lstrip(" \u00a0\u3000\ufeff")[:1]
    return f"'{text}" if first and first in "=+-@\t\r\n\v\f＝＋－＠" else text
