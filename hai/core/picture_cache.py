"""Small pictures and thumbnails that were requested recently, in memory.

Bounded in bytes; the least recently used goes first, and after a minute without any
request all go. Permissions are not known here: they are checked in the database each
time, so nothing that was deleted is shown. Loop thread only.
"""

import asyncio
from collections import OrderedDict
from typing import Any

MAX_BYTES = 8 * 1024 * 1024  # about 250 thumbnails: a room or two
MAX_ONE_BYTES = 256 * 1024  # larger ones are served chunk by chunk
IDLE_S = 60.0


class PictureCache:
    """Keys are the caller's; a value is (anything, bytes)."""

    def __init__(self) -> None:
        self.byte_count = 0
        self._kept: OrderedDict[Any, tuple[Any, bytes]] = OrderedDict()
        self._was_used = False
        self._timer: asyncio.TimerHandle | None = None

    def find(self, key: Any) -> tuple[Any, bytes] | None:
        found = self._kept.get(key)
        if found is not None:
            self._kept.move_to_end(key)
            self._was_used = True
        return found

    def put(self, key: Any, about: Any, content: bytes) -> None:
        if len(content) > MAX_ONE_BYTES or key in self._kept:
            return
        self._kept[key] = about, content
        self.byte_count += len(content)
        while self.byte_count > MAX_BYTES:
            _, (_, oldest) = self._kept.popitem(last=False)
            self.byte_count -= len(oldest)
        self._was_used = True
        if self._timer is None:
            self._look_later()

    def clear(self) -> None:
        self._kept.clear()
        self.byte_count = 0

    def _look_later(self) -> None:
        self._was_used = False
        self._timer = asyncio.get_running_loop().call_later(IDLE_S, self._look)

    def _look(self) -> None:
        self._timer = None
        if self._was_used:
            self._look_later()
        else:
            self.clear()
