"""From the bus to the sockets: each fact to its audience, in the order of the bus.

A fact is encoded once, and only if somebody is listening. Facts arrive in rev order and
go into the outboxes immediately, before the futures of the orders resolve, so an ack
always follows its own fact.
"""

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

from hai.bus import Bus
from hai.events import (
    FACTS,
    Audience,
    HaiChanged,
    RoomChanged,
    RoomRemoved,
    SessionEnded,
    UserChanged,
)
from hai.realtime.directory import Directory
from hai.realtime.presence import Tabs
from hai.realtime.wire.outbox import (
    Fact,
    Flusher,
    tell,
)
from hai.realtime.wire.packets import AckCache
from hai.realtime.wire.tab import Tab

EVENT_PREFIX = b"42"  # Engine.IO message, Socket.IO event in namespace /


class Broadcast:
    """Subscribes to every fact of the catalogue."""

    def __init__(
        self,
        bus: Bus,
        *,
        directory: Directory,
        tabs: Tabs,
        flusher: Flusher,
        ack_cache: AckCache,
    ) -> None:
        self.ack_cache = ack_cache
        self.directory = directory
        self.tabs = tabs
        self.flusher = flusher
        self._audiences: dict[str, Callable[[Audience], Collection[Tab]]] = {
            "room": lambda to: tabs.of_room(to.id),
            "room_but": lambda to: tabs.of_room_but(to.id, to.but_user_id),
            "user": lambda to: tabs.of_user(to.id),
            "everyone": lambda to: tabs.of_everyone(),
            "user_and_small_rooms": lambda to: tabs.of_users(directory.company(to.id)),
        }
        self._turn = -1
        # hai_id -> (its fact of this turn, changes of its room at that time)
        self._changed: dict[int, tuple[Fact, int]] = {}
        for event_type in FACTS:
            if event_type is not SessionEnded:  # server.py: it closes sockets too
                bus.subscribe(event_type, self.hear)

    def hear(self, event: Any) -> None:
        """Send one fact to everyone in its audience."""
        if isinstance(event, RoomChanged | RoomRemoved):
            self.directory.apply(event)
        elif isinstance(event, UserChanged):
            self._renew_identities(event)
        audience = event.audience()
        sockets = self._audiences[audience.kind](audience)
        if not sockets:
            return
        if self._turn != self.flusher.turn:
            self._begin_turn()
        payload = self.ack_cache.encode(event.payload())
        fact = Fact(f'["{event.name}",{payload}]'.encode(), EVENT_PREFIX)
        if isinstance(event, HaiChanged):
            self._replace_older(event, fact)
        tell(fact, sockets, self.flusher)

    def _begin_turn(self) -> None:
        self._turn = self.flusher.turn
        self._changed.clear()
        self.ack_cache.clear()

    def _replace_older(self, event: HaiChanged, fact: Fact) -> None:
        """Several changes of one hai in one turn are sent once, as the last one.

        Not across a change of members: a member who has just left would miss the first.
        """
        hai_id, room_id = event.hai["id"], event.hai["room_id"]
        changes = self.directory.changes.get(room_id, 0)
        older = self._changed.get(hai_id)
        if older is not None and older[1] == changes:
            older[0].cancel()
        self._changed[hai_id] = (fact, changes)

    def _renew_identities(self, event: UserChanged) -> None:
        """A new role takes effect at once, on open sockets too."""
        for tab in self.tabs.of_user(event.user["id"]):
            if tab.identity is not None and tab.identity.role != event.user["role"]:
                tab.identity = replace(tab.identity, role=event.user["role"])
