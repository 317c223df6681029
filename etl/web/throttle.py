"""How often a token may be guessed: from one address, and from all of them together."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Bucket:
    """Wrong guesses, forgotten one by one."""

    count: float
    at: float

    def count_at(self, now: float, per_second: float) -> float:
        return max(0.0, self.count - (now - self.at) * per_second)


class Throttle:
    """`per_address` wrong guesses at once, then one each `seconds / per_address`; likewise `overall`.

    An address that once showed the token does not suffer from what others guess. `size` bounds the addresses
    remembered; an IPv6 network of 64 bits counts as one.
    """

    def __init__(
        self,
        per_address: int = 10,
        overall: int = 100,
        seconds: float = 60.0,
        size: int = 1000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._limit, self._overall, self._seconds, self._size = per_address, overall, seconds, size
        self._clock = clock
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._all = _Bucket(0.0, clock())
        self._known: OrderedDict[str, None] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds until this address may show a token again; 0.0 is now."""
        who = _network_of(address)
        own = self._wait_for(self._buckets.get(who), self._limit)
        return own if who in self._known else max(own, self._wait_for(self._all, self._overall))

    def failed(self, address: str) -> None:
        who, now = _network_of(address), self._clock()
        bucket = self._buckets.pop(who, None) or _Bucket(0.0, now)
        self._buckets[who] = self._one_more(bucket, self._limit, now)
        self._all = self._one_more(self._all, self._overall, now)
        if len(self._buckets) > self._size:
            self._buckets.popitem(last=False)

    def succeeded(self, address: str) -> None:
        who = _network_of(address)
        self._known.pop(who, None)
        self._known[who] = None
        if len(self._known) > self._size:
            self._known.popitem(last=False)

    def _one_more(self, bucket: _Bucket, limit: int, now: float) -> _Bucket:
        return _Bucket(bucket.count_at(now, limit / self._seconds) + 1, now)

    def _wait_for(self, bucket: _Bucket | None, limit: int) -> float:
        if bucket is None:
            return 0.0
        per_second = limit / self._seconds
        over = bucket.count_at(self._clock(), per_second) - (limit - 1)
        return max(0.0, over / per_second)


def _network_of(address: str) -> str:
    try:
        known = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:100]
    if known.version == 4:
        return str(known)
    return str(known.ipv4_mapped or ipaddress.ip_network((known, 64), strict=False))
