"""Rooms and memberships: the statements behind core/talk/rooms.py.

Rooms are returned as dictionaries with the keys of docs/protocol.md's room, without
absent fields.
"""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from hai.cache import Cache
from hai.shapes import RoomObject
from hai.storage.database import execute
from hai.storage.models import Membership, Room
from hai.storage.writer import Transaction

MEMBER_IDS_LIMIT = 100  # larger rooms only have a count
ROWS_AT_ONCE = 250  # of memberships, in one statement
UNREAD_LIMIT = 1_000  # counting stops here, so it stays cheap after a long absence
UNREAD_BYTES = 500  # of memory, for one that is kept


class Access(NamedTuple):
    """What decides what a user may do in a room. read_hai_id: None for non-members."""

    kind: str
    created_by_id: int | None
    is_member: int
    read_hai_id: int | None
    member_count: int


class RoomRow(NamedTuple):
    """A room as everyone who may know of it sees it."""

    id: int
    rev: int
    kind: str
    name: str | None
    topic: str | None
    member_count: int
    last_hai_id: int | None
    picture_days: int
    has_receipts: int


class ChangedRoom(NamedTuple):
    """With two revs of the membership: when it last began, and when it first did."""

    room: RoomObject
    began_rev: int
    made_rev: int


class MyRoomRow(NamedTuple):
    """The same with one member's own fields; rev is the higher of the room's and
    theirs."""

    id: int
    rev: int
    kind: str
    name: str | None
    topic: str | None
    member_count: int
    last_hai_id: int | None
    picture_days: int
    has_receipts: int
    read_hai_id: int
    began_rev: int
    made_rev: int


class Unread(NamedTuple):
    """What was counted, up to which hai. rev: MyRoomRow's; a deleted hai raises it."""

    read_hai_id: int
    rev: int
    upto_id: int
    hai_count: int


ACCESS = """
SELECT r.kind, r.created_by_id, m.id IS NOT NULL, m.read_hai_id, r.member_count
FROM rooms r LEFT JOIN memberships m
    ON m.room_id = r.id AND m.user_id = ? AND m.ended_at IS NULL
WHERE r.id = ?
"""

ROOM = """
SELECT id, rev, kind, name, topic, member_count,
    (SELECT max(id) FROM hais WHERE room_id = rooms.id), picture_days, has_receipts
FROM rooms WHERE id = ?
"""

MEMBER_IDS = """
SELECT user_id FROM memberships WHERE room_id = ? AND ended_at IS NULL
ORDER BY user_id LIMIT ?
"""

# Of members who have read something sent since they joined and since receipts are on.
READ_HAI_IDS = """
SELECT m.user_id, m.read_hai_id
FROM memberships m JOIN rooms r ON r.id = m.room_id
WHERE r.id = ? AND m.ended_at IS NULL
    AND m.read_hai_id > max(r.receipts_rev, m.began_rev)
ORDER BY m.user_id
"""

# The same condition, for one mark.
TELL_READ = """
UPDATE rooms SET rev = ?1
WHERE id = ?2 AND has_receipts = 1 AND member_count <= ?5
    AND ?4 > receipts_rev AND ?4 > (
        SELECT began_rev FROM memberships WHERE room_id = ?2 AND user_id = ?3)
"""

# How many hais of others came between two, as far as a reader is told.
UNREAD = """
SELECT count(*) FROM (
    SELECT 1 FROM hais WHERE room_id = ? AND id > ? AND id <= ? AND user_id <> ?
        AND deleted_at IS NULL LIMIT ?)
"""

# {where} is one of the lines below it.
MY_ROOMS = """
SELECT r.id, max(r.rev, m.rev), r.kind, r.name, r.topic, r.member_count,
    (SELECT max(id) FROM hais WHERE room_id = r.id), r.picture_days, r.has_receipts,
    m.read_hai_id, m.began_rev, m.made_rev
FROM memberships m JOIN rooms r ON r.id = m.room_id
WHERE m.user_id = ?1 AND m.ended_at IS NULL AND {where}
"""
ALL_MINE = MY_ROOMS.format(where="1")
ONE_MINE = MY_ROOMS.format(where="r.id = ?2")
# A room joined since then is ordered by when I joined it, before its hais.
MINE_CHANGED = MY_ROOMS.format(
    where="max(r.rev, m.rev) > ?2"
    " ORDER BY iif(m.began_rev > ?2, m.began_rev, max(r.rev, m.rev)) LIMIT ?3",
)

