"""Who is a member of which room: all memberships, in memory.

Loaded once from the database, then kept up to date by the facts themselves: `joined`
and `left` of RoomChanged are applied before the fact is sent, and facts come in rev
order, so a fact of rev r reaches the members at r. The directory knows users, not
sockets: a change of membership touches no connection.
"""

from collections.abc import Iterable

from hai.core.presence import SMALL_ROOM_MEMBERS
from hai.events import RoomChanged, RoomRemoved

NOBODY: frozenset[int] = frozenset()


class Directory:
    """Rooms to users and back. `changes[room_id]` counts a room's changes."""

    def __init__(self) -> None:
        self._members: dict[int, set[int]] = {}
        self._rooms: dict[int, set[int]] = {}
        self.changes: dict[int, int] = {}
        self._missed: list[RoomChanged | RoomRemoved] | None = []

    def load(self, memberships: Iterable[tuple[int, int]]) -> None:
        """Take over (room_id, user_id) pairs, then apply the facts published meanwhile.

        Replaying a fact that the pairs already contain is harmless: for each membership
        the newest change wins.
        """
        for room_id, user_id in memberships:
            self.join(room_id, user_id)
        missed, self._missed = self._missed, None
        for event in missed or ():
            self.apply(event)

    def apply(self, event: RoomChanged | RoomRemoved) -> None:
        """Called before the fact is sent. Until `load` has run, it is kept."""
        if self._missed is not None:
            self._missed.append(event)
        elif isinstance(event, RoomRemoved):
            self.leave(event.room_id, event.user_id)
        else:
            for user_id in event.joined:
                self.join(event.room["id"], user_id)
            for user_id in event.left:
                self.leave(event.room["id"], user_id)

    def join(self, room_id: int, user_id: int) -> None:
        self._members.setdefault(room_id, set()).add(user_id)
        self._rooms.setdefault(user_id, set()).add(room_id)
        self.changes[room_id] = self.changes.get(room_id, 0) + 1

    def leave(self, room_id: int, user_id: int) -> None:
        self._members.get(room_id, set()).discard(user_id)
        self._rooms.get(user_id, set()).discard(room_id)
        self.changes[room_id] = self.changes.get(room_id, 0) + 1

    def members(self, room_id: int) -> set[int] | frozenset[int]:
        return self._members.get(room_id, NOBODY)

    def room_ids(self, user_id: int) -> set[int] | frozenset[int]:
        return self._rooms.get(user_id, NOBODY)

    def company(self, user_id: int) -> set[int]:
        """The user and everybody who shares a small room with them."""
        found = {user_id}
        for room_id in self.room_ids(user_id):
            members = self.members(room_id)
            if len(members) <= SMALL_ROOM_MEMBERS:
                found |= members
        return found
