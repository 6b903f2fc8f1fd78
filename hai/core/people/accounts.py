"""Accounts: the first owner, signing up, changing one's own, listing.

New people join the rooms that are for everyone. A user without a password can only be
used with a token.
"""

import asyncio
import re
from typing import Any

from hai import errors, ids
from hai.core import audit, fields
from hai.core.context import Core
from hai.core.identity import (
    invites,
    passwords,
    sessions,
)
from hai.core.identity.sessions import Identity
from hai.core.objects import user_object
from hai.core.talk import rooms
from hai.events import RoomChanged, UserChanged
from hai.shapes import UserObject
from hai.storage import rooms as room_rows
from hai.storage import users as rows
from hai.storage.writer import Transaction

ROLES = ("owner", "admin", "member")
# No look-alikes: with a Cyrillic a, a name could imitate another person's.
SIGN_IN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
FIRST_ROOM_NAME = "Everyone"


def needs_set_up(core: Core) -> bool:
    """Whether there is no owner yet. Loop thread, 10 us.

    There may be people already: seeded, added by a command, or signed up where that is
    open. None of them can keep the operator out.
    """
    return not core.db.read_now(rows.has_owner)


def is_empty(core: Core) -> bool:
    """Whether nobody has an account yet. Loop thread, 10 us."""
    return not core.db.read_now(rows.has_person)


async def set_up(
    core: Core, *, name: str, display_name: str, password: str
) -> UserObject:
    """The owner, and a first open room that everyone joins. Once only.

    The caller has checked that the request comes from the operator: by the one-time
    token, or by loopback. Raises Forbidden, BadRequest.
    """
    account = check_account(name, display_name)
    password_hash = await passwords.make_hash(core, password, *account)
    return await audit.write(core, _set_up, *account, password_hash)


def _set_up(
    tx: Transaction, name: str, display_name: str, password_hash: str
) -> UserObject:
    """(writer thread)"""
    if rows.has_owner():
        raise errors.Forbidden("Hai has been set up already.")
    user = _add(tx, name, display_name, "person", "owner", password_hash)
    audit.record(tx, "set_up", user["id"], user_id=user["id"])
    _add_first_room(tx, user["id"])
    return user


def _add_first_room(tx: Transaction, owner_id: int) -> None:
    """Open and for everyone, including people added before. (writer thread)"""
    room_id = room_rows.insert(
        tx, "open", name=FIRST_ROOM_NAME, creator_id=owner_id, is_for_everyone=True
    )
    people = rows.people_ids()
    for user_id in people:
        room_rows.begin_membership(tx, room_id, user_id)
    room_rows.touch(tx, room_id)
    tx.publish(RoomChanged(room_rows.find(room_id), joined=tuple(people)))


async def sign_up(
    core: Core, invite_code: str, *, name: str, display_name: str, password: str
) -> UserObject:
    """A new member. Raises NotFound for a bad invite, BadRequest, Forbidden.

    With `sign_up=open` no invite is needed; with `closed` nobody can sign up.
    """
    await require_sign_up(core, invite_code)
    account = check_account(name, display_name)
    password_hash = await passwords.make_hash(core, password, *account)
    return await audit.write(core, _join, *account, password_hash)


def _join(
    tx: Transaction, name: str, display_name: str, password_hash: str
) -> UserObject:
    """(writer thread)"""
    user = _add(tx, name, display_name, "person", "member", password_hash)
    audit.record(tx, "joined", user["id"], user_id=user["id"])
    return user


async def require_sign_up(core: Core, invite_code: str) -> None:
    """Raises Forbidden or NotFound."""
    if core.config.sign_up == "closed":
        raise errors.Forbidden("Nobody can sign up here at the moment.")
    if core.config.sign_up == "open":
        return
    if not invite_code:
        raise errors.NotFound("Joining needs an invite. Ask somebody here for a link.")
    if not await invites.is_good(core, invite_code):
        raise errors.NotFound("This invite does not work any more. Ask for a new one.")


async def add_user(
    core: Core,
    name: str,
    role: str = "member",
    password: str | None = None,
    *,
    display_name: str | None = None,
    kind: str = "person",
) -> UserObject:
    """A user added by the operator. Raises BadRequest."""
    if role not in ROLES:
        raise errors.BadRequest("A role is owner, admin or member.", field="role")
    account = check_account(name, display_name or name)
    password_hash = None
    if password is not None:
        password_hash = await passwords.make_hash(core, password, *account)
    return await core.db.write(_add_by_operator, *account, kind, role, password_hash)


