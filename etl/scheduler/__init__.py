"""The service's clockwork: which source runs when, and what its failures mean for the next run."""

from etl.scheduler.once import deliver_once, run_once
from etl.scheduler.service import Service
from etl.scheduler.timing import BREAKER_AFTER
from etl.scheduler.work import Telemetry, Work

__all__ = ["BREAKER_AFTER", "Service", "Telemetry", "Work", "deliver_once", "run_once"]