MEMBERS_OF_DIRECT = """
SELECT o.room_id, o.user_id
FROM memberships m JOIN rooms r ON r.id = m.room_id AND r.kind = 'direct'
    JOIN memberships o ON o.room_id = r.id
WHERE m.user_id = ? AND m.ended_at IS NULL
ORDER BY o.room_id, o.user_id
"""

# Users who share a room of at most that many members with this one.
COMPANY = """
SELECT DISTINCT o.user_id
FROM memberships m
    JOIN rooms r ON r.id = m.room_id AND r.member_count <= ?2
    JOIN memberships o ON o.room_id = r.id AND o.ended_at IS NULL
WHERE m.user_id = ?1 AND m.ended_at IS NULL
"""

OPEN_ROOMS = """
SELECT r.id, r.rev, r.kind, r.name, r.topic, r.member_count, NULL, r.picture_days,
    r.has_receipts
FROM rooms r LEFT JOIN memberships m
    ON m.room_id = r.id AND m.user_id = ? AND m.ended_at IS NULL
WHERE r.kind = 'open' AND m.id IS NULL
ORDER BY r.name COLLATE NOCASE
"""

BEGIN_MEMBERSHIP = """
INSERT INTO memberships
    (rev, room_id, user_id, made_rev, began_rev, began_at, read_hai_id)
VALUES (?, ?, ?, ?, ?, ?, coalesce((SELECT max(id) FROM hais WHERE room_id = ?), 0))
ON CONFLICT (room_id, user_id) DO UPDATE SET
    rev = excluded.rev, began_rev = excluded.began_rev,
    began_at = excluded.began_at, ended_at = NULL,
    read_hai_id = excluded.read_hai_id
"""


def access(user_id: int, room_id: int) -> Access | None:
    """None: there is no such room. (any thread)"""
    row = execute(ACCESS, (user_id, room_id)).fetchone()
    return None if row is None else Access._make(row)


def find(room_id: int) -> RoomObject:
    """The room as everyone who may know of it sees it. (any thread)"""
    return with_members(_as_room(RoomRow._make(execute(ROOM, (room_id,)).fetchone())))


def find_mine(user_id: int, room_id: int) -> RoomObject:
    """The same with this user's own fields. (any thread)"""
    row = MyRoomRow._make(execute(ONE_MINE, (user_id, room_id)).fetchone())
    return with_members(_as_my_room(user_id, row))


def with_members(room: RoomObject) -> RoomObject:
    """Adds the members of a room that is not large, and how far they have read.

    So a read marker is never sent to thousands. (any thread)
    """
    if room["member_count"] <= MEMBER_IDS_LIMIT:
        room["member_ids"] = member_ids(room["id"])
        if "has_receipts" in room:
            room["read_hai_ids"] = dict(execute(READ_HAI_IDS, (room["id"],)).fetchall())
    return room


def all_mine(user_id: int, cache: Cache) -> list[RoomObject]:
    """All rooms of a user, with member_ids for direct ones. (reader thread)"""
    rows = map(MyRoomRow._make, execute(ALL_MINE, (user_id,)))
    rooms = {row.id: _as_my_room(user_id, row, cache) for row in rows}
    for room_id, member_id in execute(MEMBERS_OF_DIRECT, (user_id,)):
        rooms[room_id].setdefault("member_ids", []).append(member_id)
    return list(rooms.values())


def mine_changed(
    user_id: int, since_rev: int, limit: int, cache: Cache
) -> list[ChangedRoom]:
    """Rooms changed since, in rev order; a room joined since then is ordered by its
    began_rev. (reader thread)"""
    found = execute(MINE_CHANGED, (user_id, since_rev, limit)).fetchall()
    rows = map(MyRoomRow._make, found)
    return [
        ChangedRoom(
            with_members(_as_my_room(user_id, row, cache)), row.began_rev, row.made_rev
        )
        for row in rows
    ]


def company(user_id: int, most_members: int) -> list[int]:
    """Users who share a small room with this one, including them. (any thread)"""
    return [one for (one,) in execute(COMPANY, (user_id, most_members))]


def ended(user_id: int, since_rev: int, limit: int) -> list[tuple[int, int]]:
    """(rev, room_id) of memberships that ended since. (any thread)"""
    rows: list[tuple[int, int]] = execute(
        "SELECT rev, room_id FROM memberships WHERE user_id = ? AND rev > ?"
        " AND ended_at IS NOT NULL ORDER BY rev LIMIT ?",
        (user_id, since_rev, limit),
    ).fetchall()
    return rows


def open_to(user_id: int) -> list[RoomObject]:
    """Open rooms that this user has not joined, by name. (any thread)"""
    return [
        _as_room(row) for row in map(RoomRow._make, execute(OPEN_ROOMS, (user_id,)))
    ]


