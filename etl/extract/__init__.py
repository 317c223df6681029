"""The gateway over HTTP: client, retry policy, and which page follows which."""

from etl.extract import provider_bytes
from etl.extract.client import Gateway
from etl.extract.paging import next_cursor, next_request, spent

__all__ = ["Gateway", "next_cursor", "next_request", "provider_bytes", "spent"]
