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
and everything held against it are whole processes, started one after another, on the same simulated
gateway, which has every page rendered beforehand and a core to itself. Each measurement is divided by the R
just before it; the table shows the median, and the spread from the least to the greatest.

- *First load* and the like are of the reference world: every field filled as on the gateway's reference
  page, no status, an error object on each job, `cache_debug` on every page, one page in fifty a cache hit
  that is asked for again, ids in random order, the newest jobs open. The *dirty* world has new members on
  every job and page besides, and one item in a hundred cannot be understood. The *plain* world is the
  simulator's.
- *First load* starts with an empty database and creates the tables. *Full re-read* is `reconcile`.
- The tick's *own time* is that of a sync inside a running process, without the wait for the gateway.
- *Processor* is the command's own user and system time; a database server's is not in it. Peak memory is
  the process's largest resident set, 1 MB = 10⁶ bytes.
- The hand-written script stores the current state only, with one upsert of many rows per page.
- PostgreSQL and MariaDB run on this machine, beside the gateway and the command, with their own default
  settings.
- `python -m benchmarks --against COMMIT` measures an older commit and this one in alternation, with the
  servers' processor time; `python -m benchmarks.stages` shows what each stage takes per job.

## Ids in random order

Every job's id stands in two indexes: the key of `video_jobs`, and job and version in `video_job_versions`;
together they take 250 bytes a job on PostgreSQL. Where ids come in random order, each new job changes a
random page of both. Once the indexes outgrow the database's cache, or its log is so small that it must
write pages out all the time, that is what a load spends its time on:

- **PostgreSQL** logs a whole page the first time that it changes after a checkpoint. Of a load of 60,000
  jobs with `max_wal_size = 64MB`, the first third logged 500 such pages and the last 1,650; with 8 GB none.
  Set `max_wal_size` to several GB for a first load of millions, and `shared_buffers` to 250 MB for each
  million jobs at least. The server's processor time per job did not grow.
- **MariaDB and MySQL** grow most. Of a load of 60,000 jobs, with a cache for a sixth of them
  (`innodb_buffer_pool_size = 16M`), the server took 150 to 220 µs of processor time a job and read two
  pages for each; with a cache that holds everything 70 to 100 µs and none; with `innodb_log_file_size =
  512M` besides, 40 to 60 µs. The default of 128 MB (and a log of 96 MB) holds about 100,000 jobs: 1,000,000
  once took 293 s, and 114 s with 2 GB. Set the buffer pool to 1.5 GB for each million jobs, and the log to
  512 MB or more.
- **SQLite** relies on the system's cache of files: leave as much memory free as the two indexes take.

## Questions over a million jobs

Made by `python -m benchmarks.million`, asked on a busy machine (2 cores, load 9 to 14): processor time of
the command on SQLite, of the server's process on PostgreSQL. Over everything most reports are read from
totals or an index: 0.5 s at most, `reconcile-cost` 1.0 s. Of the others the last columns say up to how many
jobs a second does:

| question | SQLite | PostgreSQL | 1 s on SQLite | on PostgreSQL |
| --- | --- | --- | --- | --- |
| `report daily`, `weekly`, `monthly`, `usage` in another zone than UTC | 2.8 s | 0.8 s | 350,000 | more |
| `report hourly` | 4.5 s | 2.2 s | 220,000 | 450,000 |
| `report duplicates` | 3.3 s | 1.9 s | 300,000 | 500,000 |
| `report remixes`, `SELECT * FROM remix_trees` | 4.0 s | 4.2 s | 250,000 | 240,000 |
| `report spend` | 6.9 s | 3.7 s | 140,000 | 270,000 |
| `report totals --by model`, and others job by job | 5.1 s | 4.8 s | 200,000 | 200,000 |

Over 30 days of these (84,000 jobs) all take 0.6 s or less, but for remixes: 1.2 s and 1.6 s. Every job is
read for each: an index over a digest of the prompts would answer duplicates, and cost each new job 5 µs on
top of the 23 that it costs to insert it on SQLite, for ids and digests are in random order; hours are so
many that totals by hour would be as long as the list of jobs. Give such questions a range.
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
        said += [
            f"## Against the yardstick, {jobs:,} jobs, the reference world\n",
            "![Multiples of R](performance.svg)\n",
        ]
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
