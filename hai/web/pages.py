"""The home page: redirects to the last room, or to where one starts."""

from hai.core.identity import cookies
from hai.core.people import accounts
from hai.core.talk import first_state
from hai.shapes import FirstState
from hai.web.http.base import BaseHandler


class HomeHandler(BaseHandler):
    """GET /"""

    is_public = True
    max_body_bytes = 0

    async def get(self) -> None:
        if self.identity is None:
            is_new = accounts.is_empty(self.core)
            self.redirect(self.reverse_url("set_up" if is_new else "sign_in"))
            return
        state = await first_state.for_user(self.core, self.identity)
        room_id = last_room_id(state, self.own_cookie(cookies.LAST_ROOM))
        here = self.reverse_url("room", room_id) if room_id else None
        self.redirect(here or self.reverse_url("rooms"))


def last_room_id(state: FirstState, shown_last: str) -> int | None:
    """The room shown last if I am still in it, else the one with the newest hai."""
    rooms = state["rooms"]
    for room in rooms:
        if str(room["id"]) == shown_last:
            return int(room["id"])
    newest = max(rooms, key=lambda room: room.get("last_hai_id", 0), default=None)
    return int(newest["id"]) if newest else None
