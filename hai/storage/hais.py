"""Hais: the hot statements behind core/talk/hais.py, and pages of hais.

A batch of sends takes four statements, however many there are: each sqlite3 step
releases the GIL to a busy loop and may wait 5 ms to get it back, so one multi-row
statement saves more than its own cost (11 us a row in a hundred, 228 us row by row).
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hai import errors
from hai.storage.database import execute
from hai.storage.models import Hai
from hai.storage.writer import Transaction

COLUMNS = (
    "h.id, h.rev, h.room_id, h.user_id, h.client_id, h.text, h.html,"
    " h.sent_at, h.edited_at, h.deleted_at, h.reply_to, h.reply_to_picture"
)

HaiRev = tuple[int, int]  # id, rev


class HaiRow(NamedTuple):
    """COLUMNS, in their order. Pages and sends use plain tuples: the names would cost
    0.3 us a hai for nothing, as hai_objects unpacks a row at once."""

    id: int
    rev: int
    room_id: int
    user_id: int
    client_id: str | None
    text: str
    html: str | None
    sent_at: int
    edited_at: int | None
    deleted_at: int | None
    reply_to: int | None
    reply_to_picture: int | None


class DatedHai(NamedTuple):
    """A hai with its time, if it is not sent just now."""

    id: int
    room_id: int
    user_id: int
    text: str
    html: str | None
    sent_at: int
    reply_to: int | None


class SendChecks(NamedTuple):
    """What decides whether a send is stored.

    room_kind: None if there is no such room. hai_id, order_hash: of the hai stored
    under its client_id.
    """

    room_kind: str | None
    is_member: int
    hai_id: int | None
    order_hash: int
    has_reply_to: int
    has_reply_to_picture: int


# One row per send.
CHECK_SENDS = """
SELECT r.kind, m.id IS NOT NULL, h.id, h.order_hash, p.id IS NOT NULL,
    q.hai_id IS p.id OR (p.deleted_at IS NOT NULL AND (q.uploaded_at = 0
            OR (q.id IS NULL AND send.value ->> 4 <=
                (SELECT seq FROM sqlite_sequence WHERE name = 'pictures'))))
        OR EXISTS (SELECT 1 FROM gone_pictures g
            WHERE g.id = send.value ->> 4 AND g.hai_id = p.id)
FROM json_each(?) AS send
    LEFT JOIN rooms r ON r.id = send.value ->> 1
    LEFT JOIN memberships m ON m.room_id = send.value ->> 1
        AND m.user_id = send.value ->> 0 AND m.ended_at IS NULL
    LEFT JOIN hais h ON h.user_id = send.value ->> 0
        AND h.client_id = send.value ->> 2 AND h.client_id IS NOT NULL
    LEFT JOIN hais p ON p.id = send.value ->> 3 AND p.room_id = send.value ->> 1
    LEFT JOIN pictures q ON q.id = send.value ->> 4
ORDER BY send.key
"""

INSERT = """
INSERT INTO hais
    (id, rev, room_id, user_id, client_id, order_hash, text, html, sent_at, reply_to,
    reply_to_picture)
SELECT value ->> 0, value ->> 0, value ->> 1, value ->> 2, value ->> 3,
    value ->> 4, value ->> 5, value ->> 6, ?, value ->> 7,
    value ->> 8
