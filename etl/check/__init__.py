"""Is everything there that a sync needs? This file is the room's face."""

from etl.check.database import check_database, require_declared
from etl.check.finding import Finding
from etl.check.source import Probe
from etl.check.upstream import check_statuses, check_upstream

__all__ = ["Finding", "Probe", "check_database", "check_statuses", "check_upstream", "require_declared"]
