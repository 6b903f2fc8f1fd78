"""Token buckets: so many of something per second, with a reserve for bursts.

One `Buckets` per kind of thing, one bucket per key (a session, an address). In memory,
on the loop thread. A bucket that is full again is forgotten, so the memory is bounded
by who was active recently.
"""

import math
from collections.abc import Hashable

from hai import clock

SWEEP_EVERY = 10_000  # new buckets between two sweeps: bounds memory


class Buckets:
    """`take(key)` until the bucket is empty; it refills by `per_second`.

    is_on: False lets everything pass (the setting `rate_limits`).
    """

    def __init__(self, per_second: float, burst: float, *, is_on: bool = True) -> None:
        self.per_second = per_second
        self.burst = burst
        self.is_on = is_on
        self._filled: dict[Hashable, tuple[float, float]] = {}  # key -> (left, when)
        self._until_sweep = SWEEP_EVERY

    def take(self, key: Hashable, cost: float = 1.0) -> bool:
        """Whether enough was left; if not, nothing is taken."""
        if not self.is_on:
            return True
        now = clock.monotonic_s()
        left = self._left(key, now)
        if left < cost:
            return False
        self._filled[key] = (left - cost, now)
        return True

    def wait_s(self, key: Hashable, cost: float = 1.0) -> float:
        """How long until there will be enough."""
        missing = cost - self._left(key, clock.monotonic_s())
        if missing <= 0:
            return 0.0
        return missing / self.per_second if self.per_second else math.inf

    def has_any(self, key: Hashable) -> bool:
        """Whether anything is left, for things charged once their cost is known."""
        return not self.is_on or self._left(key, clock.monotonic_s()) > 0

    def charge(self, key: Hashable, cost: float) -> None:
        """Take the actual cost, which may be more than was left."""
        if self.is_on:
            now = clock.monotonic_s()
            self._filled[key] = (self._left(key, now) - cost, now)

    def give_back(self, key: Hashable, cost: float = 1.0) -> None:
        """Undo a `take` that should not count after all."""
        if key in self._filled:
            left, when = self._filled[key]
            self._filled[key] = (left + cost, when)

    def _left(self, key: Hashable, now: float) -> float:
        known = self._filled.get(key)
        if known is None:
            self._count_new(now)
            return self.burst
        left, when = known
        return min(self.burst, left + (now - when) * self.per_second)

    def _count_new(self, now: float) -> None:
        self._until_sweep -= 1
        if self._until_sweep <= 0:
            self._until_sweep = SWEEP_EVERY
            full = [k for k in self._filled if self._left(k, now) >= self.burst]
            for key in full:
                del self._filled[key]
