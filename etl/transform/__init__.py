"""Pages into rows. Pure: no clock, no files, no network; nothing that a gateway sends makes it raise."""

from etl.transform.options import Options
from etl.transform.pages import transform_page

__all__ = ["Options", "transform_page"]
