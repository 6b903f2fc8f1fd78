"""Who is connected where: the open tabs of every user.

The lecture's idea, a Socket.IO room per user that all tabs of that user join, is the
whole subscription model. This is the other side of that room, with the sockets of both
endpoints in it. It also tells core's presence who connects and disconnects; the 30 s of
grace are handled there.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from hai.realtime.directory import Directory
from hai.realtime.wire.tab import Tab

# Smaller rooms are resolved for each fact; larger ones are cached until a member
# joins or leaves: 20 us a fact instead of 100 in a room of 1,000. Tabs that connect or
# disconnect are added or removed.
CACHED_MEMBERS = 32
CACHED_ROOMS = 256


class PresenceCounter(Protocol):
    """The part of core.presence.Presence that is used here."""

    def connected(self, user_id: int) -> None: ...
    def disconnected(self, user_id: int) -> None: ...


class Tabs:
    """user_id -> open tabs; resolved to rooms through the directory."""

    def __init__(self, directory: Directory, presence: PresenceCounter) -> None:
        self.directory = directory
        self.presence = presence
        self._by_user: dict[int, list[Tab]] = {}
        # room_id -> (changes of the room, its sockets as a set that keeps the order)
        self._cached: dict[int, tuple[int, dict[Tab, None]]] = {}

    def enter(self, tab: Tab, user_id: int) -> None:
        """From now on the tab receives its user's facts."""
        tabs = self._by_user.setdefault(user_id, [])
        tabs.append(tab)
        for room in self._cached_rooms(user_id):
            room[tab] = None
        if len(tabs) == 1:
            self.presence.connected(user_id)

    def leave(self, tab: Tab, user_id: int) -> None:
        """Does nothing if the tab is not here."""
        tabs = self._by_user.get(user_id, [])
        try:
            tabs.remove(tab)
        except ValueError:
            return
        for room in self._cached_rooms(user_id):
            room.pop(tab, None)
        if not tabs:
            del self._by_user[user_id]
            self.presence.disconnected(user_id)

    def _cached_rooms(self, user_id: int) -> Iterator[dict[Tab, None]]:
        for room_id in self.directory.room_ids(user_id):
            if room_id in self._cached:
                yield self._cached[room_id][1]

    def of_user(self, user_id: int) -> list[Tab]:
        return self._by_user.get(user_id, [])

    def of_users(self, user_ids: Iterable[int]) -> list[Tab]:
        tabs = self._by_user
        return [tab for user_id in user_ids for tab in tabs.get(user_id, ())]

    def of_everyone(self) -> list[Tab]:
        return [tab for tabs in self._by_user.values() for tab in tabs]

    def of_room(self, room_id: int) -> Collection[Tab]:
        """The tabs of a room's current members. The caller must not change it."""
        members = self.directory.members(room_id)
        if len(members) < CACHED_MEMBERS:
            return self.of_users(members)
        changes = self.directory.changes[room_id]
        cached = self._cached.get(room_id)
        if cached and cached[0] == changes:
            return cached[1]
        if len(self._cached) >= CACHED_ROOMS:
            self._cached.clear()
        tabs = dict.fromkeys(self.of_users(members))
        self._cached[room_id] = (changes, tabs)
        return tabs

    def of_room_but(self, room_id: int, user_id: int) -> list[Tab]:
        own = set(self.of_user(user_id))
        return [tab for tab in self.of_room(room_id) if tab not in own]