def member_ids(room_id: int, limit: int = MEMBER_IDS_LIMIT) -> list[int]:
    """The lowest ids first; limit -1: all. (any thread)"""
    return [user_id for (user_id,) in execute(MEMBER_IDS, (room_id, limit))]


def all_memberships() -> list[tuple[int, int]]:
    """(room_id, user_id) of all memberships, for the directory. (any thread)"""
    rows: list[tuple[int, int]] = execute(
        "SELECT room_id, user_id FROM memberships WHERE ended_at IS NULL"
    ).fetchall()
    return rows


def open_names() -> list[str]:
    """(any thread)"""
    rows = execute("SELECT name FROM rooms WHERE kind = 'open'").fetchall()
    return [name for (name,) in rows if name]


def for_everyone() -> list[int]:
    """Ids of the rooms that new people join automatically. (any thread)"""
    rows = execute("SELECT id FROM rooms WHERE is_for_everyone = 1")
    return [room_id for (room_id,) in rows]


def begin_membership(tx: Transaction, room_id: int, user_id: int) -> None:
    """Create or renew a membership; nothing sent before is unread.

    The caller then calls `touch`. (writer thread)
    """
    rev = tx.next_rev()
    tx.execute(BEGIN_MEMBERSHIP, (rev, room_id, user_id, rev, rev, tx.now_ms, room_id))
    _count(tx, room_id, +1)


def end_membership(tx: Transaction, room_id: int, user_id: int) -> None:
    """(writer thread)"""
    tx.execute(
        "UPDATE memberships SET rev = ?, ended_at = ?"
        " WHERE room_id = ? AND user_id = ?",
        (tx.next_rev(), tx.now_ms, room_id, user_id),
    )
    _count(tx, room_id, -1)


def _count(tx: Transaction, room_id: int, change: int) -> None:
    tx.execute(
        "UPDATE rooms SET member_count = member_count + ? WHERE id = ?",
        (change, room_id),
    )


def touch(tx: Transaction, room_id: int) -> None:
    """Give the room a new rev. (writer thread)"""
    tx.execute("UPDATE rooms SET rev = ? WHERE id = ?", (tx.next_rev(), room_id))


def of_user(user_id: int) -> list[int]:
    """Ids of the user's rooms that can be left. (any thread)"""
    rows = execute(
        "SELECT m.room_id FROM memberships m JOIN rooms r ON r.id = m.room_id"
        " WHERE m.user_id = ? AND m.ended_at IS NULL AND r.kind <> 'direct'"
        " ORDER BY m.room_id",
        (user_id,),
    )
    return [room_id for (room_id,) in rows]


def left_at(user_id: int, ended_at: int) -> list[int]:
    """Ids of the rooms that the user left at that time. (any thread)"""
    rows = execute(
        "SELECT room_id FROM memberships WHERE user_id = ? AND ended_at = ?"
        " ORDER BY room_id",
        (user_id, ended_at),
    )
    return [room_id for (room_id,) in rows]


def mark_read(tx: Transaction, room_id: int, user_id: int, hai_id: int) -> bool:
    """Move the marker forward, never back; whether it moved. (writer thread)"""
    cursor = tx.execute(
        "UPDATE memberships SET read_hai_id = ?, rev = ?"
        " WHERE room_id = ? AND user_id = ? AND ended_at IS NULL AND read_hai_id < ?",
        (hai_id, tx.next_rev(), room_id, user_id, hai_id),
    )
    return bool(cursor.rowcount)


def tell_read(tx: Transaction, room_id: int, user_id: int, hai_id: int) -> int | None:
    """The new rev of a room that shows this marker to its members, so that catching up
    includes it; None where it is the reader's own. (writer thread)"""
    rev = tx.next_rev()
    values = (rev, room_id, user_id, hai_id, MEMBER_IDS_LIMIT)
    return rev if tx.execute(TELL_READ, values).rowcount else None


def mark_all_read(tx: Transaction, markers: list[tuple[int, int, int]]) -> None:
    """Markers (room_id, user_id, hai_id) in one statement. (writer thread)"""
    revs = tx.next_revs(len(markers))
    rows = [[*m, rev] for m, rev in zip(markers, revs, strict=True)]
    tx.execute(
        "UPDATE memberships SET read_hai_id = new.value ->> 2, rev = new.value ->> 3"
        " FROM json_each(?) AS new WHERE room_id = new.value ->> 0"
        " AND user_id = new.value ->> 1 AND read_hai_id < new.value ->> 2",
        (json.dumps(rows),),
    )


