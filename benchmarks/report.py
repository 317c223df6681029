"""Samples as a table for the terminal, and as docs/performance.md, with plot, figures and query plans."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import against, goals, plot, scaling
from benchmarks.goals import Row
from benchmarks.works import Sample

HEAD = (
    "work",
    "database",
    "by",
    "measured",
    "spread",
    "reach",
    "aim",
    "",
    "time",
    "processor",
    "server",
    "peak memory",
)
_NAMES = {"ours": "bifrost-etl", "handwritten": "hand-written script", "dlt": "dlt"}

#: The page up to here is written by hand, what follows by `write`.
_MEASURED = "## Against the yardstick"


def text(name: str, samples: Sequence[Sample]) -> str:
    """For a terminal, or a pipe."""
    head, body = _content(name, samples)
    widths = [max(len(line[i]) for line in (head, *body)) for i in range(len(head))]
    lines = ["  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True)) for line in (head, *body)]
    more = [_yardstick(samples)]
    if name == "scaling":
        more += [*scaling.verdicts(samples), *scaling.slow(samples), "", *scaling.plans(samples)]
    return "\n".join(line.rstrip() for line in [*lines, "", *more])


def write(folder: Path, name: str, part: dict[str, Any]) -> None:
    """Replace one part (table or scaling) and write page, plot and raw figures anew."""
    folder.mkdir(parents=True, exist_ok=True)
    raw = folder / "performance.json"
    parts = json.loads(raw.read_text()) if raw.exists() else {}
    parts[name] = part
    raw.write_text(json.dumps(parts, indent=1) + "\n")
    samples = {key: [Sample(**sample) for sample in value["samples"]] for key, value in parts.items()}
    (folder / "performance.md").write_text(page(parts, samples, _by_hand(folder / "performance.md")))
    (folder / "performance-plans.txt").write_text("\n".join(scaling.plans(samples.get("scaling", []))) + "\n")
    if "table" in samples:
        (folder / "performance.svg").write_text(plot.bars(goals.rows(samples["table"])))


def _by_hand(page: Path) -> str:
    return page.read_text().partition(_MEASURED)[0] if page.exists() else "# Performance\n\n"


def page(parts: dict[str, Any], samples: dict[str, list[Sample]], by_hand: str) -> str:
    """The page; `by_hand` is what stands before anything that was measured."""
    said: list[str] = []
    if "table" in parts:
        jobs = next((s.jobs for s in samples["table"] if s.work != "start"), 0)
        said += [
            f"{_MEASURED}, {jobs:,} jobs, the reference world\n",
            "![Multiples of R](performance.svg)\n",
        ]
        said += [_markdown("table", samples["table"]), _machine(parts["table"]["machine"])]
    if "scaling" in parts:
        said += ["## By the size of the history\n", _markdown("scaling", samples["scaling"])]
        lines = [*scaling.verdicts(samples["scaling"]), *scaling.slow(samples["scaling"])]
        said += ["".join(f"- {line}\n" for line in lines), _machine(parts["scaling"]["machine"])]
    return by_hand + "\n".join(said)


def _content(name: str, samples: Sequence[Sample]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    if name == "scaling":
        return scaling.HEAD, scaling.cells(samples)
    if name == "against":
        return against.HEAD, against.lines(samples)
    return HEAD, [_cells(row) for row in goals.rows(samples)]


def _cells(row: Row) -> tuple[str, ...]:
    digits = 2 if row.unit == "R" else 0 if row.unit == "MB" or row.value >= 100 else 1
    spread = f"{row.low:.{digits}f}–{row.high:.{digits}f}"
    bounds = ("" if b is None else f"{b:g}" for b in (row.reach, row.aim))
    multiple = "" if row.processor_multiple is None else f" ({row.processor_multiple:.2f} R)"
    server = f"{row.server:.2f} s" if row.server else ""
    used = (f"{row.seconds:.2f} s", f"{row.processor:.2f} s{multiple}", server, f"{row.peak_mb:.0f} MB")
    value = f"{row.value:.{digits}f} {row.unit}"
    return (row.title, row.database, _NAMES[row.who], value, spread, *bounds, row.verdict, *used)


def _markdown(name: str, samples: Sequence[Sample]) -> str:
    head, body = _content(name, samples)
    lines = (head, ("---",) * len(head), *body)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{_yardstick(samples)}\n"


def _yardstick(samples: Sequence[Sample]) -> str:
    said = []
    for name, latency in (("R", "without latency"), ("R20", "at 20 ms per request")):
        for jobs in dict.fromkeys(s.jobs for s in samples if s.work == name):
            took = [s.seconds for s in samples if s.work == name and s.jobs == jobs]
            said.append(f"{latency}, {jobs:,} jobs, {median(took):.2f} s ({min(took):.2f}–{max(took):.2f})")
    return f"R was: {'; '.join(said)}." if said else ""


def _machine(facts: dict[str, Any]) -> str:
    packages = ", ".join(f"{name} {number}" for name, number in facts["packages"].items())
    hardware = f"{facts['cores']} cores of {facts['processor']}, {facts['memory_gb']} GB, {facts['system']}"
    return f"{hardware}, Python {facts['python']}, {', '.join(facts['databases'])}, {packages}.\n"