FROM json_each(?)
"""


def check_sends(tx: Transaction, sends: list[tuple[Any, ...]]) -> list[SendChecks]:
    """For sends (user_id, room_id, client_id, reply_to, reply_to_picture), in their
    order. A tombstone with a removed picture counts as existing, and so does a picture
    that was not kept: they may have been removed while the reply was waiting. A picture
    id that does not exist yet was never in a tombstone. (writer thread)
    """
    found = tx.execute(CHECK_SENDS, (json.dumps(sends),)).fetchall()
    return list(map(SendChecks._make, found))


def insert_all(tx: Transaction, rows: list[tuple[Any, ...]]) -> None:
    """Rows (id, room_id, user_id, client_id, order_hash, text, html, reply_to,
    reply_to_picture); their rev is their id. (writer thread)"""
    tx.execute(INSERT, (tx.now_ms, json.dumps(rows)))


def change(tx: Transaction, hai_id: int, **columns: Any) -> None:
    """Set columns and give the hai a new rev. (writer thread)"""
    names = ", ".join(f"{name} = ?" for name in columns)
    tx.execute(
        f"UPDATE hais SET rev = ?{', ' if names else ''}{names} WHERE id = ?",
        (tx.next_rev(), *columns.values(), hai_id),
    )


def forget_content(tx: Transaction, hai_id: int) -> None:
    """Delete reactions, and pass the pictures to the sweeper. (writer thread)"""
    tx.execute("DELETE FROM reactions WHERE hai_id = ?", (hai_id,))
    tx.execute(
        "UPDATE pictures SET hai_id = NULL, completed_at = NULL, uploaded_at = 0"
        " WHERE hai_id = ?",
        (hai_id,),
    )
    tx.execute("DELETE FROM gone_pictures WHERE hai_id = ?", (hai_id,))


def find(hai_ids: Iterable[int]) -> list[HaiRow]:
    """By id, in the order of their ids. (any thread)"""
    rows = execute(
        f"SELECT {COLUMNS} FROM hais h"
        " WHERE h.id IN (SELECT value FROM json_each(?)) ORDER BY h.id",
        (json.dumps(list(hai_ids)),),
    ).fetchall()
    return list(map(HaiRow._make, rows))


def deleted_of(hai_ids: Iterable[int]) -> list[int]:
    """Those of these that are tombstones. (any thread)"""
    wanted = list(hai_ids)
    if not wanted:
        return []
    rows = execute(
        "SELECT id FROM hais WHERE id IN (SELECT value FROM json_each(?))"
        " AND deleted_at IS NOT NULL ORDER BY id",
        (json.dumps(wanted),),
    )
    return [hai_id for (hai_id,) in rows]


# The last hais below an id, the first above it; and the same for hais with pictures,
# found by an index of their own: the hais between them cost nothing. Only their ids and
# revs: most of them are in memory already (core/talk/hai_cache.py).
NEWEST = """
SELECT h.id, h.rev FROM hais h WHERE h.room_id = ? AND h.id < ? AND h.deleted_at IS NULL
ORDER BY h.id DESC LIMIT ?
"""

FOLLOWING = """
SELECT h.id, h.rev FROM hais h WHERE h.room_id = ? AND h.id > ? AND h.deleted_at IS NULL
ORDER BY h.id LIMIT ?
"""

NEWEST_PICTURES = """
SELECT h.id, h.rev FROM hais h WHERE h.deleted_at IS NULL AND h.id IN (
    SELECT DISTINCT hai_id FROM pictures
    WHERE room_id = ? AND hai_id IS NOT NULL AND hai_id < ?
    ORDER BY hai_id DESC LIMIT ?)
ORDER BY h.id DESC
"""

FOLLOWING_PICTURES = """
SELECT h.id, h.rev FROM hais h WHERE h.deleted_at IS NULL AND h.id IN (
    SELECT DISTINCT hai_id FROM pictures
    WHERE room_id = ? AND hai_id IS NOT NULL AND hai_id > ?
    ORDER BY hai_id LIMIT ?)
ORDER BY h.id
"""


def newest(
    room_id: int, limit: int, *, before: int | None, with_pictures: bool = False
) -> list[HaiRev]:
    """The last hais below `before`, newest first, without tombstones. (any thread)"""
    edge = 2**62 if before is None else before
    query = NEWEST_PICTURES if with_pictures else NEWEST
    rows: list[HaiRev] = execute(query, (room_id, edge, limit)).fetchall()
    return rows


def following(
    room_id: int, limit: int, *, after: int, with_pictures: bool = False
) -> list[HaiRev]:
    """The first hais above `after`, oldest first, without tombstones. (any thread)"""
    query = FOLLOWING_PICTURES if with_pictures else FOLLOWING
    rows: list[HaiRev] = execute(query, (room_id, after, limit)).fetchall()
    return rows


# The two halves of what changed: never changed since it was sent (rev = id),
# and changed later (the partial index). Each comes in the order of revs.
SENT_SINCE = """
SELECT h.id, h.rev FROM memberships m JOIN hais h ON h.room_id = m.room_id
WHERE m.user_id = ? AND m.ended_at IS NULL AND h.id > max(?, m.began_rev)
    AND h.rev = h.id
