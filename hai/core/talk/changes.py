"""Catching up: every row that the user may see with a rev above the known one.

There is no event log: the rows themselves have their rev (docs/protocol.md). Read in
one transaction, so a page is one snapshot of the database.
"""

import asyncio
from typing import Any, NamedTuple

from hai import errors
from hai.cache import Cache
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.objects import user_object
from hai.core.presence import SMALL_ROOM_MEMBERS
from hai.core.talk import hai_cache, hais
from hai.shapes import ChangedObjects, ChangesAck
from hai.storage import hais as hai_rows
from hai.storage import rooms as room_rows
from hai.storage import users as user_rows
from hai.storage.database import server_row
from hai.units import UTF8_BYTES

LIMIT = 500
OBJECT_BYTES = 300  # upper bound of a user or room without texts and member_ids


def get(
    core: Core,
    who: Identity,
    *,
    since_rev: int,
    epoch: str | None = None,
    limit: int = LIMIT,
) -> "asyncio.Future[ChangesAck]":
    """{users, rooms, hais, removed_room_ids, rev, epoch, has_more, online_user_ids?}.

    At most `limit` rows of all kinds, in rev order, and 128 KiB. A room that is new to
    the reader comes with its members in `users` and none of its older hais. If the
    reader had left it and has rejoined since, it is also in `removed_room_ids`, to be
    applied first: what the client holds of it must be dropped, because changes in the
    meantime were not sent.
    online_user_ids: on the last page, because no row records presence: those online,
    among the users whose presence the reader gets (rooms of at most 100 members).
    Raises EpochChanged.
    """
    return asyncio.ensure_future(
        core.db.read(_get, core, who.user_id, since_rev, epoch, limit)
    )


def _get(
    core: Core, user_id: int, since_rev: int, epoch: str | None, limit: int
) -> ChangesAck:
    """(reader thread)"""
    counter, current_epoch = server_row()
    if (epoch is not None and epoch != current_epoch) or since_rev > counter:
        raise errors.EpochChanged(epoch=current_epoch)
    found = _changes_since(core.cache, user_id, since_rev, limit + 1)
    kept = _fitting(found[:limit])
    has_more = len(kept) < len(found)
    changed = _as_page(kept, since_rev)
    page: ChangesAck = {
        "users": changed["users"],
        "rooms": changed["rooms"],
        "hais": changed["hais"],
        "removed_room_ids": changed["removed_room_ids"],
        "epoch": current_epoch,
        "has_more": has_more,
        "rev": kept[-1].rev if has_more else counter,
    }
    for user in page["users"]:
        user["presence"] = core.presence.of(user["id"])
    if not has_more:
        page["online_user_ids"] = _online(core, user_id)
    return page


def _online(core: Core, user_id: int) -> list[int]:
    """Includes the reader, if their own tabs are connected. (reader thread)

    The cost depends on how many users the reader may see, never on how many are online:
    after a restart everybody comes back at once (benchmark `storm`).
    """
    company = {user_id, *room_rows.company(user_id, SMALL_ROOM_MEMBERS)}
    return sorted(one for one in company if core.presence.is_online(one))


class Change(NamedTuple):
    """kind: of value, a "user", "room" (with its revs), "removed" (an id) or "hai"."""

    rev: int
    kind: str
    value: Any


def _changes_since(
    cache: Cache, user_id: int, since_rev: int, limit: int
) -> list[Change]:
    """The first rows of all kinds, in rev order."""
    changes = [
        Change(row.rev, "user", user_object(*row))
        for row in user_rows.since(since_rev, limit)
    ]
    for mine in room_rows.mine_changed(user_id, since_rev, limit):
        is_new = mine.began_rev > since_rev
        rev = mine.began_rev if is_new else mine.room["rev"]
        changes.append(Change(rev, "room", mine))
    for rev, room_id in room_rows.ended(user_id, since_rev, limit):
        changes.append(Change(rev, "removed", room_id))
    revs = hai_rows.since(user_id, since_rev, limit)
    for hai in hai_cache.objects(cache, revs):
        changes.append(Change(hai["rev"], "hai", hai))
    changes.sort(key=lambda change: change.rev)
    return changes[:limit]


def _fitting(rows: list[Change]) -> list[Change]:
    """As many of the first as fit into 128 KiB, at least one."""
    budget = hais.PAGE_BYTES
    for count, (_, kind, value) in enumerate(rows):
        budget -= _size(kind, value)
        if budget < 0 and count:
            return rows[:count]
    return rows


def _size(kind: str, value: Any) -> int:
    if kind == "hai":
        return hai_cache.size(value)
    if kind == "room":  # each member may come as a user
        texts = value.room.get("name", "") + value.room.get("topic", "")
        members = len(value.room.get("member_ids", ()))
        return OBJECT_BYTES * (1 + members) + UTF8_BYTES * len(texts)
    if kind == "user":
        return OBJECT_BYTES + UTF8_BYTES * len(value["name"] + value["display_name"])
    return OBJECT_BYTES


def _as_page(changes: list[Change], since_rev: int) -> ChangedObjects:
    users = {user["id"]: user for _, kind, user in changes if kind == "user"}
    mine = [value for _, kind, value in changes if kind == "room"]
    new = [one for one in mine if one.began_rev > since_rev]
    left = [room_id for _, kind, room_id in changes if kind == "removed"]
    came_back = [one.room["id"] for one in new if one.made_rev <= since_rev]
    new_ids = {user_id for one in new for user_id in one.room.get("member_ids", ())}
    for row in user_rows.find(new_ids - users.keys()):
        users[row.id] = user_object(*row)
    return {
        "users": list(users.values()),
        "rooms": [one.room for one in mine],
        "hais": [hai for _, kind, hai in changes if kind == "hai"],
        "removed_room_ids": left + came_back,
    }
