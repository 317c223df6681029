"""The gateway over HTTP: client, retry policy, and which page follows which."""

from etl.extract import provider_bytes
from etl.extract.client import OWN_REQUEST, Gateway
from etl.extract.logs import LogPage
from etl.extract.paging import next_cursor, next_request, spent

__all__ = [
    "OWN_REQUEST",
    "Gateway",
    "LogPage",
    "next_cursor",
    "next_request",
    "provider_bytes",
    "spent",
]
