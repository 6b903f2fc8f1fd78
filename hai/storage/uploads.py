"""Rows of uploads that can be resumed after any interruption: begin, keep, find,
expire.

A row holds the state of a picture's reader and its unfinished chunk, and is written in
the transaction that stores the chunk before it, so the two always match. It contains
none of the camera's metadata, unless the sender wants that kept. Knows no protocol and
no rule.
"""

from dataclasses import dataclass
from typing import Any

from hai.storage import blobs
from hai.storage.database import execute
from hai.storage.writer import Transaction

EXPIRED_AT_ONCE = 100  # rows, so that no commit takes long
COLUMNS = (
    "id, user_id, room_id, picture_id, length, received, metadata, name, alt,"
    " keeps_metadata, chunk_count, tail, reader, touched_at, completed_at"
)


@dataclass(frozen=True, slots=True)
class NewUpload:
    """What is known of an upload before its first byte."""

    user_id: int
    room_id: int
    length: int
    name: str
    alt: str | None
    keeps_metadata: bool
    metadata: str


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """How far an upload is: what has arrived, and what of it is in no chunk yet."""

    upload_id: int
    received: int
    chunk_count: int
    tail: bytes
    reader: str


@dataclass(frozen=True, slots=True)
class UploadRow:
    """One row of the table, as COLUMNS."""

    id: int
    user_id: int
    room_id: int
    picture_id: int | None
    length: int
    received: int
    metadata: str
    name: str
    alt: str | None
    keeps_metadata: int
    chunk_count: int
    tail: bytes | None
    reader: str | None
    touched_at: int
    completed_at: int | None


def begin(tx: Transaction, token_hash: bytes, new: NewUpload) -> int:
    """Returns the upload's id. (writer thread)"""
    row = tx.execute(
        "INSERT INTO uploads (token_hash, user_id, room_id, length, name, alt,"
        " keeps_metadata, metadata, touched_at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) RETURNING id",
        (
            token_hash,
            new.user_id,
            new.room_id,
            new.length,
            new.name,
            new.alt,
            new.keeps_metadata,
            new.metadata,
            tx.now_ms,
        ),
    ).fetchall()[0]
    return int(row[0])


def find(token_hash: bytes) -> UploadRow | None:
    """(any thread)"""
    row = execute(
        f"SELECT {COLUMNS} FROM uploads WHERE token_hash = ?", (token_hash,)
    ).fetchone()
    return None if row is None else UploadRow(*row)


def keep(tx: Transaction, picture_id: int, at: Checkpoint) -> bool:
    """Resume from here next time; False: the upload is gone. (writer thread)"""
    changed = tx.execute(
        "UPDATE uploads SET picture_id = ?, received = ?, chunk_count = ?, tail = ?,"
        " reader = ?, touched_at = ? WHERE id = ? AND completed_at IS NULL",
        (
            picture_id or None,
            at.received,
            at.chunk_count,
            at.tail,
            at.reader,
            tx.now_ms,
            at.upload_id,
        ),
    )
    return bool(changed.rowcount)


def complete(tx: Transaction, upload_id: int, picture_id: int) -> bool:
    """Everything has arrived; False: the upload is gone. (writer thread)"""
    changed = tx.execute(
        "UPDATE uploads SET picture_id = ?, received = length, tail = NULL,"
        " reader = NULL, touched_at = ?, completed_at = ?"
        " WHERE id = ? AND completed_at IS NULL",
        (picture_id, tx.now_ms, tx.now_ms, upload_id),
    )
    return bool(changed.rowcount)


def unfinished_of(user_id: int) -> list[int]:
    """Ids, the one untouched for longest first. (any thread)"""
    rows = execute(
        "SELECT id FROM uploads WHERE user_id = ? AND completed_at IS NULL"
        " ORDER BY touched_at, id",
        (user_id,),
    )
    return [upload_id for (upload_id,) in rows.fetchall()]


def promised_bytes(user_id: int) -> int:
    """The total size of this user's unfinished uploads. (any thread)"""
    row = execute(
        "SELECT sum(length) FROM uploads WHERE user_id = ? AND completed_at IS NULL",
        (user_id,),
    )
    return int(row.fetchone()[0] or 0)


def missing_bytes(user_id: int | None = None) -> int:
    """What all unfinished uploads, or this user's, have still to send. (any thread)"""
    row = execute(
        "SELECT sum(length - received) FROM uploads WHERE completed_at IS NULL"
        " AND (?1 IS NULL OR user_id = ?1)",
        (user_id,),
    )
    return int(row.fetchone()[0] or 0)


def delete(tx: Transaction, upload_ids: list[int]) -> None:
    """Delete them, and the bytes of pictures that no hai uses. (writer thread)"""
    marks = ", ".join("?" * len(upload_ids))
    rows: list[Any] = tx.execute(
        f"DELETE FROM uploads WHERE id IN ({marks}) RETURNING picture_id", upload_ids
    ).fetchall()
    pictures = [picture_id for (picture_id,) in rows if picture_id is not None]
    if pictures:
        blobs.discard(tx, pictures)


def expire(tx: Transaction, cutoff_at: int) -> bool:
    """Delete some that have not been touched since; whether there may be more.

    Complete pictures stay: they are swept when they are abandoned. (writer thread)
    """
    rows = tx.execute(
        "SELECT id, completed_at FROM uploads WHERE touched_at < ?"
        f" ORDER BY touched_at LIMIT {EXPIRED_AT_ONCE}",
        (cutoff_at,),
    ).fetchall()
    unfinished = [id_ for id_, completed_at in rows if completed_at is None]
    if unfinished:
        delete(tx, unfinished)
    for upload_id, completed_at in rows:
        if completed_at is not None:
            tx.execute("DELETE FROM uploads WHERE id = ?", (upload_id,))
    return len(rows) == EXPIRED_AT_ONCE
