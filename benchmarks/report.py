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
    "peak memory",
)
_NAMES = {"ours": "bifrost-etl", "handwritten": "hand-written script", "dlt": "dlt"}

_INTRO = """# Performance

Written by `make bench` and `make bench ARGS=--scaling`; single measurements:
[performance.json](performance.json); query plans: [performance-plans.txt](performance-plans.txt).

R is the yardstick: page through everything with `requests` and the standard JSON decoder, store nothing. R
and everything held against it are whole processes, started one after another, on the same simulated gateway,
which has every page rendered beforehand and a core to itself. Each measurement is divided by the R just
before it; the table shows the median, and the spread from the least to the greatest.

- The jobs' ids begin with the second of creation, as OpenAI's do. Where they come in random order, a history
  that outgrows the database's cache takes longer: 1,000,000 jobs once took 58 s into SQLite, 37 s into
  PostgreSQL, and 293 s into MariaDB with the 128 MB that InnoDB keeps by default (114 s with 2 GB).
- *First load* starts with an empty database and creates the tables. *Full re-read* is `reconcile`.
- The tick's *own time* is that of a sync inside a running process, without the wait for the gateway.
- *Processor* is the command's own user and system time; a database server's is not in it. Peak memory is
  the process's largest resident set, 1 MB = 10⁶ bytes.
- The hand-written script stores the current state only, with one upsert of many rows per page.
- PostgreSQL and MariaDB run on this machine, beside the gateway and the command, with their own
  default settings.
"""


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
    (folder / "performance.md").write_text(page(parts, samples))
    (folder / "performance-plans.txt").write_text("\n".join(scaling.plans(samples.get("scaling", []))) + "\n")
    if "table" in samples:
        (folder / "performance.svg").write_text(plot.bars(goals.rows(samples["table"])))


def page(parts: dict[str, Any], samples: dict[str, list[Sample]]) -> str:
    said = [_INTRO]
    if "table" in parts:
        jobs = next((s.jobs for s in samples["table"] if s.work != "start"), 0)
        said += [f"## Against the yardstick, {jobs:,} jobs\n", "![Multiples of R](performance.svg)\n"]
        said += [_markdown("table", samples["table"]), _machine(parts["table"]["machine"])]
    if "scaling" in parts:
        said += ["## By the size of the history\n", _markdown("scaling", samples["scaling"])]
        lines = [*scaling.verdicts(samples["scaling"]), *scaling.slow(samples["scaling"])]
        said += ["".join(f"- {line}\n" for line in lines), _machine(parts["scaling"]["machine"])]
    return "\n".join(said)


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
    used = (f"{row.seconds:.2f} s", f"{row.processor:.2f} s{multiple}", f"{row.peak_mb:.0f} MB")
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
