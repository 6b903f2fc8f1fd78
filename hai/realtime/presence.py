"""Who is connected where: the open tabs of every user.

The lecture's idea, a Socket.IO room for each user that all of the user's tabs
are in, is the whole subscription model: this is that room's other side, with
the sockets of both endpoints in it. It also tells core's presence who comes
and goes; the 30 s of grace are kept there.
"""

from collections.abc import Collection, Iterable, Iterator
from typing import Protocol

from hai.realtime.directory import Directory
from hai.realtime.wire.tab import Tab

# Rooms below this size are resolved each time; larger ones are remembered until a
# member joins or leaves: 20 us a fact instead of 100 in a room of 1,000. Who
# connects or disconnects is put in or taken out.
REMEMBERED_MEMBERS = 32
REMEMBERED_ROOMS = 256


class Watcher(Protocol):
    """core.presence.Presence, as far as it is used here."""

    def connected(self, user_id: int) -> None: ...
    def disconnected(self, user_id: int) -> None: ...


class Tabs:
    """user_id -> open tabs; resolved to rooms through the directory."""

    def __init__(self, directory: Directory, watcher: Watcher) -> None:
        self.directory = directory
        self.watcher = watcher
        self._by_user: dict[int, list[Tab]] = {}
        # room_id -> (changes of the room, its sockets as a set that keeps the order)
        self._remembered: dict[int, tuple[int, dict[Tab, None]]] = {}

    def enter(self, tab: Tab, user_id: int) -> None:
        """From here on the tab hears its user's facts."""
        tabs = self._by_user.setdefault(user_id, [])
        tabs.append(tab)
        for room in self._remembered_rooms(user_id):
            room[tab] = None
        if len(tabs) == 1:
            self.watcher.connected(user_id)

    def leave(self, tab: Tab, user_id: int) -> None:
        """Harmless if it is not there."""
        tabs = self._by_user.get(user_id, [])
        try:
            tabs.remove(tab)
        except ValueError:
            return
        for room in self._remembered_rooms(user_id):
            room.pop(tab, None)
        if not tabs:
            del self._by_user[user_id]
            self.watcher.disconnected(user_id)

    def _remembered_rooms(self, user_id: int) -> Iterator[dict[Tab, None]]:
        for room_id in self.directory.room_ids(user_id):
            if room_id in self._remembered:
                yield self._remembered[room_id][1]

    def of_user(self, user_id: int) -> list[Tab]:
        return self._by_user.get(user_id, [])

    def of_users(self, user_ids: Iterable[int]) -> list[Tab]:
        tabs = self._by_user
        return [tab for user_id in user_ids for tab in tabs.get(user_id, ())]

    def of_everyone(self) -> list[Tab]:
        return [tab for tabs in self._by_user.values() for tab in tabs]

    def of_room(self, room_id: int) -> Collection[Tab]:
        """The tabs of a room's members now. Not to be changed by the caller."""
        members = self.directory.members(room_id)
        if len(members) < REMEMBERED_MEMBERS:
            return self.of_users(members)
        changes = self.directory.changes[room_id]
        remembered = self._remembered.get(room_id)
        if remembered and remembered[0] == changes:
            return remembered[1]
        if len(self._remembered) >= REMEMBERED_ROOMS:
            self._remembered.clear()
        tabs = dict.fromkeys(self.of_users(members))
        self._remembered[room_id] = (changes, tabs)
        return tabs

    def of_room_but(self, room_id: int, user_id: int) -> list[Tab]:
        own = set(self.of_user(user_id))
        return [tab for tab in self.of_room(room_id) if tab not in own]
