"""Rooms and memberships, and who may do what in them.

An open room is listed for everyone, and anyone may join. A closed one is hidden from
others and entered by invitation of any member. A direct one is a fixed set of people,
found again rather than created twice. A room's creator, and admins who are members, may
rename it, remove people, and set how long it keeps pictures and whether it has
receipts: whether members see how far the others have read. In a direct room each member
may set that. What a user may not know of is NotFound, never Forbidden.
"""

import asyncio
from typing import Any

from hai import errors
from hai.core import audit, retention
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.objects import Created, user_object
from hai.events import RoomChanged, RoomRemoved
from hai.shapes import EmptyAck, RoomAck, RoomObject, UserObject
from hai.storage import retention as retention_rows
from hai.storage import rooms as rows
from hai.storage import users as user_rows
from hai.storage.writer import Transaction

Columns = dict[str, Any]  # of a room: name -> new value
RoomAckFuture = asyncio.Future[RoomAck]

MAX_DIRECT_MEMBERS = 20
# Of one user, ever, since rooms stay: nobody buries others in them.
MAX_MADE_ROOMS = 500
MAX_MADE_DIRECTS = 2_000


def require_member(user_id: int, room_id: int) -> str:
    """The room's kind. Raises NotFound, or Forbidden if the user may know of it but has
    not joined. (any thread)"""
    access = rows.access(user_id, room_id)
    if access is None:
        raise errors.NotFound()
    return require_access(access.kind, access.is_member)


def require_access(kind: str | None, is_member: int) -> str:
    """The same, once both are known; kind: None if there is no such room."""
    if kind is None:
        raise errors.NotFound()
    if not is_member:
        raise errors.Forbidden() if kind == "open" else errors.NotFound()
    return kind


def can_change(who: Identity, room_id: int) -> bool:
    """Whether this user may rename the room and remove people. (any thread)"""
    access = rows.access(who.user_id, room_id)
    if access is None:
        return False
    is_in_charge = access.created_by_id == who.user_id or who.is_admin
    return bool(access.is_member) and is_in_charge and access.kind != "direct"


def can_change_receipts(who: Identity, room_id: int) -> bool:
    """Whether this user may turn them on and off: in a direct room nobody is in charge,
    and each member may stop what reveals their reading. (any thread)"""
    access = rows.access(who.user_id, room_id)
    if access is not None and access.kind == "direct":
        return bool(access.is_member)
    return can_change(who, room_id)


def create(
    core: Core,
    who: Identity,
    *,
    name: str,
    kind: str,
    member_ids: list[int] | None = None,
) -> RoomAckFuture:
    """{room}: a new open or closed room with its creator and these members."""
    return core.db.write(_create, who.user_id, name, kind, member_ids or [])


def _create(
    tx: Transaction, creator_id: int, name: str, kind: str, member_ids: list[int]
) -> RoomAck:
    """(writer thread)"""
    if rows.count_made(creator_id, are_direct=False) >= MAX_MADE_ROOMS:
        raise errors.Forbidden(f"Nobody makes more than {MAX_MADE_ROOMS} rooms.")
    room_id = rows.insert(tx, kind, name=name, creator_id=creator_id)
    members = dict.fromkeys([creator_id, *member_ids])
    return _fill(tx, creator_id, room_id, list(members))


def _fill(tx: Transaction, asker_id: int, room_id: int, members: list[int]) -> RoomAck:
    """Give a new room its members, and publish it. (writer thread)"""
    _require_users(members)
    for user_id in members:
        rows.begin_membership(tx, room_id, user_id)
    rows.touch(tx, room_id)
    tx.publish(RoomChanged(rows.find(room_id), joined=tuple(members)))
    return {"room": rows.find_mine(asker_id, room_id)}


def _require_users(user_ids: list[int]) -> None:
    if len(user_rows.active_ids(user_ids)) < len(user_ids):
        raise errors.NotFound("One of these people is not here.")


def change(
    core: Core,
    who: Identity,
    *,
    room_id: int,
    name: str | None = None,
    topic: str | None = None,
    picture_days: int | None = None,
    has_receipts: bool | None = None,
    is_confirmed: bool = False,
) -> RoomAckFuture:
    """{room} with a new name, topic, time to keep pictures, or receipts setting.

    has_receipts: for hais sent from then on; not shown while there are more than 100
    members. In a direct room nothing else can be changed. picture_days: 0: forever. If
    it removes pictures it must be confirmed. Raises NotFound, Forbidden, BadRequest,
    NotConfirmed.
    """
    new = {"name": name, "topic": topic, "picture_days": picture_days}
    new["has_receipts"] = has_receipts
    columns = {column: value for column, value in new.items() if value is not None}
    if not columns:
        raise errors.BadRequest("Give a name, a topic, picture_days or has_receipts.")
    return audit.write(core, _change, who, room_id, columns, is_confirmed)


