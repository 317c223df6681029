"""The change feed: what is new in the mirror, into warehouses and lakes; exports; and pruning."""
