"""Is everything there that a sync needs? This file is the room's face."""

from etl.check.database import check_database, require_declared
from etl.check.finding import Finding
from etl.check.source import Probe

__all__ = ["Finding", "Probe", "check_database", "require_declared"]
