"""Writes dashboard.json: `python deploy/grafana/build.py`. A test checks that the file is what this writes.

The upper half asks Prometheus how the mirror does; the lower half asks the views what the jobs did.
"""

# ruff: noqa: S608 (SQL is put together from our own snippets)

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

PROMETHEUS = {"type": "prometheus", "uid": "bifrost-prometheus"}
SQL = {"type": "grafana-postgresql-datasource", "uid": "bifrost-sql"}
FILE = Path(__file__).with_name("dashboard.json")
_CHOSEN = 'source=~"$source"'
_RANGE = "source IN ($source) AND day BETWEEN $__timeFrom()::date AND $__timeTo()::date"

Panel = dict[str, Any]


def prometheus(title: str, kind: str, unit: str, *queries: tuple[str, str], text: str = "") -> Panel:
    """A panel over PromQL; each query has an expression and a legend."""
    targets = [
        {"refId": chr(65 + i), "datasource": PROMETHEUS, "expr": expr, "legendFormat": legend}
        for i, (expr, legend) in enumerate(queries)
    ]
    return _panel(title, kind, unit, PROMETHEUS, targets, text)


def sql(title: str, kind: str, unit: str, query: str, *, text: str = "", series: bool = False) -> Panel:
    """A panel over a view. `series`: the first column is `time`, text columns name the series."""
    target = {
        "refId": "A",
        "datasource": SQL,
        "format": "time_series" if series else "table",
        "rawQuery": True,
        "rawSql": query,
    }
    return _panel(title, kind, unit, SQL, [target], text)


def _panel(
    title: str, kind: str, unit: str, source: dict[str, str], targets: list[Panel], text: str
) -> Panel:
    return {
        "title": title,
        "type": kind,
        "description": text,
        "datasource": source,
        "targets": targets,
        "fieldConfig": {"defaults": {"unit": unit, "noValue": "none"}, "overrides": []},
    }


