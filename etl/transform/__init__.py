"""Pages into rows. Pure: no clock, no files, no network; nothing that a gateway sends makes it raise."""

from etl.transform.json_values import Unusable
from etl.transform.log_rows import asked_for, log_row
from etl.transform.pages import transform_page
from etl.transform.privacy import Options

__all__ = ["Options", "Unusable", "asked_for", "log_row", "transform_page"]
