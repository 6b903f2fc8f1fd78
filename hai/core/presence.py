"""Who is online: a user with at least one open socket, and for 30 s after it.

In memory only, on the loop thread. The grace period hides short gaps, when a page is
reloaded or a phone changes networks.
"""

import asyncio
from collections import Counter

from hai.bus import Bus
from hai.events import PresenceChanged

GRACE_S = 30.0
SMALL_ROOM_MEMBERS = 100  # presence is sent to rooms up to this size


class Presence:
    """Counts sockets per user; the edges report connects and disconnects."""

    def __init__(self, bus: Bus, grace_s: float = GRACE_S) -> None:
        self.bus = bus
        self.grace_s = grace_s
        self.socket_counts: Counter[int] = Counter()
        self.leaving: dict[int, asyncio.TimerHandle] = {}

    def of(self, user_id: int) -> str:
        return "online" if self.is_online(user_id) else "offline"

    def is_online(self, user_id: int) -> bool:
        """(any thread) A user who connects enters the counts before leaving `leaving`,
        and the reverse when disconnecting; so a user who moves between the two in the
        meantime is not missed.
        """
        counts, leaving = self.socket_counts, self.leaving
        return user_id in counts or user_id in leaving or user_id in counts

    def connected(self, user_id: int) -> None:
        was_here = self.of(user_id) == "online"
        self.socket_counts[user_id] += 1
        if timer := self.leaving.pop(user_id, None):
            timer.cancel()
        if not was_here:
            self.bus.publish(PresenceChanged(user_id, "online"))

    def disconnected(self, user_id: int) -> None:
        self.socket_counts[user_id] -= 1
        if self.socket_counts[user_id] > 0:
            return
        loop = asyncio.get_running_loop()
        self.leaving[user_id] = loop.call_later(self.grace_s, self._gone, user_id)
        del self.socket_counts[user_id]

    def _gone(self, user_id: int) -> None:
        del self.leaving[user_id]
        self.bus.publish(PresenceChanged(user_id, "offline"))

    def close(self) -> None:
        """Cancel the timers; nothing more is published."""
        for timer in self.leaving.values():
            timer.cancel()
        self.leaving.clear()
