"""The catalogue of facts: wire name, payload and audience of each.

A fact says what happened, after it was stored. Its payload is the same bytes for
everyone who gets it, so it contains nothing specific to one reader. Nothing else in Hai
decides the shape of a payload; `static/js/net/events.js` lists the same names, and a
test compares the two.
"""

from dataclasses import dataclass
from typing import ClassVar

from hai import shapes
from hai.shapes import HaiObject, RoomObject, UserObject


@dataclass(frozen=True, slots=True)
class Audience:
    """Who hears a fact.

    kind: "room" (its members), "room_but" (members but one user), "user",
    "session" (one session's tabs), "everyone", or "user_and_small_rooms"
    (the user and whoever shares a room of at most 100 members with them).
    """

    kind: str
    id: int = 0
    but_user_id: int = 0


@dataclass(frozen=True, slots=True)
class HaiSent:
    """A hai was stored. `hai` is the whole object, as in docs/protocol.md."""

    name: ClassVar[str] = "hai_sent"
    hai: HaiObject

    def payload(self) -> shapes.HaiPayload:
        return {"hai": self.hai}

    def audience(self) -> Audience:
        return Audience("room", self.hai["room_id"])


@dataclass(frozen=True, slots=True)
class HaiChanged:
    """Edited, deleted, reacted to: always the whole hai as it is now."""

    name: ClassVar[str] = "hai_changed"
    hai: HaiObject

    def payload(self) -> shapes.HaiPayload:
        return {"hai": self.hai}

    def audience(self) -> Audience:
        return Audience("room", self.hai["room_id"])


@dataclass(frozen=True, slots=True)
class RoomChanged:
    """A room was made or changed, or its members did.

    joined, left: user ids. The membership directory takes them over before
    the fact is told, so that it reaches the members at its rev.
    """

    name: ClassVar[str] = "room_changed"
    room: RoomObject
    joined: tuple[int, ...] = ()
    left: tuple[int, ...] = ()

    def payload(self) -> shapes.RoomPayload:
        return {"room": self.room}

    def audience(self) -> Audience:
        return Audience("room", self.room["id"])


@dataclass(frozen=True, slots=True)
class RoomRemoved:
    """This user is no longer a member."""

    name: ClassVar[str] = "room_removed"
    room_id: int
    user_id: int

    def payload(self) -> shapes.RoomIdPayload:
        return {"room_id": self.room_id}

    def audience(self) -> Audience:
        return Audience("user", self.user_id)


@dataclass(frozen=True, slots=True)
class UserChanged:
    """A user is new, or changed name, avatar or role."""

    name: ClassVar[str] = "user_changed"
    user: UserObject

    def payload(self) -> shapes.UserPayload:
        return {"user": self.user}

    def audience(self) -> Audience:
        return Audience("everyone")


@dataclass(frozen=True, slots=True)
class ReadMarked:
    """A user has read up to a hai. Sending marks read without this fact.

    rev: the room's new one, where its members are told of it; None: the user's own.
    """

    name: ClassVar[str] = "read_marked"
    room_id: int
    user_id: int
    hai_id: int
    rev: int | None = None

    def payload(self) -> shapes.ReadPayload:
        payload: shapes.ReadPayload = {
            "room_id": self.room_id,
            "user_id": self.user_id,
            "hai_id": self.hai_id,
        }
        if self.rev is not None:
            payload["rev"] = self.rev
        return payload

    def audience(self) -> Audience:
        if self.rev is None:
            return Audience("user", self.user_id)
        return Audience("room", self.room_id)


@dataclass(frozen=True, slots=True)
class TypingStarted:
    """Ends with a hai of that user, or after 5 s. Never stored."""

    name: ClassVar[str] = "typing_started"
    room_id: int
    user_id: int

    def payload(self) -> shapes.TypingPayload:
        return {"room_id": self.room_id, "user_id": self.user_id}

    def audience(self) -> Audience:
        return Audience("room_but", self.room_id, self.user_id)


@dataclass(frozen=True, slots=True)
class PresenceChanged:
    """presence: "online" or "offline". Never stored."""

    name: ClassVar[str] = "presence_changed"
    user_id: int
    presence: str

    def payload(self) -> shapes.PresencePayload:
        return {"user_id": self.user_id, "presence": self.presence}

    def audience(self) -> Audience:
        return Audience("user_and_small_rooms", self.user_id)


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The session's sockets close after this fact."""

    name: ClassVar[str] = "session_ended"
    session_id: int

    def payload(self) -> shapes.EmptyPayload:
        return {}

    def audience(self) -> Audience:
        return Audience("session", self.session_id)


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The user has signed in where they were not before. device: Firefox on Linux."""

    name: ClassVar[str] = "session_started"
    user_id: int
    session_id: int
    device: str
    started_at: int

    def payload(self) -> shapes.SessionPayload:
        return {
            "session_id": self.session_id,
            "device": self.device,
            "started_at": self.started_at,
        }

    def audience(self) -> Audience:
        return Audience("user", self.user_id)


FACTS: tuple[type, ...] = (
    HaiSent,
    HaiChanged,
    RoomChanged,
    RoomRemoved,
    UserChanged,
    ReadMarked,
    TypingStarted,
    PresenceChanged,
    SessionEnded,
    SessionStarted,
)
