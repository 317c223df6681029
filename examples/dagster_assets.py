"""Dagster: the mirror and its deliveries as assets, on a schedule.

BIFROST_ETL_CONFIG=bifrost.yaml dagster dev -f examples/dagster_assets.py
"""

import dagster as dg

import etl


@dg.asset
def video_jobs() -> dg.MaterializeResult:
    """The mirror, up to date with every gateway."""
    results = etl.sync()
    etl.raise_failed(results)
    changed = sum(result.counts.jobs_inserted + result.counts.jobs_updated for result in results)
    return dg.MaterializeResult(metadata={"sources": len(results), "jobs_changed": changed})


@dg.asset(deps=[video_jobs])
def lake() -> dg.MaterializeResult:
    """Every change in every configured destination."""
    results = etl.deliver()
    etl.raise_failed(results)
    return dg.MaterializeResult(metadata={"rows": sum(sum(result.rows.values()) for result in results)})


freshen = dg.define_asset_job("freshen", selection=[video_jobs, lake])
defs = dg.Definitions(
    assets=[video_jobs, lake],
    jobs=[freshen],
    schedules=[dg.ScheduleDefinition(job=freshen, cron_schedule="*/15 * * * *")],
)
