"""What owners and admins may do with people and their pictures.

An owner may do everything; an admin may do what is here to members, but may not change
roles; the operator at the terminal (`who` is None) counts as an owner. There is always
at least one owner. The role is looked up again in the transaction, so one that was just
taken away counts; each action writes its audit record in the same transaction.
"""

import asyncio

from hai import errors
from hai.config import Config
from hai.core import audit, retention
from hai.core.context import Core
from hai.core.identity import factors, sessions
from hai.core.identity.sessions import Identity
from hai.core.objects import user_object
from hai.core.people import accounts, resets
from hai.core.quotas import size_words
from hai.core.retention import PictureRemovalRequested
from hai.core.talk import rooms
from hai.events import UserChanged
from hai.shapes import (
    PicturesRemovedResponse,
    SessionsEndedResponse,
    UserResponse,
)
from hai.storage import resets as reset_rows
from hai.storage import retention as retention_rows
from hai.storage import rooms as room_rows
from hai.storage import users as rows
from hai.storage.users import UserStatus
from hai.storage.writer import Transaction
from hai.units import DAY_MS

MAX_BYTES = 2**50  # a quota above a petabyte is a mistake
LAST_OWNER = "There must be an owner. Make somebody else one first."

Who = Identity | None


def is_above(who: Who, role: str) -> bool:
    """Whether their role allows them to act on a user of this one."""
    if who is None or who.role == "owner":
        return True
    return who.role == "admin" and role == "member"


def _actor(who: Who) -> Who:
    """With their current role. Raises Forbidden. (writer thread)"""
    if who is None:
        return None
    now = rows.find_status(who.user_id)
    if now is None or now.deactivated_at is not None or now.role == "member":
        raise errors.Forbidden()
    return Identity(who.user_id, who.session_id, now.role, now.kind)


def _target(who: Who, user_id: int) -> UserStatus:
    """The user's status, if they may act on this user. Raises NotFound, Forbidden.
    (writer thread)"""
    actor = _actor(who)
    user = rows.find_status(user_id)
    if user is None:
        raise errors.NotFound()
    if not is_above(actor, user.role):
        raise errors.Forbidden("Only an owner may do that to an owner or admin.")
    return user


def _person(who: Who, user_id: int) -> UserStatus:
    user = _target(who, user_id)
    if user.kind != "person":
        raise errors.Forbidden("Not with a bot.")
    return user


def _id(who: Who) -> int | None:
    return who.user_id if who else None


def _told(tx: Transaction, user_id: int) -> UserResponse:
    """Publish the user's current state to everyone. (writer thread)"""
    user = user_object(*rows.find([user_id])[0])
    tx.publish(UserChanged(user))
    return {"user": user}


def _require_another_owner(user: UserStatus) -> None:
    is_owner = user.role == "owner" and user.deactivated_at is None
    if is_owner and rows.owner_count() < 2:
        raise errors.Forbidden(LAST_OWNER)


# --- People --------------------------------------------------------------------------


def change_role(
    core: Core, who: Who, *, user_id: int, role: str
) -> "asyncio.Future[UserResponse]":
    """{user}. Owners only. Raises BadRequest, NotFound, Forbidden."""
    if role not in accounts.ROLES:
        raise errors.BadRequest("A role is owner, admin or member.", field="role")
    return audit.write(core, _change_role, core.config, who, user_id, role)


def _change_role(
    tx: Transaction, config: Config, who: Who, user_id: int, role: str
) -> UserResponse:
    """(writer thread)"""
    actor = _actor(who)
    user = _person(who, user_id)
    if actor is not None and actor.role != "owner":
        raise errors.Forbidden("Only an owner gives roles.")
    if role == user.role:
        return {"user": user_object(*rows.find([user_id])[0])}
    if role != "owner":
        _require_another_owner(user)
    rows.set_role(tx, user_id, role)
    # Made for the old role, by somebody who was above that.
    reset_rows.delete(tx, user_id)
    if factors.lacks_for(config, user_id, role):
        sessions.end_all(tx, user_id, ("browser",))  # signed in by too little for it
    what = "a member" if role == "member" else f"an {role}"
    audit.record(tx, "changed_role", _id(who), user_id=user_id, details=what)
    return _told(tx, user_id)


