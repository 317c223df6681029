"""The tables of the dashboard: what each is called and explains, and which columns a small space shows."""

from __future__ import annotations

from dataclasses import dataclass

from etl.analytics.forecast import METHOD


@dataclass(frozen=True, slots=True)
class TableSpec:
    """`few` are the columns on the first page. `later`: fetched when that is there. `nothing`: when empty.
    `beside`: tables that answer the next question. `of_log`: it
    comes from the gateway's log, and says little where none is read."""

    name: str
    title: str
    about: str
    few: tuple[str, ...]
    nothing: str
    later: bool = False
    beside: tuple[str, ...] = ()
    of_log: bool = False


TABLE_SPECS = {
    view.name: view
    for view in (
        TableSpec("daily", "By day", "Jobs by day of creation.",
            ("day", "jobs", "completed", "failed", "failure_rate", "cost"), "No jobs in this range."),
        TableSpec("usage", "By day and model", "Jobs by day of creation and model.", (),
            "No jobs in this range."),
        TableSpec("weekly", "By week", "Jobs by week of creation, from Monday.",
            ("week", "jobs", "completed", "failed", "failure_rate", "cost"), "No jobs in this range."),
        TableSpec("monthly", "By month", "Jobs by month of creation.",
            ("month", "jobs", "completed", "failed", "failure_rate", "cost"), "No jobs in this range."),
        TableSpec("hourly", "By hour", "Jobs by hour of creation.",
            ("hour", "jobs", "completed", "failed", "failure_rate", "cost"), "No jobs in this range."),
        TableSpec("minutely", "By minute", "Jobs by minute of creation.",
            ("minute", "jobs", "completed", "failed", "failure_rate", "cost"), "No jobs in this range."),
        TableSpec("models", "Cost by model",
            "By the price book, most expensive first; Spend counts what the gateway's log says.",
            ("model", "provider", "cost", "jobs", "failure_rate", "failed", "seconds"),
            "No jobs in this range."),
        TableSpec("spend", "Spend", "Who spent what: as the gateway's log says, or else the price book.",
            ("team", "cost", "jobs", "failure_rate", "seconds", "settled_jobs"), "No jobs in this range.",
            later=True, beside=("reconcile-cost",), of_log=True),
        TableSpec("totals", "Jobs", "Jobs by what became of them.",
            ("jobs", "completed", "failed", "failure_rate", "cost"), "No jobs in this range."),
        TableSpec("cost", "Cost", "Of completed jobs by model and currency, by the price book.",
            ("model", "provider", "cost", "currency", "jobs", "seconds", "uncosted_jobs"),
            "Nothing was completed.", beside=("spend", "reconcile-cost")),
        TableSpec("reconcile-cost", "Estimate against settled",
            "What jobs cost by the price book, and by the gateway's log.",
            ("model", "provider", "resolution", "settled_cost", "estimated_cost", "difference", "verdict",
             "jobs"), "The gateway's log says of no job in this range what it cost.",
            beside=("spend", "cost"), of_log=True),
        TableSpec("pace", "Time to finish, over time",
            "Half of the jobs, 90 and 99 of 100 took no longer.", (),
            "Nothing was completed in this range."),
        TableSpec("latency", "Time to finish by model",
            "From creation to completion, gateway's clock, nearest rank.",
            ("model", "source", "p50", "p90", "p95", "p99", "slowest", "jobs"), "Nothing was completed.",
            later=True),
        TableSpec("slowest", "Slowest jobs", "Completed jobs that took longest, gateway's clock.",
            ("job_id", "model", "total_seconds", "size", "seconds", "created_at", "source"),
            "Nothing was completed.", later=True),
        TableSpec("budgets", "Budgets", f"Spent so far, and at the period's end; {METHOD}.",
            ("budget", "spent", "used", "amount", "forecast", "forecast_used", "last_day", "only"),
            "No budget is configured."),
        TableSpec("failures", "Failures", "By a class the same for all providers, and the provider's error.",
            ("class", "jobs", "error_code", "error_message", "would_be_cost"),
            "Nothing failed in this range."),
        TableSpec("cache", "Cache", "Lookups in the gateway's cache by day.", (),
            "No page showed the cache."),
        TableSpec("open", "Open jobs",
            "Not finished now; expected finish from comparable jobs. Oldest first.",
            ("job_id", "source", "model", "size", "seconds", "status", "progress", "age_seconds",
             "expected_at"),
            "Nothing is open: every job has come to its end."),
        TableSpec("jobs", "Jobs", "Newest first.",
            ("job_id", "created_at", "model", "status", "prompt", "size", "seconds", "total_seconds", "cost",
             "source"), "No jobs match."),
        TableSpec("tree", "Remix tree", "From the first video down to its remixes.",
            ("job_id", "created_at", "model", "status", "prompt", "seconds", "cost"), "No such job."),
        TableSpec("expiring", "Files that expire next", "Still downloadable, soonest end first.",
            ("job_id", "source", "model", "seconds_left", "expires_at", "cost"),
            "No file is about to expire.", later=True),
        TableSpec("remixes", "Remix trees",
            "Families of remixes that grew in this range, with their whole cost.",
            ("root_job_id", "source", "jobs", "depth", "seconds", "cost", "is_orphan", "last_created_at"),
            "No remixes in this range.", later=True),
        TableSpec("duplicates", "Asked more than once", "The same prompt, model, size and length.",
            ("prompt", "model", "jobs", "avoidable_jobs", "avoidable_cost"), "Nothing was asked for twice.",
            later=True),
        TableSpec("runs", "Runs", "What each sync read, and how it ended.",
            ("run", "source", "kind", "status", "started_at", "duration_seconds", "pages", "retries",
             "inserted", "updated", "rejected", "error_class"), "No run yet.", later=True),
        TableSpec("pages", "Pages", "Each page of the list that was fetched.", (), "No page yet."),
        TableSpec("rejects", "Rejected items", "What could not be understood, verbatim.",
            ("last_seen_at", "source", "times_seen", "reason", "job_id", "payload"),
            "Nothing was rejected: every item was understood.", later=True),
        TableSpec("drift", "Schema drift", "Fields that the contract does not name.",
            ("path", "type", "source", "times", "first_seen_at", "last_seen_at"),
            "No unknown field was met.", later=True),
        TableSpec("freshness", "Freshness", "When each source was last complete.", (), "No source yet."),
    )
}  # fmt: skip
