"""What a page starts from: one snapshot of the database, with its rev.

A client applies every later fact to it and asks `get_changes` from its rev after a gap,
so its view stays equal to a fresh first state.
"""

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

PAGE_HAIS = 40


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


def _for_user(core: Core, user_id: int) -> FirstState:
    """(reader thread)"""
    rev, epoch = server_row()
    my_rooms = room_rows.all_mine(user_id)
    known = {user_id}
    for room in my_rooms:
        known.update(room.get("member_ids", ()))
    return {
        "me": users(core, [user_id])[0],
        "epoch": epoch,
        "rev": rev,
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
    room = room_rows.find_mine(user_id, room_id)
    page, has_older, has_newer = hais.window(room_id, PAGE_HAIS, before, after, around)
    known = {user["id"] for user in first["users"]}
    wanted = {hai["user_id"] for hai in page} | set(room.get("member_ids", ()))
    replied_to = {hai["reply_to"] for hai in page if "reply_to" in hai}
    state: RoomState = {
        "me": first["me"],
        "epoch": first["epoch"],
        "rev": first["rev"],
        "rooms": first["rooms"],
        "users": first["users"] + users(core, wanted - known),
        "room": room,
        "hais": page,
        "has_more_before": has_older,
        "has_more_after": has_newer,
        "can_change": rooms.can_change(who, room_id),
        "gone_hai_ids": hai_rows.deleted_of(replied_to),
    }
    if room["unread"]:
        state["new_after_hai_id"] = room.get("my_read_hai_id", 0)
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
