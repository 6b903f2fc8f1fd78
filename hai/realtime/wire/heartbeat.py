"""One timer for all sockets: pings, missing pongs and other deadlines.

A timer wheel on the loop's monotonic clock, so a jump of the wall clock disconnects
nobody. Each entry is in one slot; when the wheel reaches it, `on_due(now_s)` pings or
closes and returns when it wants to be visited next. A pong only sets a field: 10,000
idle sockets cost two visits each per interval, in batches, and need no timer or task of
their own.
"""

import asyncio
import logging
from typing import Protocol

logger = logging.getLogger(__name__)

SLOTS = 256
SHORTEST_TICK_S = 0.010
VISITS_A_TURN = 32  # 4 ms if all of them end
TICKS_PER_INTERVAL = 60  # deadlines are accurate to 1/60 of the interval


class WheelEntry(Protocol):
    slot: "set[WheelEntry] | None"  # where it is now; kept by the wheel

    def on_due(self, now_s: float) -> float | None:
        """Do what is due; the time of the next visit, or None to leave."""


class TimerWheel:
    """`add(entry, due_s)`; it turns only while it has entries."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_s: float) -> None:
        self.loop = loop
        self.tick_s = max(SHORTEST_TICK_S, interval_s / TICKS_PER_INTERVAL)
        self.slots: list[set[WheelEntry]] = [set() for _ in range(SLOTS)]
        self.count = 0
        self._at = 0  # the last tick visited, counted from the loop's zero
        self._is_within = False  # a part of this tick is still to be visited
        self._timer: asyncio.TimerHandle | None = None

    def add(self, entry: WheelEntry, due_s: float) -> None:
        """Visit the entry at the first tick after `due_s`. A deadline beyond the
        wheel's range is visited early; `on_due` must allow for that."""
        if self._timer is None:
            self._at = int(self.loop.time() / self.tick_s)
            self._wait()
        tick = min(
            max(int(due_s / self.tick_s) + 1, self._at + 1), self._at + SLOTS - 1
        )
        entry.slot = self.slots[tick % SLOTS]
        entry.slot.add(entry)
        self.count += 1

    def remove(self, entry: WheelEntry) -> None:
        if entry.slot is not None:
            entry.slot.discard(entry)
            entry.slot = None
            self.count -= 1

    def is_behind(self, now_s: float) -> bool:
        """Whether ticks are missed: the loop was busy, and has not caught up."""
        return now_s >= (self._at + 2) * self.tick_s

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = self.loop.call_at((self._at + 1) * self.tick_s, self._turn)

    def _turn(self) -> None:
        """One tick, or a part of it when many are due: thousands who have knocked and
        not signed in end at once, and others must not wait for all of them."""
        now_s = self.loop.time()
        # After a delay the loop has pongs to read before anyone is closed, so missed
        # ticks are visited one by one, each in a turn of its own.
        if not self._is_within:
            self._at += 1
        slot = self.slots[self._at % SLOTS]
        self._visit_some(slot, now_s)
        self._is_within = bool(slot)
        if not self.count:
            self._timer = None
        elif self._is_within or self._at < int(now_s / self.tick_s):
            self._timer = self.loop.call_later(0, self._turn)
        else:
            self._wait()

    def _visit_some(self, slot: set[WheelEntry], now_s: float) -> None:
        for _ in range(min(len(slot), VISITS_A_TURN)):
            entry = slot.pop()
            entry.slot = None
            self.count -= 1
            try:
                next_s = entry.on_due(now_s)
            except Exception:  # one bad entry must not stop everybody's pings
                logger.exception("a heartbeat failed")
                next_s = now_s + TICKS_PER_INTERVAL * self.tick_s
            if next_s is not None:
                self.add(entry, next_s)
            if not slot:  # another one's end may end this one, too
                return
