"""Configuration: a YAML file, the environment, or both. This face is what other rooms import."""

from etl.config.load import example, load_config
from etl.config.model import (
    Config,
    Dask,
    Database,
    Destination,
    Feed,
    Lease,
    Mask,
    Notify,
    Price,
    Reporting,
    Retention,
    Service,
)
from etl.config.needed import require_secrets
from etl.config.source import Reconcile, Schedule, Source
from etl.config.values import Secret, SecretUrl

__all__ = [
    "Config",
    "Dask",
    "Database",
    "Destination",
    "Feed",
    "Lease",
    "Mask",
    "Notify",
    "Price",
    "Reconcile",
    "Reporting",
    "Retention",
    "Schedule",
    "Secret",
    "SecretUrl",
    "Service",
    "Source",
    "example",
    "load_config",
    "require_secrets",
]
