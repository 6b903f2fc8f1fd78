"""Rooms as templates draw them: title, avatar, groups, confirmations."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from hai.web.views.people import (
    UNKNOWN,
    AvatarView,
    letter_avatar,
    present_avatar,
    users_by_id,
)
from hai.web.views.words import days_words, plural

Dict = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class RoomView:
    id: int
    title: str
    topic: str
    kind: str
    avatar: AvatarView
    other: Dict | None  # the one other person of a direct room
    unread: int


def others_of(room: Dict, users: dict[int, Dict], me_id: int) -> list[Dict]:
    ids = [id_ for id_ in room.get("member_ids", []) if id_ != me_id]
    return [users.get(id_, UNKNOWN) for id_ in ids]


def room_view(handler: Any, room: Dict, state: Dict | None) -> RoomView:
    """A room's title and avatar, as the reader sees them."""
    is_direct = room["kind"] == "direct"
    users = users_by_id(handler, state) if is_direct else {}
    me_id = state["me"]["id"] if state else 0
    return _room_view(room, users, me_id)


def _room_view(room: Dict, users: dict[int, Dict], me_id: int) -> RoomView:
    others = others_of(room, users, me_id) if room["kind"] == "direct" else []
    title = room.get("name", "")
    if room["kind"] == "direct":
        title = ", ".join(user["display_name"] for user in others) or "Notes to self"
    other = others[0] if len(others) == 1 else None
    return RoomView(
        id=room["id"],
        title=title,
        topic=room.get("topic", ""),
        kind=room["kind"],
        avatar=room_avatar(room, title, other),
        other=other,
        unread=room.get("unread", 0),
    )


def room_avatar(room: Dict, title: str, other: Dict | None) -> AvatarView:
    if other:
        return present_avatar(other)
    return letter_avatar(title, room["id"], room["kind"] != "direct")


def blank_room_view(handler: Any) -> RoomView:
    return RoomView(0, "", "", "open", AvatarView("", 0, is_room=True), None, 0)


def room_groups(handler: Any, state: Dict) -> list[tuple[str, str, list[RoomView]]]:
    """Rooms, then people; in each, the most recently active first."""
    users, me_id = users_by_id(handler, state), state["me"]["id"]
    rooms = sorted(state["rooms"], key=lambda room: -room.get("last_hai_id", 0))
    views = [_room_view(room, users, me_id) for room in rooms]
    return [
        ("rooms", "Rooms", [view for view in views if view.kind != "direct"]),
        ("people", "People", [view for view in views if view.kind == "direct"]),
    ]


KEEPING = (0, 7, 30, 90, 365)  # days offered in the form


def keeping_choices(handler: Any, days: int) -> list[tuple[int, str]]:
    """(days, words) to choose from, including the present value."""
    return [(choice, days_words(choice)) for choice in sorted({*KEEPING, days})]


def topic_words(handler: Any, room: Dict) -> str:
    """Under a room's name: what it is about, and how long it keeps pictures."""
    words = room.get("topic") or member_words(handler, room)
    days = room.get("picture_days", 0)
    return f"{words} · pictures are kept {days_words(days)}" if days else words


def member_words(handler: Any, room: Dict) -> str:
    return plural(room["member_count"], "person", "people")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The question shown before something that cannot be undone."""

    title: str
    words: str
    yes: str


def leave_confirmation(room: Dict) -> Confirmation:
    title = f"Leave {room.get('name', 'this room')}?"
    if room["kind"] == "closed":
        words = "You can come back only when somebody in it asks you in again."
    else:
        words = "You can join it again whenever you like."
    return Confirmation(title, words, "Leave")


def remove_confirmation(user: Dict, title: str) -> Confirmation:
    words = "What they said stays. They hear and see nothing more of this room."
    return Confirmation(f"Remove {user['display_name']} from {title}?", words, "Remove")