def deactivate(core: Core, who: Who, *, user_id: int) -> "asyncio.Future[UserResponse]":
    """{user}. Signed out at once and removed from lists and rooms; their name stays on
    their hais, direct rooms stay readable. Raises NotFound, Forbidden."""
    return audit.write(core, _deactivate, who, user_id)


def _deactivate(tx: Transaction, who: Who, user_id: int) -> UserResponse:
    """(writer thread)"""
    user = _person(who, user_id)
    if user.deactivated_at is not None:
        return {"user": user_object(*rows.find([user_id])[0])}
    _require_another_owner(user)
    sessions.end_all(tx, user_id)
    reset_rows.delete(tx, user_id)
    rows.deactivate(tx, user_id)
    for room_id in room_rows.of_user(user_id):
        rooms.remove(tx, room_id, user_id)
    audit.record(tx, "deactivated", _id(who), user_id=user_id)
    return _told(tx, user_id)


def reactivate(core: Core, who: Who, *, user_id: int) -> "asyncio.Future[UserResponse]":
    """{user}, back in the rooms they were in before. Raises NotFound, Forbidden."""
    return audit.write(core, _reactivate, who, user_id)


def _reactivate(tx: Transaction, who: Who, user_id: int) -> UserResponse:
    """(writer thread)"""
    user = _person(who, user_id)
    if user.deactivated_at is None:
        return {"user": user_object(*rows.find([user_id])[0])}
    rows.reactivate(tx, user_id)
    left = room_rows.left_at(user_id, user.deactivated_at)
    for room_id in dict.fromkeys([*left, *room_rows.for_everyone()]):
        if not rooms.is_member(user_id, room_id):
            rooms.enter(tx, room_id, user_id)
    audit.record(tx, "reactivated", _id(who), user_id=user_id)
    return _told(tx, user_id)


def end_sessions(
    core: Core, who: Who, *, user_id: int
) -> "asyncio.Future[SessionsEndedResponse]":
    """{session_count}: all of them, including tokens. Raises NotFound, Forbidden."""
    return audit.write(core, _end_sessions, who, user_id)


def _end_sessions(tx: Transaction, who: Who, user_id: int) -> SessionsEndedResponse:
    """(writer thread)"""
    _target(who, user_id)
    count = sessions.end_all(tx, user_id)
    audit.record(tx, "ended_sessions", _id(who), user_id=user_id)
    return {"session_count": count}


def make_reset(core: Core, who: Who, *, user_id: int) -> "asyncio.Future[str]":
    """The code of a link for a new password. Raises NotFound, Forbidden."""
    return audit.write(core, _make_reset, who, user_id)


def _make_reset(tx: Transaction, who: Who, user_id: int) -> str:
    """(writer thread)"""
    if _person(who, user_id).deactivated_at is not None:
        raise errors.Forbidden("Let them back in first.")
    audit.record(tx, "made_reset", _id(who), user_id=user_id)
    return resets.insert(tx, user_id)


def reset_factor(
    core: Core, who: Who, *, user_id: int
) -> "asyncio.Future[UserResponse]":
    """{user}: their password alone signs them in, until they set up a second factor
    again. Signed out in all browsers. Raises NotFound, Forbidden."""
    return audit.write(core, _reset_factor, who, user_id)


def _reset_factor(tx: Transaction, who: Who, user_id: int) -> UserResponse:
    """(writer thread)"""
    _person(who, user_id)
    if factors.forget(tx, user_id):
        sessions.end_all(tx, user_id, ("browser",))
        audit.record(tx, "reset_factor", _id(who), user_id=user_id)
    return {"user": user_object(*rows.find([user_id])[0])}


