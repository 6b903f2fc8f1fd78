"""What users' reads cost, and who has used up their budget for now.

Time is charged once it is known: each user has a number of milliseconds of CPU time per
second, and a reserve. A read of less than 5 ms is free, as is most of what people do. A
user in debt is refused costly reads (searches, lists that grow with the community,
pages of hais and of changes) until the debt is paid, and nothing else. With
`--rate-limits off` nobody is; the fair queue (storage/sqlite/readers.py) still applies.
"""

from collections.abc import Hashable

from hai.core.rate_limits import Buckets
from hai.errors import RateLimited

FREE_MS = 5.0
MS_PER_S = 200.0  # a fifth of a core
RESERVE_MS = 5_000.0  # twenty searches of maximal duration


class ReadBudget:
    """Loop thread only. Keys are those of storage.database.asker."""

    def __init__(self, *, is_on: bool) -> None:
        self.buckets = Buckets(MS_PER_S, RESERVE_MS, is_on=is_on)

    def admit(self, user_id: int) -> None:
        """Before something costly. Raises RateLimited."""
        if not self.buckets.has_any(user_id):
            raise RateLimited()

    def charge(self, key: Hashable, cpu_ms: float) -> None:
        """The server's own work, whose key is None, is charged to nobody."""
        if cpu_ms > FREE_MS and key is not None:
            self.buckets.charge(key, cpu_ms)
