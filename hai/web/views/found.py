"""Hits of a search as templates draw them."""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from typing import Any

from hai.web.views.hais import excerpt, words_of
from hai.web.views.people import AvatarView, user_avatar, user_of, users_by_id
from hai.web.views.rooms import room_view
from hai.web.views.times import day_words

Dict = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class HitView:
    """One hit, ready to be drawn. title: of its room, as its reader sees it."""

    hai: Dict
    name: str
    avatar: AvatarView
    title: str
    words: str


class Hits:
    """What was found, as one reader sees it."""

    def __init__(self, hais: list[Dict], state: Dict) -> None:
        self.places = hais
        self.users = users_by_id(None, state)
        wanted = {hai["room_id"] for hai in hais}
        self.titles = {
            room["id"]: room_view(None, room, state).title
            for room in state["rooms"]
            if room["id"] in wanted
        }

    def view_at(self, hai: Dict) -> HitView:
        user = user_of(hai, self.users)
        title = self.titles[hai["room_id"]]
        words = words_of(hai) or excerpt(hai)
        return HitView(hai, user["display_name"], user_avatar(user), title, words)

    def key_at(self, hai: Dict) -> tuple[Hashable, ...]:
        """Everything that the view is made from; a user's rev is never another's."""
        author_rev = user_of(hai, self.users).get("rev", 0)
        day = day_words(hai["sent_at"])
        return hai["id"], hai["rev"], author_rev, self.titles[hai["room_id"]], day
