"""Many sources at once in this process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from etl.config import Source

_T = TypeVar("_T")


def side_by_side(act: Callable[[Source], _T], chosen: Sequence[Source], parallel: int) -> list[_T]:
    """Results in the order of `chosen`; at most `parallel` at once, first come, first served."""
    if len(chosen) == 1:
        return [act(chosen[0])]
    with ThreadPoolExecutor(max_workers=min(parallel, len(chosen))) as pool:
        return list(pool.map(act, chosen))