def _add_by_operator(tx: Transaction, *account: Any) -> UserObject:
    """Bots are added by Hai itself. (writer thread)"""
    user = _add(tx, *account)
    if user["kind"] == "person":
        audit.record(tx, "added_user", None, user_id=user["id"])
    return user


def check_account(name: str, display_name: str) -> tuple[str, str]:
    """The two names as they will be stored. Raises BadRequest."""
    checked = fields.check_line("name", name.strip(), fields.MAX_NAME_CHARS)
    if not SIGN_IN_NAME.fullmatch(checked):
        raise errors.BadRequest(
            "A name has letters from a to z, digits, dots, hyphens and"
            " underscores, and no spaces.",
            field="name",
        )
    shown = display_name if display_name.strip() else checked
    return checked, fields.check_line("display_name", shown, fields.MAX_NAME_CHARS)


def _add(
    tx: Transaction,
    name: str,
    display_name: str,
    kind: str,
    role: str,
    password_hash: str | None,
) -> UserObject:
    """Store a user; a person joins the common rooms. (writer thread)"""
    if rows.find_id(name) is not None:
        raise errors.BadRequest("This name is taken.", field="name")
    rev = tx.next_rev()
    user_id = rows.insert(
        tx,
        rev,
        name=name,
        display_name=display_name,
        kind=kind,
        role=role,
        password_hash=password_hash,
    )
    user = user_object(user_id, rev, name, display_name, kind, role)
    tx.publish(UserChanged(user))
    if kind == "person":
        for room_id in room_rows.for_everyone():
            rooms.enter(tx, room_id, user_id)
    return user


def insert_member(tx: Transaction, name: str, display_name: str) -> UserObject:
    """A person without a password. Raises BadRequest. (writer thread)"""
    return _add(tx, name, display_name, "person", "member", None)


def change_profile(
    core: Core, who: Identity, *, display_name: str
) -> "asyncio.Future[UserObject]":
    """The user with a new display name. Raises BadRequest."""
    shown = fields.check_line("display_name", display_name, fields.MAX_NAME_CHARS)
    return core.db.write(_change_profile, who.user_id, shown)


def _change_profile(tx: Transaction, user_id: int, display_name: str) -> UserObject:
    """(writer thread)"""
    rows.set_display_name(tx, user_id, display_name)
    user = user_object(*rows.find([user_id])[0])
    tx.publish(UserChanged(user))
    return user


async def change_password(core: Core, who: Identity, *, old: str, new: str) -> None:
    """Ends all other sessions of this user, bearer tokens too; bots have their own.

    Raises Forbidden, BadRequest, RateLimited.
    """
    stored = await core.db.read(rows.find_password_hash, who.user_id)
    if not await passwords.verify(core, old, stored):
        audit.note_failure(core, who.user_id)
        raise errors.Forbidden("That is not your password.", field="old_password")
    names = await core.db.read(rows.find_names, who.user_id)
    password_hash = await passwords.make_hash(core, new, *names)
    await audit.write(core, _change_password, who, password_hash)


def _change_password(tx: Transaction, who: Identity, password_hash: str) -> None:
    """(writer thread)"""
    rows.set_password_hash(tx, who.user_id, password_hash)
    sessions.end_all_but(tx, who)
    audit.record(tx, "changed_password", who.user_id, user_id=who.user_id)


async def list_users(core: Core) -> list[UserObject]:
    """All active users, with presence, by display name."""
    users = await core.db.read_slow(_active)
    for user in users:
        user["presence"] = core.presence.of(user["id"])
    return users


def _active() -> list[UserObject]:
    """(reader thread)"""
    return [user_object(*row) for row in rows.active()]


async def user_named(core: Core, name: str) -> UserObject:
    """Raises NotFound."""
    return await core.db.read(_user_named, name)


def _user_named(name: str) -> UserObject:
    """(reader thread)"""
    user_id = rows.find_id(name)
    if user_id is None:
        raise errors.NotFound(f"There is no user {name}.")
    return user_object(*rows.find([user_id])[0])


def is_set_up_token(core: Core, token: str) -> bool:
    return ids.same_secret(core.set_up_token, token)
