"""Airflow: sync every quarter of an hour, deliver after it, reconcile at night.

Put this file into the DAG folder and point BIFROST_ETL_CONFIG at the configuration file. Any number of
workers may run it: a source that one of them is writing is skipped by the others.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.sdk import dag, task

import etl

RETRIES = {"retries": 2, "retry_delay": timedelta(minutes=2)}


@dag(
    schedule="*/15 * * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=RETRIES,
)
def bifrost_sync():
    @task
    def sync() -> dict[str, int]:
        results = etl.sync()
        etl.raise_failed(results)
        return {result.source: result.counts.jobs_inserted for result in results}

    @task
    def deliver() -> dict[str, dict[str, int]]:
        results = etl.deliver()
        etl.raise_failed(results)
        return {result.destination: result.rows for result in results}

    sync() >> deliver()


@dag(
    schedule="30 3 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    default_args=RETRIES,
)
def bifrost_reconcile():
    @task
    def reconcile() -> None:
        etl.raise_failed(etl.reconcile())

    reconcile()


syncing = bifrost_sync()
reconciling = bifrost_reconcile()