def _change(
    tx: Transaction,
    who: Identity,
    room_id: int,
    columns: Columns,
    is_confirmed: bool,
) -> RoomAck:
    """(writer thread)"""
    require_member(who.user_id, room_id)
    may_change = (
        can_change if columns.keys() - {"has_receipts"} else can_change_receipts
    )
    if not may_change(who, room_id):
        raise errors.Forbidden()
    if "has_receipts" in columns:
        columns = columns | _begun_receipts(tx, room_id, columns["has_receipts"])
    if "picture_days" in columns:
        days = columns["picture_days"]
        _change_retention(tx, who.user_id, room_id, days, is_confirmed)
    _update(tx, room_id, columns)
    return {"room": rows.find_mine(who.user_id, room_id)}


def _begun_receipts(tx: Transaction, room_id: int, is_on: bool) -> Columns:
    """The rev from which they apply, if they are turned on now: nobody learns how far
    others had read while they were off. (writer thread)"""
    was_on = "has_receipts" in rows.find(room_id)
    return {"receipts_rev": tx.next_rev()} if is_on and not was_on else {}


def _update(tx: Transaction, room_id: int, columns: Columns) -> None:
    """(writer thread)"""
    rows.change(tx, room_id, **columns)
    tx.publish(RoomChanged(rows.find(room_id)))


def change_as_operator(
    tx: Transaction, room_id: int, picture_days: int, is_confirmed: bool
) -> None:
    """From the terminal, whoever is in the room. Raises NotFound, Forbidden,
    NotConfirmed. (writer thread)"""
    kind = rows.find_kind(room_id)
    if kind is None:
        raise errors.NotFound("There is no such room.")
    if kind == "direct":
        raise errors.Forbidden("A direct room keeps its pictures.")
    _change_retention(tx, None, room_id, picture_days, is_confirmed)
    _update(tx, room_id, {"picture_days": picture_days})


def _change_retention(
    tx: Transaction, actor_id: int | None, room_id: int, days: int, is_confirmed: bool
) -> None:
    """The consequences of another picture_days. (writer thread)"""
    if days == retention_rows.picture_days(room_id):
        return
    if days:
        retention.require_confirmed("room", room_id, days, tx.now_ms, is_confirmed)
        tx.publish(retention.PictureRemovalRequested())
    what = f"for {days} days" if days else "forever"
    audit.record(tx, "changed_retention", actor_id, room_id=room_id, details=what)


def open_direct(core: Core, who: Identity, *, user_ids: list[int]) -> RoomAckFuture:
    """{room}: the direct room of exactly these people and the caller.

    With oneself alone it is a room for notes. Raises BadRequest, NotFound.
    """
    members = sorted({who.user_id, *user_ids})
    if not user_ids or len(members) > MAX_DIRECT_MEMBERS:
        raise errors.BadRequest(
            f"A direct room has 1 to {MAX_DIRECT_MEMBERS - 1} others.",
            field="user_ids",
        )
    return core.db.write(_open_direct, who.user_id, members)


def _open_direct(tx: Transaction, asker_id: int, members: list[int]) -> RoomAck:
    """(writer thread)"""
    direct_key = ",".join(map(str, members))
    known_id = rows.find_direct(direct_key)
    if known_id is not None:
        return {"room": rows.find_mine(asker_id, known_id)}
    if rows.count_made(asker_id, are_direct=True) >= MAX_MADE_DIRECTS:
        raise errors.Forbidden(f"Nobody opens more than {MAX_MADE_DIRECTS} of these.")
    room_id = rows.insert(tx, "direct", creator_id=asker_id, direct_key=direct_key)
    created: Any = Created(_fill(tx, asker_id, room_id, members))
    ack: RoomAck = created
    return ack


def join(core: Core, who: Identity, *, room_id: int) -> RoomAckFuture:
    """{room}, joined now. Open rooms only; NotFound for all others."""
    return core.db.write(_join, who.user_id, room_id)


def _join(tx: Transaction, user_id: int, room_id: int) -> RoomAck:
    """(writer thread)"""
    _require_users(
        [user_id]
    )  # the order may have been queued behind their deactivation
    access = rows.access(user_id, room_id)
    if access is None or (access.kind != "open" and not access.is_member):
        raise errors.NotFound()
    if not access.is_member:
        enter(tx, room_id, user_id)
    return {"room": rows.find_mine(user_id, room_id)}


def enter(tx: Transaction, room_id: int, user_id: int) -> None:
    """Make somebody a member and publish it. (writer thread)"""
    rows.begin_membership(tx, room_id, user_id)
    rows.touch(tx, room_id)
    tx.publish(RoomChanged(rows.find(room_id), joined=(user_id,)))


def leave(core: Core, who: Identity, *, room_id: int) -> "asyncio.Future[EmptyAck]":
    """{}. Raises NotFound, and Forbidden for a direct room."""
    return core.db.write(_leave, who.user_id, room_id)


