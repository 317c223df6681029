"""`GET /api/logs`: filters, order and pages. What cannot be understood is ignored, but for bounds."""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from etl.simulator.log.rows import LogEntry

LISTS = ("objects", "providers", "models", "status", "virtual_key_ids", "selected_key_ids")
ORDERS = ("timestamp", "latency", "tokens", "cost")


@dataclass(frozen=True)
class Search:
    """start, end: unix seconds, both inclusive."""

    limit: int = 50
    offset: int = 0
    sort_by: str = "timestamp"
    order: str = "desc"
    start: float = -math.inf
    end: float = math.inf
    cheapest: float = -math.inf
    dearest: float = math.inf
    unpriced: bool = False
    text: str = ""
    wanted: dict[str, frozenset[str]] = field(default_factory=dict)

    def find(self, rows: Iterable[LogEntry]) -> list[LogEntry]:
        """Every row that fits, in the order asked for."""
        found = [row for row in rows if self._fits(row)]
        if self.sort_by in ("latency", "cost"):
            found.sort(key=lambda row: getattr(row, self.sort_by) or 0.0)
        return found if self.order == "asc" else found[::-1]

    def _fits(self, row: LogEntry) -> bool:
        if not self.start <= row.timestamp <= self.end:
            return False
        shown = {
            "objects": row.object,
            "providers": row.provider,
            "models": row.model,
            "status": row.status,
            "virtual_key_ids": f"vk-{row.owner.virtual_key}" if row.owner else "",
            "selected_key_ids": f"{row.key}-id" if row.key else "",
        }
        if any(shown[name] not in values for name, values in self.wanted.items()):
            return False
        return self._costs_fit(row) and self.text.lower() in (row.prompt or "").lower()

    def _costs_fit(self, row: LogEntry) -> bool:
        if self.unpriced and row.cost:
            return False
        return self.cheapest <= (row.cost or 0.0) <= self.dearest


def parse_search(query: dict[str, str]) -> Search:
    """Raises ValueError for a limit or an offset out of bounds."""
    limit, offset = int(query.get("limit") or 50), int(query.get("offset") or 0)
    if not 1 <= limit <= 1000:
        raise ValueError("limit must be between 1 and 1000")
    if offset < 0:
        raise ValueError("offset must not be negative")
    sort_by, order = query.get("sort_by", ""), query.get("order", "")
    asked = {name: frozenset(query[name].split(",")) for name in LISTS if query.get(name)}
    return Search(
        limit,
        offset,
        sort_by if sort_by in ORDERS else "timestamp",
        order if order in ("asc", "desc") else "desc",
        _read_moment(query.get("start_time", ""), -math.inf),
        _read_moment(query.get("end_time", ""), math.inf),
        _read_number(query.get("min_cost", ""), -math.inf),
        _read_number(query.get("max_cost", ""), math.inf),
        query.get("missing_cost_only") == "true",
        query.get("content_search", ""),
        asked,
    )


def _read_moment(text: str, otherwise: float) -> float:
    """RFC 3339 with a zone; anything else is silently ignored."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return otherwise
    return moment.timestamp() if moment.tzinfo and "T" in text else otherwise


def _read_number(text: str, otherwise: float) -> float:
    try:
        return float(text)
    except ValueError:
        return otherwise
