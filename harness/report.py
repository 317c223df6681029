"""What a harness prints: progress to stderr, a Markdown table, and the findings."""

from __future__ import annotations

import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

MOST = 40  # findings printed; the report holds them all


def say(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


@contextlib.contextmanager
def folder(keep: Path | None, name: str, *, fast: bool = False) -> Iterator[Path]:
    """Where databases and logs go: below `keep`, or away afterwards. `fast`: in memory, if there is any."""
    if keep is not None:
        kept = (keep / name).absolute()
        kept.mkdir(parents=True)
        yield kept
        return
    place = "/dev/shm" if fast and os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix=f"bifrost-etl-{name}-", dir=place) as made:
        yield Path(made)


def table(head: Sequence[str], rows: Mapping[str, Sequence[object]]) -> str:
    lines = [head, ["---", *("---:" for _ in head[1:])]]
    lines += [[name, *(_cell(value) for value in values)] for name, values in rows.items()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: object) -> str:
    return f"{value:,}" if isinstance(value, int | float) else str(value)


def judged(findings: Iterable[str]) -> int:
    """Print the findings; 1 when there is one, for the shell."""
    found = list(findings)
    for text in found[:MOST]:
        print(f"✗ {text}")
    print("✓ equal to the truth" if not found else f"✗ {len(found)} findings")
    return 1 if found else 0
