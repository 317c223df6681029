"""The table as bars, drawn by hand: a page of documentation needs no plotting library."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.goals import Row

_COLOURS = {"ours": "#2563eb", "handwritten": "#9ca3af", "dlt": "#d97706"}
_NAMES = {"ours": "bifrost-etl", "handwritten": "hand-written script, no history", "dlt": "dlt"}
_LEFT, _WIDTH, _BAR, _GAP, _TOP = 300, 520, 16, 10, 64


def bars(rows: Sequence[Row]) -> str:
    """SVG of all rows in multiples of R; a line marks what is to be reached."""
    shown = [row for row in rows if row.unit == "R"]
    most = max((max(row.value, row.reach or 0) for row in shown), default=1.0) * 1.05
    scale, y, drawn = _WIDTH / most, _TOP, []
    before = None
    for row in shown:
        label = f"{row.title}, {row.database}"
        y += _GAP if label != before else 0
        drawn += _bar(row, label if label != before else "", y, scale)
        before, y = label, y + _BAR + 2
    height = y + 24
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LEFT + _WIDTH + 90} {height}" '
        'font-family="system-ui, sans-serif" font-size="12" fill="#374151">'
        f'<rect width="100%" height="100%" fill="#ffffff"/>{_text(12, 20, "Multiples of R (less is faster)")}'
    )
    return "\n".join([head, *_legend(dict.fromkeys(row.who for row in shown)), *drawn, "</svg>\n"])


def _bar(row: Row, label: str, y: float, scale: float) -> list[str]:
    width, middle = row.value * scale, y + _BAR / 2
    low, high = _LEFT + row.low * scale, _LEFT + row.high * scale
    drawn = [
        _text(_LEFT - 8, y + 12, label, 'text-anchor="end"'),
        f'<rect x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" fill="{_COLOURS[row.who]}"/>',
        f'<path d="M{low:.1f} {middle}H{high:.1f}" stroke="#111827"/>',
        _text(max(_LEFT + width, high) + 6, y + 12, f"{row.value:.2f}"),
    ]
    if row.reach is not None:
        x = _LEFT + row.reach * scale
        drawn.append(f'<path d="M{x:.1f} {y - 3}v{_BAR + 6}" stroke="#dc2626" stroke-width="2"/>')
    return drawn


def _legend(whos: dict[str, None]) -> list[str]:
    drawn, x = [], 12
    for who in whos:
        drawn.append(f'<rect x="{x}" y="32" width="12" height="12" fill="{_COLOURS[who]}"/>')
        drawn.append(_text(x + 17, 42, _NAMES[who]))
        x += 40 + 7 * len(_NAMES[who])
    mark = f'<path d="M{x + 4} 30v16" stroke="#dc2626" stroke-width="2"/>'
    return [*drawn, mark, _text(x + 12, 42, "to be reached")]


def _text(x: float, y: float, words: str, more: str = "") -> str:
    return f'<text x="{x:.1f}" y="{y}" {more}>{escape(words)}</text>' if words else ""
