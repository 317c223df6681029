"""The gateway over HTTP: client, retry policy, and which page follows which."""

from etl.extract import provider_bytes
from etl.extract.client import OWN_REQUEST, GatewayClient
from etl.extract.logs import LogPage
from etl.extract.paging import next_cursor, next_request, without_items

__all__ = [
    "OWN_REQUEST",
    "GatewayClient",
    "LogPage",
    "next_cursor",
    "next_request",
    "provider_bytes",
    "without_items",
]