def _as_room(row: RoomRow | MyRoomRow) -> RoomObject:
    room: Any = {"id": row.id, "rev": row.rev, "kind": row.kind}
    if row.name is not None:
        room["name"] = row.name
    if row.topic:
        room["topic"] = row.topic
    room["member_count"] = row.member_count
    if row.last_hai_id is not None:
        room["last_hai_id"] = row.last_hai_id
    if row.picture_days:
        room["picture_days"] = row.picture_days
    if row.has_receipts:
        room["has_receipts"] = True
    found: RoomObject = room
    return found


def _as_my_room(user_id: int, row: MyRoomRow, cache: Cache | None = None) -> RoomObject:
    room = _as_room(row)
    if row.read_hai_id:
        room["my_read_hai_id"] = row.read_hai_id
    room["unread"] = unread(user_id, row, cache)
    return room


def unread(user_id: int, row: MyRoomRow, cache: Cache | None) -> int:
    """How many hais of others this member has not read, at most UNREAD_LIMIT.

    Only what came since the last count is counted: a thousand in each of 32 rooms take
    12 ms (benchmark `pages`). A count of a later snapshot is of no use. cache: None in
    the writer thread, whose transaction may yet fail. (any thread)
    """
    last_id = row.last_hai_id or 0
    if last_id <= row.read_hai_id:
        return 0
    key = ("unread", user_id, row.id)
    known: Unread | None = cache.find(key) if cache else None
    is_of_now = known is not None and known[:2] == (row.read_hai_id, row.rev)
    if known is None or not is_of_now or known.upto_id > last_id:
        known = Unread(row.read_hai_id, row.rev, row.read_hai_id, 0)
    if known.upto_id == last_id or known.hai_count >= UNREAD_LIMIT:
        return known.hai_count
    most = UNREAD_LIMIT - known.hai_count
    args = (row.id, known.upto_id, last_id, user_id, most)
    count = known.hai_count + int(execute(UNREAD, args).fetchone()[0])
    if cache:
        cache.put(key, known._replace(upto_id=last_id, hai_count=count), UNREAD_BYTES)
    return count


# --- Rarely used: as Peewee expressions ----------------------------------------------


def find_kind(room_id: int) -> str | None:
    """(any thread)"""
    row = Room.select(Room.kind).where(Room.id == room_id).tuples().first()
    return None if row is None else str(row[0])


def find_direct(direct_key: str) -> int | None:
    """Its id. (any thread)"""
    query = Room.select(Room.id).where(Room.direct_key == direct_key)
    row = query.tuples().first()
    return None if row is None else int(row[0])


def insert(
    tx: Transaction,
    kind: str,
    *,
    name: str | None = None,
    topic: str | None = None,
    creator_id: int | None = None,
    direct_key: str | None = None,
    is_for_everyone: bool = False,
) -> int:
    """A room without members yet; returns its id. (writer thread)"""
    room_id = Room.insert(
        rev=tx.next_rev(),
        kind=kind,
        name=name,
        topic=topic,
        created_by=creator_id,
        created_at=tx.now_ms,
        is_for_everyone=int(is_for_everyone),
        direct_key=direct_key,
        member_count=0,
        picture_days=0,
        has_receipts=0,
        receipts_rev=0,
    ).execute(tx.engine)
    return int(room_id)


def change(tx: Transaction, room_id: int, **columns: Any) -> None:
    """Set columns and give the room a new rev. (writer thread)"""
    columns["rev"] = tx.next_rev()
    Room.update(columns).where(Room.id == room_id).execute(tx.engine)


def fill(
    tx: Transaction, room_id: int, read_hai_ids: Mapping[int, int], began_at: int
) -> None:
    """Give a room without members all of them: user -> the last hai they have read. The
    caller then calls `touch`. (writer thread)"""
    revs = tx.next_revs(len(read_hai_ids))
    rows = [
        (rev, room_id, user_id, rev, rev, began_at, read_hai_id)
        for rev, (user_id, read_hai_id) in zip(revs, read_hai_ids.items(), strict=True)
    ]
    columns = (
        Membership.rev,
        Membership.room,
        Membership.user,
        Membership.made_rev,
        Membership.began_rev,
        Membership.began_at,
        Membership.read_hai_id,
    )
    for start in range(0, len(rows), ROWS_AT_ONCE):
        some = rows[start : start + ROWS_AT_ONCE]
        Membership.insert_many(some, columns).execute(tx.engine)
    _count(tx, room_id, len(rows))
