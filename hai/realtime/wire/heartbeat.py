"""One timer for all sockets: pings, missing pongs and other deadlines.

A wheel of slots on the loop's monotonic clock, so that a jump of the wall
clock ends nobody. Each member is in one slot; when the wheel comes by, its
`on_due(now_s)` pings or closes and says when it wants to be looked at next. A
pong only sets a field: 10,000 idle sockets cost two visits each per interval,
in batches, and no timer or task of their own.
"""

import asyncio
import logging
from typing import Protocol

logger = logging.getLogger(__name__)

SLOTS = 256
SHORTEST_TICK_S = 0.010
TICKS_PER_INTERVAL = 60  # a deadline is kept to 1/60 of the interval


class Member(Protocol):
    slot: "set[Member] | None"  # where it is now; kept by the wheel

    def on_due(self, now_s: float) -> float | None:
        """Do what is due; the time of the next visit, or None to leave."""


class Wheel:
    """`add(member, due_s)`; it turns only while somebody is on it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, interval_s: float) -> None:
        self.loop = loop
        self.tick_s = max(SHORTEST_TICK_S, interval_s / TICKS_PER_INTERVAL)
        self.slots: list[set[Member]] = [set() for _ in range(SLOTS)]
        self.count = 0
        self._at = 0  # ticks since the loop's zero that have been visited
        self._timer: asyncio.TimerHandle | None = None

    def add(self, member: Member, due_s: float) -> None:
        """Visit the member at the first tick after `due_s`. A deadline further
        away than the wheel reaches is visited early; `on_due` must not mind."""
        if self._timer is None:
            self._at = int(self.loop.time() / self.tick_s)
            self._wait()
        tick = min(
            max(int(due_s / self.tick_s) + 1, self._at + 1), self._at + SLOTS - 1
        )
        member.slot = self.slots[tick % SLOTS]
        member.slot.add(member)
        self.count += 1

    def remove(self, member: Member) -> None:
        if member.slot is not None:
            member.slot.discard(member)
            member.slot = None
            self.count -= 1

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._timer = self.loop.call_at((self._at + 1) * self.tick_s, self._turn)

    def _turn(self) -> None:
        now_s = self.loop.time()
        last = int(now_s / self.tick_s)
        # A loop that was held up has pongs to read before anyone is reaped: the
        # ticks it slept through are visited one by one, each in a turn of its own.
        self._at += 1
        self._visit(self._at, now_s)
        if not self.count:
            self._timer = None
        elif self._at < last:
            self._timer = self.loop.call_later(0, self._turn)
        else:
            self._wait()

    def _visit(self, tick: int, now_s: float) -> None:
        slot = self.slots[tick % SLOTS]
        if not slot:
            return
        members = list(slot)
        slot.clear()
        self.count -= len(members)
        for member in members:
            member.slot = None
            try:
                next_s = member.on_due(now_s)
            except Exception:  # one bad member must not stop everybody's pings
                logger.exception("a heartbeat failed")
                next_s = now_s + TICKS_PER_INTERVAL * self.tick_s
            if next_s is not None:
                self.add(member, next_s)
