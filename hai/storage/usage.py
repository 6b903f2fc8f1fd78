"""Who uses what: sums over pictures, and the sizes of file and disk.

Lists come a page at a time, sorted and searched by SQLite: of 10,000 people only the
fifty shown become Python objects, and values that the sort order does not need are
looked up for those only.
"""

import os
from pathlib import Path
from typing import NamedTuple

from hai.storage import blobs, uploads
from hai.storage.database import execute

USED = """
WITH used AS (
    SELECT {owner}_id AS id, sum(bytes) AS bytes, count(*) AS pictures
    FROM pictures {of} GROUP BY {owner}_id
)
"""

# Of a user: the avatar counts too, and the full size of unfinished uploads, as they do
# for the limit.
BYTES = """(coalesce(used.bytes, 0) + coalesce(length(a.bytes), 0) + coalesce(
    (SELECT sum(length) FROM uploads WHERE user_id = u.id AND completed_at IS NULL), 0))
"""
USERS = """
SELECT page.*, (SELECT max(seen_at) FROM sessions WHERE user_id = page.id),
    (SELECT count(*) FROM sessions WHERE user_id = page.id AND ended_at IS NULL)
FROM (
    SELECT u.id, u.name, u.display_name, u.kind, u.role, u.deactivated_at, u.max_bytes,
        u.created_at, u.avatar_rev, {bytes}, coalesce(used.pictures, 0)
    FROM users u LEFT JOIN used ON used.id = u.id
        LEFT JOIN avatars a ON a.user_id = u.id
    WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?
) AS page
"""
USER_ORDERS = {
    "bytes": f"{BYTES} DESC, u.display_name COLLATE NOCASE, u.id",
    "pictures": "coalesce(used.pictures, 0) DESC, u.display_name COLLATE NOCASE, u.id",
    "name": "u.display_name COLLATE NOCASE, u.id",
    "newest": "u.id DESC",
}
# Part of either name; SQLite folds case for ASCII only, so common spellings are tried.
FOUND = "instr(lower(u.name), lower({n})) OR instr(u.display_name, {n})"

ROOMS = """
SELECT page.*,
    (SELECT sent_at FROM hais WHERE room_id = page.id ORDER BY id DESC LIMIT 1)
FROM (
    SELECT r.id, r.kind, r.name, r.member_count, r.picture_days, r.created_at,
        coalesce(used.bytes, 0), coalesce(used.pictures, 0)
    FROM rooms r LEFT JOIN used ON used.id = r.id
    WHERE {where} ORDER BY {order} LIMIT ? OFFSET ?
) AS page
"""
ROOM_ORDERS = {
    "bytes": "coalesce(used.bytes, 0) DESC, r.name COLLATE NOCASE, r.id",
    "pictures": "coalesce(used.pictures, 0) DESC, r.name COLLATE NOCASE, r.id",
    "name": "r.name IS NULL, r.name COLLATE NOCASE, r.id",
    "newest": "r.id DESC",
}

ONE_USER = USED.format(owner="user", of="WHERE user_id = ?") + USERS.format(
    bytes=BYTES, where="u.id = ?", order="u.id"
)
ONE_ROOM = USED.format(owner="room", of="WHERE room_id = ?") + ROOMS.format(
    where="r.id = ?", order="r.id"
)


class UserUsage(NamedTuple):
    """A row of USERS. session_count: sessions that have not ended."""

    id: int
    name: str
    display_name: str
    kind: str
    role: str
    deactivated_at: int | None
    max_bytes: int | None
    created_at: int
    avatar_rev: int | None
    picture_bytes: int
    picture_count: int
    seen_at: int | None
    session_count: int


class RoomUsage(NamedTuple):
    """A row of ROOMS. sent_at: of the last hai."""

    id: int
    kind: str
    name: str | None
    member_count: int
    picture_days: int
    created_at: int
    picture_bytes: int
    picture_count: int
    sent_at: int | None


def users(query: str, order: str, limit: int, offset: int) -> list[UserUsage]:
    """(any thread)"""
    spellings = list(
        dict.fromkeys((query, query.lower(), query.upper(), query.title()))
    )
    where = "1"
    if query:
        where = " OR ".join(FOUND.format(n=f"?{i + 1}") for i in range(len(spellings)))
    sql = USED.format(owner="user", of="") + USERS.format(
        bytes=BYTES, where=where, order=USER_ORDERS[order]
    )
    given = spellings if query else []
    return list(map(UserUsage._make, execute(sql, (*given, limit, offset))))


def user(user_id: int) -> UserUsage | None:
    """The same for one user, reading only their pictures. (any thread)"""
    row = execute(ONE_USER, (user_id, user_id, 1, 0)).fetchone()
    return None if row is None else UserUsage._make(row)


def rooms(order: str, limit: int, offset: int) -> list[RoomUsage]:
    """(any thread)"""
    sql = USED.format(owner="room", of="") + ROOMS.format(
        where="1", order=ROOM_ORDERS[order]
    )
    return list(map(RoomUsage._make, execute(sql, (limit, offset))))


def room(room_id: int) -> RoomUsage | None:
    """The same for one room, reading only its pictures. (any thread)"""
    row = execute(ONE_ROOM, (room_id, room_id, 1, 0)).fetchone()
    return None if row is None else RoomUsage._make(row)


def taken_bytes() -> int:
    """What counts against the overall limit: the database without its free pages, and
    what unfinished uploads have still to send. (any thread)"""
    return blobs.file_bytes() + uploads.missing_bytes()


def totals() -> dict[str, int]:
    """Sums over everything; an index covers the pictures. (any thread)"""
    pictures, picture_bytes = execute(
        "SELECT count(*), coalesce(sum(bytes), 0)"
        " + (SELECT coalesce(sum(length(bytes)), 0) FROM avatars) FROM pictures"
    ).fetchone()
    unsent, unfinished = execute(
        "SELECT coalesce(sum(completed_at IS NOT NULL), 0),"
        " coalesce(sum(completed_at IS NULL AND uploaded_at > 0), 0)"
        " FROM pictures WHERE hai_id IS NULL"
    ).fetchone()
    people, deactivated = execute(
        "SELECT count(*), coalesce(sum(deactivated_at IS NOT NULL), 0)"
        " FROM users WHERE kind = 'person'"
    ).fetchone()
    return {
        "pictures": pictures,
        "picture_bytes": picture_bytes,
        "unsent": unsent,
        "unfinished": unfinished,
        "people": people - deactivated,
        "deactivated": deactivated,
        "rooms": execute("SELECT count(*) FROM rooms").fetchone()[0],
        "database_bytes": blobs.file_bytes(),
        "taken_bytes": taken_bytes(),
    }


def file_sizes(database: Path) -> dict[str, int]:
    """{file_bytes, wal_bytes, disk_free_bytes}, from the file system. Takes 10 us."""
    disk = os.statvfs(database.parent)
    return {
        "file_bytes": _size(database),
        "wal_bytes": _size(database.with_name(database.name + "-wal")),
        "disk_free_bytes": disk.f_bavail * disk.f_frsize,
    }


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
