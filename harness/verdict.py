"""The end of a soak: what was survived, and whether the tables tell the truth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

import sqlalchemy as sa

from etl.schema.tables import metadata
from etl.simulator.faults import NAMES
from harness import report, truth
from harness.disorder import Service
from harness.observed import Observed

#: They change how some jobs and cursors are answered; the simulator does not count how often.
UNCOUNTED = ("dead_cursor", "poison", "poison_type", "upstream_gone", "key_failed")


@dataclass
class Verdict:
    """Counts are of one soak on one database."""

    database: str
    jobs_planned: int
    minutes: float
    seed: int
    simulated_hours: float = 0.0
    seconds: float = 0.0
    requests: int = 0
    jobs: int = 0
    versions: int = 0
    strangers: int = 0
    unlisted: int = 0
    gaps: int = 0
    rejects: int = 0
    takeovers: int = 0
    misfortunes: dict[str, int] = field(default_factory=dict)
    thrown: dict[str, int] = field(default_factory=dict)
    struck: dict[str, int] = field(default_factory=dict)
    runs: dict[str, int] = field(default_factory=dict)
    errors: dict[str, int] = field(default_factory=dict)
    retries: int = 0
    pages_while_another_was_sick: dict[str, dict[str, int]] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)

    def judge(self, name: str, tables: truth.Tables, observed: Observed) -> None:
        """One source, against everything that its gateway has shown."""
        told = truth.everything(tables, observed) + truth.overlooked(tables, observed)
        self.findings += [f"{name}: {text}" for text in told]
        stored = list(tables.rows("video_jobs", "list_position"))
        self.jobs += len(stored)
        self.unlisted += sum(row.unlisted_at is not None for row in stored)
        self.strangers += sum(row.job_id not in observed.shown for row in stored)
        self.versions += sum(1 for _ in tables.rows("video_job_versions", "change_seq"))
        self.gaps += len(truth.gaps(tables))
        self.rejects += sum(1 for _ in tables.rows("rejected_items", "id"))
        log = list(tables.rows("sync_runs", "id"))
        self.runs = dict(Counter(self.runs) + Counter(run.status for run in log))
        self.errors = dict(Counter(self.errors) + Counter(run.error_class for run in log if run.error_class))
        self.retries += sum(run.retries for run in log)

    def others_while_sick(
        self, engine: sa.Engine, sick: Iterable[tuple[str, datetime, datetime]], names: list[str]
    ) -> None:
        """While one source hung, every other one stored pages."""
        pages, sources = metadata.tables["list_pages"], metadata.tables["sources"]
        joined = pages.join(sources, sources.c.id == pages.c.source_id)
        for ill, since, until in sick:
            query = sa.select(sources.c.name, sa.func.count()).select_from(joined)
            query = query.where(pages.c.received_at.between(since, until)).group_by(sources.c.name)
            with engine.connect() as conn:
                found = {str(name): int(count) for name, count in conn.execute(query)}
            self.pages_while_another_was_sick[ill] = found
            still = [name for name in names if name != ill and not found.get(name)]
            self.findings += [f"{name}: stood still while {ill} was sick" for name in still]

    def text(self) -> str:
        """Markdown."""
        spoilt, kinds = sum(self.struck.values()), sum(1 for count in self.struck.values() if count)
        facts: dict[str, list[object]] = {
            "minutes of disorder / simulated hours": [f"{self.minutes:g} / {self.simulated_hours:g}"],
            "requests answered": [self.requests],
            "jobs / versions stored": [f"{self.jobs:,} / {self.versions:,}"],
            "… no longer listed": [self.unlisted],
            "… of a stranger's account, all unlisted again": [self.strangers],
            "rejects / coverage gaps recorded": [f"{self.rejects:,} / {self.gaps:,}"],
            **{f"runs: {status}": [count] for status, count in sorted(self.runs.items())},
            "requests repeated": [self.retries],
            "takeovers of a dead process' source": [self.takeovers],
            **{what: [count] for what, count in sorted(self.misfortunes.items())},
            "answers spoilt, by so many kinds of fault": [f"{spoilt:,} by {kinds}"],
            "**findings**": [len(self.findings)],
        }
        struck = sorted((name, count) for name, count in self.struck.items() if count)
        faults = ", ".join(f"{name} {count}" for name, count in struck)
        never = sorted(set(NAMES) - dict(struck).keys() - set(UNCOUNTED)) or ["none"]
        errors = ", ".join(f"{name} {count}" for name, count in sorted(self.errors.items()))
        sick = "; ".join(
            f"{ill}: " + ", ".join(f"{name} {count}" for name, count in sorted(found.items()))
            for ill, found in self.pages_while_another_was_sick.items()
        )
        return "\n\n".join(
            (
                report.table(["", self.database], facts),
                f"Answers spoilt: {faults}. In force for a time, not counted: {', '.join(UNCOUNTED)}."
                f" Never struck: {', '.join(never)}.",
                f"Runs ended by: {errors}.",
                f"Pages stored while a source hung for 15 seconds: {sick}.",
            )
        )


def count_log(verdict: Verdict, services: Iterable[Service]) -> None:
    events = Counter(entry.get("event") for service in services for entry in service.events())
    verdict.takeovers = events["takeover"]
    if events["tick_failed"]:
        verdict.findings.append(f"{events['tick_failed']} ticks ended in an exception; see the log")