ROWS: dict[str, list[Panel]] = {
    "The mirror": [
        prometheus(
            "Since last complete",
            "stat",
            "s",
            (f"max by (source) (bifrost_etl_last_success_age_seconds{{{_CHOSEN}}})", "{{source}}"),
            text="Time since each source was last known complete.",
        ),
        prometheus(
            "Newest job",
            "stat",
            "s",
            (f"min by (source) (bifrost_etl_lag_seconds{{{_CHOSEN}}})", "{{source}}"),
            text="Age of the newest job that is stored.",
        ),
        prometheus(
            "Open jobs",
            "stat",
            "short",
            (f"max by (source) (bifrost_etl_open_jobs{{{_CHOSEN}}})", "{{source}}"),
        ),
        prometheus(
            "Refused or failing",
            "stat",
            "short",
            (f"sum(max by (source) (bifrost_etl_disabled{{{_CHOSEN}}}))", "refused"),
            (f"sum(max by (source) (bifrost_etl_breaker_open{{{_CHOSEN}}}))", "failing"),
            text="Sources whose settings the gateway refuses, and sources whose runs keep failing.",
        ),
        prometheus(
            "Runs",
            "timeseries",
            "short",
            (
                f"sum by (source, status) (increase(bifrost_etl_runs_total{{{_CHOSEN}}}[$__rate_interval]))",
                "{{source}} {{status}}",
            ),
        ),
        prometheus(
            "Requests and retries",
            "timeseries",
            "reqps",
            (f"sum(rate(bifrost_etl_requests_total{{{_CHOSEN}}}[$__rate_interval]))", "requests"),
            (
                f"sum by (cause) (rate(bifrost_etl_retries_total{{{_CHOSEN}}}[$__rate_interval]))",
                "retry: {{cause}}",
            ),
        ),
        prometheus(
            "Time of a request",
            "timeseries",
            "s",
            *(
                (
                    f"histogram_quantile({q}, sum by (le) "
                    f"(rate(bifrost_etl_request_seconds_bucket{{{_CHOSEN}}}[$__rate_interval])))",
                    name,
                )
                for q, name in ((0.5, "half"), (0.95, "95 of 100"))
            ),
        ),
        prometheus(
            "Rejects, gaps, unknown fields",
            "timeseries",
            "short",
            (f"sum(max by (source) (bifrost_etl_rejected_items{{{_CHOSEN}}}))", "rejected items"),
            (f"sum(max by (source) (bifrost_etl_coverage_gaps{{{_CHOSEN}}}))", "coverage gaps"),
            (f"sum(max by (source) (bifrost_etl_unknown_fields{{{_CHOSEN}}}))", "unknown fields"),
        ),
    ],
    "The jobs": [
        sql(
            "Jobs a day",
            "timeseries",
            "short",
            "SELECT day::timestamp AS time, status AS metric, SUM(jobs) AS jobs FROM daily_jobs "
            f"WHERE {_RANGE} GROUP BY 1, 2 ORDER BY 1",
            series=True,
        ),
        sql(
            "Cost a day",
            "timeseries",
            "currencyUSD",
            "SELECT day::timestamp AS time, model AS metric, SUM(cost) AS cost FROM daily_jobs "
            f"WHERE {_RANGE} AND currency = 'USD' GROUP BY 1, 2 ORDER BY 1",
            text="Completed jobs with a known price, in USD.",
            series=True,
        ),
        sql(
            "What failed, and why",
            "table",
            "short",
            "SELECT class, error_code, model, SUM(jobs) AS jobs, SUM(wasted_seconds) AS wasted_seconds "
            f"FROM failures WHERE {_RANGE} GROUP BY class, error_code, model ORDER BY jobs DESC LIMIT 50",
        ),
        sql(
            "What we spent on which model",
            "table",
            "short",
            "SELECT provider, model, currency, SUM(jobs) AS jobs, SUM(seconds) AS seconds, "
            "SUM(cost) AS cost, SUM(uncosted_jobs) AS without_price FROM daily_jobs "
            f"WHERE {_RANGE} AND status = 'completed' "
            "GROUP BY provider, model, currency ORDER BY cost DESC NULLS LAST",
        ),
        sql(
            "What is stuck right now",
            "table",
            "short",
            "SELECT source, job_id, model, status, progress, created_at, expected_at, is_stalled "
            "FROM open_jobs WHERE source IN ($source) ORDER BY created_at LIMIT 100",
        ),
        sql(
            "Files that expire next",
            "table",
            "short",
            "SELECT source, job_id, model, expires_at FROM expiring_assets WHERE source IN ($source) "
            "ORDER BY expires_at LIMIT 100",
        ),
    ],
}


def dashboard() -> dict[str, Any]:
    """The whole file."""
    return {
        "uid": "bifrost-etl",
        "title": "Bifrost video jobs",
        "tags": ["bifrost-etl"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "1m",
        "time": {"from": "now-7d", "to": "now"},
        "timezone": "utc",
        "templating": {"list": [_sources()]},
        "panels": list(_laid_out()),
    }


def _sources() -> dict[str, Any]:
    return {
        "name": "source",
        "label": "Source",
        "type": "query",
        "datasource": SQL,
        "query": "SELECT name FROM sources ORDER BY name",
        "refresh": 2,
        "multi": True,
        "includeAll": True,
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def _laid_out() -> Any:
    number, y = 0, 0
    for title, panels in ROWS.items():
        number += 1
        yield {"id": number, "type": "row", "title": title, "collapsed": False, "panels": [],
               "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}}  # fmt: skip
        x, y, height = 0, y + 1, 0
        for panel in panels:
            number += 1
            width, tall = (6, 5) if panel["type"] == "stat" else (12, 8)
            if x + width > 24:
                x, y, height = 0, y + height, 0
            yield {"id": number, "gridPos": {"x": x, "y": y, "w": width, "h": tall}, **panel}
            x, height = x + width, max(height, tall)
        y += height


def text() -> str:
    """The file's text."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text())
