"""Configuration: a YAML file, the environment, or both. This face is what other rooms import."""

from etl.config.budgets import Alerts, SpendBudget
from etl.config.cron import next_fire
from etl.config.destination import Destination, Feed, Mask
from etl.config.load import example_text, load_config
from etl.config.model import (
    Config,
    Dask,
    DatabaseConfig,
    LeaseConfig,
    Notify,
    Price,
    Reporting,
    Retention,
    ServiceConfig,
)
from etl.config.needed import require_secrets
from etl.config.secret import Secret, SecretUrl
from etl.config.source import Reconcile, Schedule, Source, stale_after

__all__ = [
    "Alerts",
    "Config",
    "Dask",
    "DatabaseConfig",
    "Destination",
    "Feed",
    "LeaseConfig",
    "Mask",
    "Notify",
    "Price",
    "Reconcile",
    "Reporting",
    "Retention",
    "Schedule",
    "Secret",
    "SecretUrl",
    "ServiceConfig",
    "Source",
    "SpendBudget",
    "example_text",
    "load_config",
    "next_fire",
    "require_secrets",
    "stale_after",
]