# --- Pictures ------------------------------------------------------------------------


def set_quota(
    core: Core, who: Who, *, user_id: int, max_bytes: int | None
) -> "asyncio.Future[UserResponse]":
    """{user}: at most so many bytes of pictures; 0: no limit; None: the setting
    applies. Pictures already stored stay. Raises BadRequest, NotFound, Forbidden."""
    if max_bytes is not None and not 0 <= max_bytes <= MAX_BYTES:
        raise errors.BadRequest("That is no number of bytes.", field="max_bytes")
    return audit.write(core, _set_quota, who, user_id, max_bytes)


def _set_quota(
    tx: Transaction, who: Who, user_id: int, max_bytes: int | None
) -> UserResponse:
    """(writer thread)"""
    _target(who, user_id)
    rows.set_max_bytes(tx, user_id, max_bytes)
    what = "as much as the setting says"
    if max_bytes is not None:
        what = size_words(max_bytes) if max_bytes else "without a limit"
    audit.record(tx, "set_quota", _id(who), user_id=user_id, details=what)
    return {"user": user_object(*rows.find([user_id])[0])}


def remove_pictures_of_user(
    core: Core, who: Who, *, user_id: int, days: int, is_confirmed: bool = False
) -> "asyncio.Future[PicturesRemovedResponse]":
    """{picture_count, picture_bytes}: removes what they sent more than `days` ago.

    An owner removes all of it, so that a spammer's pictures do not stay in direct
    rooms; an admin, who has no access to direct rooms, removes what was sent to other
    rooms. Durable when this returns; the pictures are deleted in slices afterwards.
    Raises BadRequest, NotFound, Forbidden, NotConfirmed.
    """
    _check_days(days)
    return audit.write(core, _remove_pictures, who, "user", user_id, days, is_confirmed)


def remove_pictures_of_room(
    core: Core, who: Who, *, room_id: int, days: int, is_confirmed: bool = False
) -> "asyncio.Future[PicturesRemovedResponse]":
    """The same for a room; for a direct one, owners only."""
    _check_days(days)
    return audit.write(core, _remove_pictures, who, "room", room_id, days, is_confirmed)


def _check_days(days: int) -> None:
    if not 0 <= days <= retention.MAX_DAYS:
        raise errors.BadRequest(
            f"days must be 0 to {retention.MAX_DAYS}.", field="days"
        )


def _remove_pictures(
    tx: Transaction, who: Who, owner: str, id_: int, days: int, is_confirmed: bool
) -> PicturesRemovedResponse:
    """(writer thread)"""
    to = {f"{owner}_id": id_}
    if owner == "user":
        _target(who, id_)
        owner = "user" if _is_owner(who) else "user_in_rooms"
    else:
        _require_room(who, id_)
    count, byte_count = retention.require_confirmed(
        owner, id_, days, tx.now_ms, is_confirmed
    )
    if count:
        retention_rows.add_removal(tx, owner, id_, tx.now_ms - days * DAY_MS)
        which = f"{count:,}, " + (f"older than {days} days" if days else "all of them")
        audit.record(tx, "removed_pictures", _id(who), details=which, **to)
        tx.publish(PictureRemovalRequested())
    return {"picture_count": count, "picture_bytes": byte_count}


def _is_owner(who: Who) -> bool:
    """(writer thread)"""
    actor = _actor(who)
    return actor is None or actor.role == "owner"


def _require_room(who: Who, room_id: int) -> None:
    """Raises NotFound, Forbidden. (writer thread)"""
    is_owner = _is_owner(who)
    kind = room_rows.find_kind(room_id)
    if kind is None:
        raise errors.NotFound()
    if not is_owner and kind == "direct":
        raise errors.Forbidden("Only an owner may do that to a direct room.")
