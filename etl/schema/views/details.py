"""What only a read by id tells of a job: joins of job_details to video_jobs j (`details: true`)."""

from __future__ import annotations

from etl.schema.views.columns import Column
from etl.schema.views.dialects import Dialect

DETAIL_COLUMNS = (
    Column("reported_cost", "money", "Cost as the provider reports it by id, in the provider's unit."),
    Column("outputs", "integer", "Videos in the answer by id."),
    Column("variants", "integer", "Variants asked for."),
    Column("filtered_outputs", "integer", "Videos that the content filter has kept back."),
    Column("filter_reasons", "text", "Why, in the provider's words; several parted by a semicolon."),
)

DETAIL_JOIN = "LEFT JOIN job_details dt ON dt.source_id = j.source_id AND dt.job_id = j.job_id"

#: The content filter has kept something back.
FILTERED = "(COALESCE(dt.filtered_outputs, 0) > 0 OR dt.filter_reasons IS NOT NULL)"


def detail_values(d: Dialect) -> str:
    """SQL for DETAIL_COLUMNS, over DETAIL_JOIN."""
    return (
        f"{d.money('dt.reported_cost')} AS reported_cost, dt.outputs, dt.variants, dt.filtered_outputs,"
        " dt.filter_reasons"
    )
