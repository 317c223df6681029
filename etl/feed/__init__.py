"""The change feed: what is new in the mirror, into warehouses and lakes; exports; and pruning.

`run(engine, config, names)` delivers, from a command, a schedule, or after each sync.
"""

from etl.feed.delivery import FeedResult, deliver_to_all

__all__ = ["FeedResult", "deliver_to_all"]
