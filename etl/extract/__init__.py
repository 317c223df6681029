"""The gateway over HTTP: client, retry policy, and which page follows which."""

from etl.extract import provider_bytes
from etl.extract.client import OWN_REQUEST, GatewayClient
from etl.extract.logs import LogPage

__all__ = [
    "OWN_REQUEST",
    "GatewayClient",
    "LogPage",
    "provider_bytes",
]
