"""The pages of rooms that are kept: for whom, of when, and whether they still hold.

Drawing one is rooms.py's; its bytes are kept_pages.py's.
"""

from collections.abc import Hashable

from hai import clock
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.talk import first_state
from hai.shapes import UserObject
from hai.storage.hais import PageMoment
from hai.units import DAY_MS
from hai.web.http.kept_pages import KeptPage


class KnownRoomPage:
    """A page that was drawn, and of when it is. user_ids, online: whose presence it
    shows, and who of them was online. Loop thread."""

    __slots__ = ("moment", "online", "page", "user_ids")

    def __init__(
        self, page: KeptPage, moment: PageMoment, users: list[UserObject]
    ) -> None:
        self.page = page
        self.moment = moment
        self.user_ids = frozenset(user["id"] for user in users)
        self.online = frozenset(
            user["id"] for user in users if user["presence"] == "online"
        )


def key_of(
    who: Identity, room_id: int, edges: first_state.Edges, notice: str | None
) -> Hashable:
    """What a page is drawn from, besides the database and who is online.

    It is of one reader. The day is in its words ("Yesterday"): at midnight each page is
    drawn once more, when it is asked for; its hais are still kept. What may differ in
    one day, a language, a theme or a path prefix, belongs here.
    """
    day = clock.now_ms() // DAY_MS
    return "page", who.user_id, room_id, edges, notice, day


def find(
    core: Core,
    who: Identity,
    room_id: int,
    edges: first_state.Edges = (None, None, None),
    notice: str | None = None,
) -> KnownRoomPage | None:
    """One that is as it would be drawn now. Raises NotFound, Forbidden."""
    known: KnownRoomPage | None
    known = core.cache.find(key_of(who, room_id, edges, notice))
    then = known.moment if known else None
    now = first_state.moment_if_still(core, who, room_id, then)
    if known is None or now is None:
        return None
    known.moment = now
    is_same = known.online == first_state.online(core, known.user_ids)
    return known if is_same else None
