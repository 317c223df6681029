"""The numbers at the top of the first page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from etl.analytics.filters import Filter
from etl.analytics.jobs import OpenNow, count_open
from etl.db.engine import Engine
from etl.web.dashboard.filters import SLOWEST, PageQuery
from etl.web.dashboard.formatting import failure_share, show_money, show_seconds, show_share
from etl.words import count_noun


@dataclass(frozen=True, slots=True)
class Tile:
    """One number, what is said below it, and where it leads."""

    name: str
    text: str
    more: str = ""
    href: str = ""
    tone: str = ""


def tiles_of(
    sums: Mapping[str, float],
    before: Mapping[str, float],
    took: Mapping[int, float],
    cache: Mapping[str, float],
    chosen: Filter,
    query: PageQuery,
) -> tuple[Tile, ...]:
    failed, ended = failure_share(sums)
    rate = f"{failed:,.0f} failed" + _rate_before(before)
    slow = f"95 % within {show_seconds(took.get(95))}" if took else "creation to completion"
    made = _change_text("jobs", sums, before) or f"{sums.get('completed', 0):,.0f} completed"
    tiles = [
        Tile("Jobs", f"{sums.get('jobs', 0):,.0f}", made, query.url("/jobs")),
        Tile(
            "Failure rate",
            show_share(failed, ended),
            rate,
            query.url("/tables/failures"),
            "bad" if failed else "",
        ),
        _cost_tile(sums, before, chosen.currency, query),
        Tile("Median time to finish", show_seconds(took.get(50)), slow, query.url("/jobs", sort=SLOWEST)),
    ]
    if cache.get("lookups"):
        hits = show_share(cache.get("hits", 0), cache["lookups"])
        tiles.append(
            Tile(
                "Cache hit rate",
                hits,
                count_noun(int(cache["lookups"]), "lookup"),
                query.url("/tables/cache"),
            )
        )
    return tuple(tiles)


def _cost_tile(
    sums: Mapping[str, float], before: Mapping[str, float], currency: str, query: PageQuery
) -> Tile:
    missing = int(sums.get("uncosted_jobs", 0))
    if missing:
        return Tile(
            f"Cost, {currency}",
            show_money(sums.get("cost"), "") if "cost" in sums else "unpriced",
            f"+ {count_noun(missing, 'job')} without a price",
            query.url("/jobs", only="unpriced"),
            "warn",
        )
    more = _change_text("cost", sums, before) or f"{show_seconds(sums.get('seconds'))} of video"
    return Tile(f"Cost, {currency}", show_money(sums.get("cost"), ""), more, query.url("/tables/cost"))


def _change_text(name: str, sums: Mapping[str, float], before: Mapping[str, float]) -> str:
    """Against the time before, where there was something."""
    if not before.get(name) or name not in sums:
        return ""
    change = sums[name] / before[name] - 1
    return (
        "as in the time before"
        if abs(change) < 0.005
        else f"{'▲' if change > 0 else '▼'} {abs(change):,.0%} on the time before"
    )


def _rate_before(before: Mapping[str, float]) -> str:
    failed, ended = failure_share(before)
    return f", {show_share(failed, ended)} before" if ended else ""


def open_tile(engine: Engine, chosen: Filter, query: PageQuery) -> Tile:
    """What is open now, and whether something is stuck."""
    now: OpenNow = count_open(engine, chosen)
    ever = {"since": "all", "until": ""}
    if now.stalled:
        href = query.url("/jobs", only="stalled", **ever)
        return Tile("Open now", f"{now.jobs:,}", f"{now.stalled:,} stuck for over an hour", href, "bad")
    if now.late:
        href = query.url("/jobs", only="late", **ever)
        return Tile("Open now", f"{now.jobs:,}", f"{now.late:,} late", href, "warn")
    return Tile("Open now", f"{now.jobs:,}", "none is stuck", query.url("/tables/open"))