def _leave(tx: Transaction, user_id: int, room_id: int) -> EmptyAck:
    """(writer thread)"""
    kind = require_member(user_id, room_id)
    if kind == "direct":
        raise errors.Forbidden("A direct room keeps its people.")
    remove(tx, room_id, user_id)
    return {}


def remove(tx: Transaction, room_id: int, user_id: int) -> None:
    """End a membership; publish it to the user, then to the others. (writer thread)"""
    rows.end_membership(tx, room_id, user_id)
    rows.touch(tx, room_id)
    tx.publish(RoomRemoved(room_id, user_id))
    tx.publish(RoomChanged(rows.find(room_id), left=(user_id,)))


def add_member(
    core: Core, who: Identity, *, room_id: int, user_id: int
) -> RoomAckFuture:
    """{room}. Any member may invite. Raises NotFound, Forbidden."""
    return core.db.write(_add_member, who.user_id, room_id, user_id)


def _add_member(tx: Transaction, asker_id: int, room_id: int, user_id: int) -> RoomAck:
    """(writer thread)"""
    kind = require_member(asker_id, room_id)
    if kind == "direct":
        raise errors.Forbidden("A direct room keeps its people.")
    _require_users([user_id])
    if not is_member(user_id, room_id):
        enter(tx, room_id, user_id)
    return {"room": rows.find_mine(asker_id, room_id)}


def remove_member(
    core: Core, who: Identity, *, room_id: int, user_id: int
) -> RoomAckFuture:
    """{room} without them. For those who may change the room. To remove oneself is to
    leave. Raises NotFound, Forbidden, BadRequest."""
    if user_id == who.user_id:
        raise errors.BadRequest("To remove yourself, leave the room.")
    return core.db.write(_remove_member, who, room_id, user_id)


def _remove_member(
    tx: Transaction, who: Identity, room_id: int, user_id: int
) -> RoomAck:
    """(writer thread)"""
    _require_removable(who, room_id, user_id)
    remove(tx, room_id, user_id)
    return {"room": rows.find_mine(who.user_id, room_id)}


async def removable(
    core: Core, who: Identity, room_id: int, user_id: int
) -> tuple[RoomObject, UserObject]:
    """(room, member) before `remove_member`, which raises the same."""
    return await core.db.read(_removable, who, room_id, user_id)


def _removable(
    who: Identity, room_id: int, user_id: int
) -> tuple[RoomObject, UserObject]:
    """(reader thread)"""
    _require_removable(who, room_id, user_id)
    room = rows.find_mine(who.user_id, room_id)
    return room, user_object(*user_rows.find([user_id])[0])


def _require_removable(who: Identity, room_id: int, user_id: int) -> None:
    require_member(who.user_id, room_id)
    if not can_change(who, room_id):
        raise errors.Forbidden()
    if not is_member(user_id, room_id):
        raise errors.NotFound("This person is not in the room.")


def is_member(user_id: int, room_id: int) -> bool:
    """(any thread)"""
    access = rows.access(user_id, room_id)
    return access is not None and bool(access.is_member)


async def mine_and_open(
    core: Core, who: Identity
) -> tuple[list[RoomObject], list[RoomObject]]:
    """(the rooms I am in, the open rooms I may join)."""
    return await core.db.read_slow(_mine_and_open, who.user_id)


def _mine_and_open(user_id: int) -> tuple[list[RoomObject], list[RoomObject]]:
    """(reader thread)"""
    mine = [rows.with_members(room) for room in rows.all_mine(user_id)]
    return mine, rows.open_to(user_id)


async def show(core: Core, who: Identity, room_id: int) -> RoomObject:
    """The room as its member sees it, or as someone who may join does.

    Raises NotFound.
    """
    return await core.db.read(_show, who.user_id, room_id)


def _show(user_id: int, room_id: int) -> RoomObject:
    """(reader thread)"""
    access = rows.access(user_id, room_id)
    if access is None or not (access.is_member or access.kind == "open"):
        raise errors.NotFound()
    if access.is_member:
        return rows.find_mine(user_id, room_id)
    room = rows.find(room_id)
    # For members only:
    room.pop("member_ids", None)
    room.pop("last_hai_id", None)
    room.pop("read_hai_ids", None)
    return room


async def people_of(
    core: Core, room_id: int
) -> tuple[list[UserObject], list[UserObject]]:
    """(its active members, the other active people), each by display name.

    For somebody who may see the room. A room of 10,000 takes 60 ms.
    """
    users, member_ids = await core.db.read_slow(_people_of, room_id)
    for user in users:
        user["presence"] = core.presence.of(user["id"])
    members = [user for user in users if user["id"] in member_ids]
    return members, [user for user in users if user["id"] not in member_ids]


def _people_of(room_id: int) -> tuple[list[UserObject], set[int]]:
    """(reader thread)"""
    users = [user_object(*row) for row in user_rows.active()]
    return users, set(rows.member_ids(room_id, limit=-1))
