"""`run.py rooms add|change`: make a room from the terminal, or say what it keeps."""

import argparse
from typing import Any

from hai.cli.control import Actions, perform
from hai.config import Config
from hai.core import fields
from hai.core.context import Core
from hai.core.people import accounts
from hai.core.talk import rooms
from hai.errors import NotFound
from hai.events import RoomChanged
from hai.shapes import UserObject
from hai.storage import rooms as room_rows
from hai.storage.writer import Transaction


def configure(add: Any, name: str) -> None:
    action = add.below(add(name, "make rooms, and say how long they keep pictures"))
    _configure_change(action)
    parser = action("add", "make a room and print its id")
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("--kind", choices=("open", "closed"), default="open")
    members = parser.add_mutually_exclusive_group()
    members.add_argument("--members", metavar="A,B", default="", help="their names")
    members.add_argument("--all", action="store_true", help="all people, no bots")
    parser.set_defaults(run=run_add)


def _configure_change(add: Any) -> None:
    parser = add("change", "say how long a room keeps pictures")
    parser.add_argument("room_id", metavar="ID", type=int)
    parser.add_argument(
        "--picture-days", type=int, metavar="N", required=True, help="0: forever"
    )
    parser.add_argument("--yes", action="store_true", help="remove the older ones")
    parser.set_defaults(run=run_change)


def run_change(config: Config, arguments: argparse.Namespace) -> int:
    given = {
        "room_id": arguments.room_id,
        "picture_days": arguments.picture_days,
        "is_confirmed": arguments.yes,
    }
    perform(config, ACTIONS, "rooms change", **given)
    days = arguments.picture_days
    print("keeps pictures " + (f"for {days} days" if days else "forever"))
    return 0


def run_add(config: Config, arguments: argparse.Namespace) -> int:
    names = [name.strip() for name in arguments.members.split(",") if name.strip()]
    given = {
        "name": arguments.name,
        "kind": arguments.kind,
        "member_names": None if arguments.all else names,
    }
    print(perform(config, ACTIONS, "rooms add", **given))
    return 0


async def add_room(
    core: Core, name: str, kind: str, member_names: list[str] | None
) -> int:
    """Make a room with these members (None: all people); return its id.

    Raises BadRequest for a bad name, NotFound for unknown members.
    """
    name = fields.ROOM_NAME.check("name", name)
    users = await accounts.list_users(core)
    if member_names is None:
        members = [user["id"] for user in users if user["kind"] == "person"]
    else:
        members = _ids_of(member_names, users)
    return await core.db.write(_add_room, name, kind, members)


def _ids_of(names: list[str], users: list[UserObject]) -> list[int]:
    ids = {user["name"].lower(): user["id"] for user in users}
    missing = [name for name in names if name.lower() not in ids]
    if missing:
        raise NotFound("There is no user " + ", ".join(missing) + ".")
    return sorted({ids[name.lower()] for name in names})


def _add_room(tx: Transaction, name: str, kind: str, members: list[int]) -> int:
    """(writer thread)"""
    room_id = room_rows.insert(tx, kind, name=name)
    for user_id in members:
        room_rows.begin_membership(tx, room_id, user_id)
    room_rows.touch(tx, room_id)
    tx.publish(RoomChanged(room_rows.find(room_id), joined=tuple(members)))
    return room_id


async def change_room(
    core: Core, room_id: int, picture_days: int, is_confirmed: bool
) -> None:
    """Raises BadRequest, NotFound, Forbidden, NotConfirmed."""
    days = fields.DAYS.check("picture_days", picture_days)
    room_id = fields.ID.check("room_id", room_id)
    await core.db.write(rooms.change_as_operator, room_id, days, is_confirmed)


ACTIONS: Actions = {"rooms add": add_room, "rooms change": change_room}
