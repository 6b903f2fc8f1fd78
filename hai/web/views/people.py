"""People as templates draw them: their avatar, its letter and its colour."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

Dict = Mapping[str, Any]

HUES = 8


def letter(name: str) -> str:
    """What an avatar shows: the first letter or digit, else the first character."""
    name = unicodedata.normalize("NFC", name.strip())
    for sign in name:
        if sign.isalnum():
            return sign.upper()[:1]
    return name[:1] or "?"


def hue(id_: int | str) -> int:
    return int(id_ or 0) % HUES


@dataclass(frozen=True, slots=True)
class AvatarView:
    """What represents somebody: a picture or a letter; for a room, its letter."""

    letter: str
    hue: int
    url: str = ""
    user_id: int | str = ""
    presence: str = ""  # drawn as a dot; "" where it is not shown
    is_room: bool = False


def user_avatar(user: Dict) -> AvatarView:
    url = user.get("avatar_url", "")
    return AvatarView(letter(user["display_name"]), hue(user["id"]), url, user["id"])


def present_avatar(user: Dict) -> AvatarView:
    """With the dot that shows whether they are online."""
    return replace(user_avatar(user), presence=user.get("presence", "offline"))


def letter_avatar(name: str, id_: int, is_room: bool = False) -> AvatarView:
    return AvatarView(letter(name), hue(id_), is_room=is_room)


UNKNOWN = {"id": 0, "name": "", "display_name": "Somebody", "kind": "person"}
NOBODY = AvatarView("", 0)


def user_of(hai: Dict, users: dict[int, Dict]) -> Dict:
    """The sender, as far as known."""
    user_id = hai["user_id"]
    return users.get(user_id, UNKNOWN | {"id": user_id})


def users_by_id(handler: Any, state: Dict | None) -> dict[int, Dict]:
    return {user["id"]: user for user in state["users"]} if state else {}
