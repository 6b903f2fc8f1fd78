"""Pictures that are not kept: which are too old, and what remains of them.

A removed picture leaves a row of `gone_pictures` in its hai; its own row is handed to
the sweeper like that of a deleted hai (blobs.py), together with the bytes, unless
another picture shares them. A picture is as old as the hai it was sent with. Works in
slices: a reader finds the hais, and the writer checks them again.
"""

import json
from typing import Any

from hai.storage.database import execute
from hai.storage.writer import Transaction

OLDER = """
FROM pictures p JOIN hais h ON h.id = p.hai_id
WHERE {of} AND p.hai_id IS NOT NULL AND h.sent_at < ?
"""
# Whose pictures: a user's, a room's, or a user's except those in direct rooms.
OWNERS = {
    "user": "p.user_id = ?",
    "room": "p.room_id = ?",
    "user_in_rooms": "p.user_id = ? AND p.room_id NOT IN"
    " (SELECT id FROM rooms WHERE kind = 'direct')",
}

REMAINS = """
INSERT INTO gone_pictures
    (id, hai_id, position, name, type, bytes, width, height, alt, gone_at)
SELECT id, hai_id, position, name, type, bytes, width, height, alt, ?
FROM pictures WHERE hai_id IN (SELECT value FROM json_each(?))
"""


def count_older(owner: str, id_: int, before_at: int) -> tuple[int, int]:
    """(pictures, their bytes) of one of OWNERS, sent before that time. (any thread)"""
    count, byte_count = execute(
        f"SELECT count(*), coalesce(sum(p.bytes), 0) {OLDER.format(of=OWNERS[owner])}",
        (id_, before_at),
    ).fetchone()
    return int(count), int(byte_count)


def find_older(owner: str, id_: int, before_at: int, limit: int) -> list[int]:
    """Ids of the first hais with such pictures. (any thread)"""
    rows = execute(
        f"SELECT DISTINCT p.hai_id {OLDER.format(of=OWNERS[owner])}"
        " ORDER BY p.hai_id LIMIT ?",
        (id_, before_at, limit),
    )
    return [hai_id for (hai_id,) in rows]


def rooms_with_limit() -> list[tuple[int, int]]:
    """(room_id, picture_days) of rooms with a time limit. (any thread)"""
    rows: list[tuple[int, int]] = execute(
        "SELECT id, picture_days FROM rooms WHERE picture_days > 0"
    ).fetchall()
    return rows


def picture_days(room_id: int) -> int:
    """0: no limit. (any thread)"""
    row = execute("SELECT picture_days FROM rooms WHERE id = ?", (room_id,)).fetchone()
    return int(row[0])


def with_pictures(hai_ids: list[int], before_at: int) -> list[int]:
    """Those of these hais that were sent before and have pictures. (writer thread)"""
    rows = execute(
        "SELECT id FROM hais h WHERE id IN (SELECT value FROM json_each(?))"
        " AND sent_at < ? AND EXISTS (SELECT 1 FROM pictures WHERE hai_id = h.id)"
        " ORDER BY id",
        (json.dumps(hai_ids), before_at),
    )
    return [hai_id for (hai_id,) in rows]


def take_pictures(tx: Transaction, hai_ids: list[int]) -> None:
    """Leave a trace of each in its hai; pass them to the sweeper. (writer thread)"""
    ids = json.dumps(hai_ids)
    tx.execute(REMAINS, (tx.now_ms, ids))
    tx.execute(
        "UPDATE pictures SET hai_id = NULL, completed_at = NULL, uploaded_at = 0"
        " WHERE hai_id IN (SELECT value FROM json_each(?))",
        (ids,),
    )


def gone_pictures_of(hai_ids: list[int]) -> list[tuple[Any, ...]]:
    """(hai_id, position, id, name, type, bytes, width, height, alt, gone_at) in
    their places. (any thread)"""
    rows: list[tuple[Any, ...]] = execute(
        "SELECT hai_id, position, id, name, type, bytes, width, height, alt, gone_at"
        " FROM gone_pictures WHERE hai_id IN (SELECT value FROM json_each(?))"
        " ORDER BY hai_id, position",
        (json.dumps(hai_ids),),
    ).fetchall()
    return rows


def removals() -> list[tuple[int, str, int, int]]:
    """(id, which of OWNERS, its id, before_at) of pending removals. (any thread)"""
    rows: list[tuple[int, str, int, int]] = execute(
        "SELECT id, CASE WHEN room_id IS NOT NULL THEN 'room'"
        " WHEN spares_direct = 1 THEN 'user_in_rooms' ELSE 'user' END,"
        " coalesce(room_id, user_id), before_at FROM picture_removals ORDER BY id"
    ).fetchall()
    return rows


def add_removal(tx: Transaction, owner: str, id_: int, before_at: int) -> None:
    """(writer thread)"""
    user_id, room_id = (None, id_) if owner == "room" else (id_, None)
    tx.execute(
        "INSERT INTO picture_removals (user_id, room_id, before_at, spares_direct)"
        " VALUES (?, ?, ?, ?)",
        (user_id, room_id, before_at, int(owner == "user_in_rooms")),
    )


def end_removal(tx: Transaction, removal_id: int) -> None:
    """(writer thread)"""
    tx.execute("DELETE FROM picture_removals WHERE id = ?", (removal_id,))
