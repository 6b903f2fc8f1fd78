"""Values that were made recently, bounded in bytes; those not asked for go first.

Nothing here knows whether a value still holds. A key names everything that its value
was made from, for example (id, rev); or the value says at which rev it was made, and
who takes it compares. What only one reader may see has that reader in its key.
"""

import threading
from collections.abc import Hashable
from typing import Any

Kept = tuple[Any, int]  # a value and its size in bytes, as its maker estimates it


class Cache:
    """Two generations: what is asked for moves to the young one; when that has half of
    the bytes it becomes the old one, and what is still in the old one goes. Any thread.

    (An OrderedDict in the order of use needs a lock to look something up, 0.4 us.)
    max_bytes: 0 keeps nothing.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._young: dict[Hashable, Kept] = {}
        self._old: dict[Hashable, Kept] = {}
        self._young_bytes = self._old_bytes = 0
        self._changing = threading.Lock()

    @property
    def byte_count(self) -> int:
        return self._young_bytes + self._old_bytes

    def find(self, key: Hashable) -> Any:
        """None if it is not here."""
        kept = self._young.get(key)
        if kept is None:
            kept = self._old.get(key)
            if kept is None:
                return None
            self.put(key, *kept)
        return kept[0]

    def put(self, key: Hashable, value: Any, byte_count: int) -> None:
        """Keep it, in place of what was there under this key. One that would take a
        quarter of all is not kept."""
        if byte_count * 4 > self.max_bytes:
            return
        with self._changing:
            if before := self._young.pop(key, None):
                self._young_bytes -= before[1]
            if (self._young_bytes + byte_count) * 2 > self.max_bytes:
                self._old, self._old_bytes = self._young, self._young_bytes
                self._young, self._young_bytes = {}, 0
            self._young[key] = value, byte_count
            self._young_bytes += byte_count