ORDER BY h.id LIMIT ?
"""

CHANGED_SINCE = """
SELECT h.id, h.rev FROM memberships m JOIN hais h ON h.room_id = m.room_id
WHERE m.user_id = ? AND m.ended_at IS NULL AND h.rev > max(?, m.began_rev)
    AND h.rev <> h.id
ORDER BY h.rev LIMIT ?
"""


def since(user_id: int, since_rev: int, limit: int) -> list[HaiRev]:
    """Hais of this user's rooms above since_rev, by rev, including tombstones. (any
    thread)"""
    args = (user_id, since_rev, limit)
    sent = execute(SENT_SINCE, args).fetchall()
    changed = execute(CHANGED_SINCE, args).fetchall()
    rows: list[HaiRev] = sent + changed
    return sorted(rows, key=lambda row: row[1])[:limit]


# What decides whether a page of a room that was read before is still what a reader
# would read: one statement, so it is one moment also on the loop, where each has a
# snapshot of its own. 12 us.
MOMENT = """
SELECT s.rev, s.epoch, r.kind, m.id IS NOT NULL,
    (SELECT max(id) FROM hais WHERE room_id = r.id),
    (SELECT max(rev) FROM hais WHERE room_id = r.id AND rev <> id)
FROM server s LEFT JOIN rooms r ON r.id = ?2
    LEFT JOIN memberships m
        ON m.room_id = r.id AND m.user_id = ?1 AND m.ended_at IS NULL
"""


class RoomMoment(NamedTuple):
    """kind: None if there is no such room. last_hai_id: the highest of its hais;
    changed_rev: the highest of those changed since they were sent."""

    rev: int
    epoch: str
    kind: str | None
    is_member: int
    last_hai_id: int | None
    changed_rev: int | None

    @property
    def talk(self) -> tuple[str, int | None, int | None]:
        """Changes with whatever is seen of the room's hais."""
        return self.epoch, self.last_hai_id, self.changed_rev


def moment(user_id: int, room_id: int) -> RoomMoment:
    """(any thread)"""
    row = execute(MOMENT, (user_id, room_id)).fetchone()
    if row is None:
        raise errors.Busy("The database is not ready.")
    return RoomMoment._make(row)


# The same for everything on a room's page: besides its hais, any user, my memberships,
# and in the rooms I am in the room itself and whether somebody wrote. 2 us a room.
PAGE_MOMENT = MOMENT.replace(
    "\nFROM",
    """, (SELECT max(rev) FROM users),
    (SELECT max(rev) FROM memberships WHERE user_id = ?1),
    (SELECT max(o.rev) FROM memberships n JOIN rooms o ON o.id = n.room_id
        WHERE n.user_id = ?1 AND n.ended_at IS NULL),
    (SELECT max((SELECT max(id) FROM hais WHERE room_id = n.room_id))
        FROM memberships n WHERE n.user_id = ?1 AND n.ended_at IS NULL)
FROM""",
)


class PageMoment(NamedTuple):
    """RoomMoment, with the highest revs and id of what else a page shows."""

    rev: int
    epoch: str
    kind: str | None
    is_member: int
    last_hai_id: int | None
    changed_rev: int | None
    users_rev: int | None
    memberships_rev: int | None
    rooms_rev: int | None
    my_last_hai_id: int | None

    @property
    def seen(self) -> tuple[Any, ...]:
        """Changes with whatever the page shows."""
        return self[1:]


def page_moment(user_id: int, room_id: int) -> PageMoment:
    """(any thread)"""
    row = execute(PAGE_MOMENT, (user_id, room_id)).fetchone()
    if row is None:
        raise errors.Busy("The database is not ready.")
    return PageMoment._make(row)


def insert_dated(tx: Transaction, hais: Sequence[DatedHai]) -> None:
    """At least one; their rev is their id. (writer thread)"""
    columns = (
        Hai.rev,
        Hai.id,
        Hai.room,
        Hai.user,
        Hai.text,
        Hai.html,
        Hai.sent_at,
        Hai.reply_to,
    )
    Hai.insert_many([(hai.id, *hai) for hai in hais], columns).execute(tx.engine)
