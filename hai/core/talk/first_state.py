"""What a page starts from: one snapshot of the database, with its rev.

A client applies every later fact to it and asks `get_changes` from its rev after a gap,
so its view stays equal to a fresh first state.
"""

from collections.abc import Iterable
from typing import Any

from hai import errors
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.objects import user_object
from hai.core.talk import hais, rooms
from hai.shapes import FirstState, RoomState, UserObject
from hai.storage import hais as hai_rows
from hai.storage import rooms as room_rows
from hai.storage import users as user_rows
from hai.storage.database import server_row
from hai.storage.hais import PageMoment

PAGE_HAIS = 40

Edges = tuple[int | None, int | None, int | None]  # before, after, around


async def for_user(core: Core, who: Identity) -> FirstState:
    """What every signed-in page needs."""
    return await core.db.read(_for_user, core, who.user_id)


async def for_room(
    core: Core,
    who: Identity,
    room_id: int,
    *,
    around: int | None = None,
    before: int | None = None,
    after: int | None = None,
) -> RoomState:
    """The same with a page of a room. Raises NotFound, Forbidden."""
    edges = (before, after, around)
    return await core.db.read(_for_room, core, who, room_id, *edges)


async def for_room_page(
    core: Core, who: Identity, room_id: int, edges: Edges
) -> tuple[RoomState, PageMoment]:
    """The same, and what says whether it still is that (`is_still`)."""
    return await core.db.read(_for_room_page, core, who, room_id, edges)


def _for_room_page(
    core: Core, who: Identity, room_id: int, edges: Edges
) -> tuple[RoomState, PageMoment]:
    """(reader thread)"""
    state = _for_room(core, who, room_id, *edges)
    return state, hai_rows.page_moment(who.user_id, room_id)


def moment_if_still(
    core: Core, who: Identity, room_id: int, then: PageMoment | None
) -> PageMoment | None:
    """The moment of now, if `for_room_page` would return the same state as then (but
    for its rev and for presence); None if not.

    Access is asked each time. As long as nothing at all was written, one statement of
    12 us tells; else a second one, each of them complete: on the loop two statements
    are two moments. Raises NotFound, Forbidden. Loop thread.
    """
    now = core.db.read_now(hai_rows.moment, who.user_id, room_id)
    rooms.require_access(now.kind, now.is_member)
    if then is None or (now.rev, now.epoch) == (then.rev, then.epoch):
        return then
    later = core.db.read_now(hai_rows.page_moment, who.user_id, room_id)
    return later if later.seen == then.seen else None


def online(core: Core, user_ids: Iterable[int]) -> frozenset[int]:
    """Those of these who are: no rev tells of that. Loop thread."""
    return frozenset(filter(core.presence.is_online, user_ids))


def _for_user(core: Core, user_id: int) -> FirstState:
    """(reader thread)"""
    rev, epoch = server_row()
    my_rooms = room_rows.all_mine(user_id)
    known = {user_id}
    for room in my_rooms:
        known.update(room.get("member_ids", ()))
    return {
        "rev": rev,
        "epoch": epoch,
        "me": users(core, [user_id])[0],
        "rooms": my_rooms,
        "users": users(core, known),
    }


def _for_room(
    core: Core,
    who: Identity,
    room_id: int,
    before: int | None,
    after: int | None,
    around: int | None,
) -> RoomState:
    """(reader thread)"""
    user_id = who.user_id
    rooms.require_member(user_id, room_id)
    first = _for_user(core, user_id)
    mine = next(room for room in first["rooms"] if room["id"] == room_id)
    room = room_rows.with_members(mine.copy())
    window = hais.Window(room_id, PAGE_HAIS, before, after, around)
    page, has_older, has_newer = hais.window(core.cache, window)
    known = {user["id"] for user in first["users"]}
    wanted = {hai["user_id"] for hai in page} | set(room.get("member_ids", ()))
    replied_to = {hai["reply_to"] for hai in page if "reply_to" in hai}
    first["users"] += users(core, wanted - known)
    found: Any = {
        "room": room,
        "hais": page,
        "has_more_before": has_older,
        "has_more_after": has_newer,
        "can_change": rooms.can_change(who, room_id),
        "gone_hai_ids": hai_rows.deleted_of(replied_to),
    }
    if room["unread"]:
        found["new_after_hai_id"] = room.get("my_read_hai_id", 0)
    # The reader's own after what is the room's: see web/http/kept_pages.py.
    state: RoomState = found | first
    return state


def users(core: Core, user_ids: Any) -> list[UserObject]:
    """User objects with their presence. (any thread)"""
    found = [user_object(*row) for row in user_rows.find(user_ids)]
    for user in found:
        user["presence"] = core.presence.of(user["id"])
    return found


async def user_named(core: Core, user_id: int) -> UserObject:
    """One user. Raises NotFound."""
    found = await core.db.read(users, core, [user_id])
    if not found:
        raise errors.NotFound()
    return found[0]
