"""Picture bytes as numbered chunk rows: append, read a range, delete in slices.

A chunk is 256 KiB, so neither a picture nor a commit has to fit into memory: 500 MiB
written chunk by chunk took 4 MiB of it, one pre-sized BLOB 503 MiB of write-ahead log.
Knows no user, room or rule; core/pictures/ does. Equal bytes are stored once: a later
picture with the same bytes has no chunks but `bytes_of_id`, and the row with the chunks
stays as long as another picture needs it. A discarded picture becomes invisible and
older than any cutoff in one statement; its bytes are then deleted slice by slice, so
that no commit takes long. Each chunk has its SHA-256, which is checked whenever the
chunk is read: bytes damaged on the disk are never served as if they were intact.
"""

import hashlib
from dataclasses import dataclass
from typing import Any

from hai.errors import PictureDamaged
from hai.storage.database import execute
from hai.storage.writer import Transaction
from hai.units import CHUNK_BYTES as CHUNK_BYTES

# Deleted in one batch: 600 MiB at once took 4.4 s, during which all others waited.
SLICE_BYTES = 2 * 1024 * 1024
SLICE_CHUNKS = SLICE_BYTES // CHUNK_BYTES
SHRINK_BYTES = 1024 * 1024  # freed at a time: 256 pages, about 10 ms


@dataclass(frozen=True, slots=True)
class NewPicture:
    """What is known of a picture before all its bytes have arrived."""

    room_id: int
    user_id: int
    name: str
    alt: str | None


@dataclass(frozen=True, slots=True)
class PictureProperties:
    """What is known of a picture once they have."""

    type: str
    byte_count: int
    width: int
    height: int
    sha256: bytes
    wants_thumbnail: bool = False
    is_animated: bool = False
    duration_ms: int = 0  # of a video or a voice; 0: not known


def begin(tx: Transaction, new: NewPicture) -> int:
    """Insert the row of a new picture; returns its id. (writer thread)"""
    row = tx.execute(
        "INSERT INTO pictures (room_id, user_id, name, alt, type, uploaded_at)"
        " VALUES (?, ?, ?, ?, '', ?) RETURNING id",
        (new.room_id, new.user_id, new.name, new.alt, tx.now_ms),
    ).fetchall()[0]
    return int(row[0])


def append(tx: Transaction, picture_id: int, number: int, data: bytes) -> None:
    """Store chunk `number`; only the last may be shorter. (writer thread)

    Its digest takes 150 us (hashlib, 256 KiB), without the GIL.
    """
    tx.execute(
        "INSERT INTO chunks (picture_id, number, offset, bytes, sha256)"
        " VALUES (?, ?, ?, ?, ?)",
        (picture_id, number, number * CHUNK_BYTES, data, _digest(data)),
    )


def has_chunks_from(picture_id: int, number: int) -> bool:
    """(any thread)"""
    row = execute(
        "SELECT 1 FROM chunks WHERE picture_id = ? AND number >= ? LIMIT 1",
        (picture_id, number),
    ).fetchone()
    return row is not None


def cut(tx: Transaction, picture_id: int, number: int) -> bool:
    """Delete a slice of the chunks from `number` on; whether there may be more. (writer
    thread)"""
    deleted = tx.execute(
        "DELETE FROM chunks WHERE id IN (SELECT id FROM chunks"
        " WHERE picture_id = ? AND number >= ? LIMIT ?)",
        (picture_id, number, SLICE_CHUNKS),
    )
    return bool(deleted.rowcount == SLICE_CHUNKS)


def overwrite(tx: Transaction, picture_id: int, number: int, data: bytes) -> None:
    """Replace a chunk by another of the same length. (writer thread)"""
    tx.execute(
        "UPDATE chunks SET bytes = ?, sha256 = ? WHERE picture_id = ? AND number = ?",
        (data, _digest(data), picture_id, number),
    )


def _digest(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def complete(tx: Transaction, picture_id: int, found: PictureProperties) -> None:
    """All bytes have arrived: from now on the picture is visible. (writer thread)"""
    tx.execute(
        "UPDATE pictures SET type = ?, bytes = ?, width = ?, height = ?, sha256 = ?,"
        " uploaded_at = ?, completed_at = ?, thumbnail_tried_at = ?, is_animated = ?,"
        " duration_ms = ?"
        " WHERE id = ?",
        (
            found.type,
            found.byte_count,
            found.width,
            found.height,
            found.sha256,
            tx.now_ms,  # an upload that took days still has a day to be sent
            tx.now_ms,
            None if found.wants_thumbnail else tx.now_ms,
            found.is_animated,
            found.duration_ms,
            picture_id,
        ),
    )


def find_twin(found: PictureProperties) -> int | None:
    """The picture whose chunks hold the same bytes. (writer thread)"""
    row = execute(
        "SELECT coalesce(bytes_of_id, id) FROM pictures"
        " WHERE sha256 = ? AND bytes = ? AND completed_at IS NOT NULL LIMIT 1",
        (found.sha256, found.byte_count),
    ).fetchone()
    return None if row is None else int(row[0])


def share(tx: Transaction, picture_id: int, twin_id: int) -> None:
    """Let a picture use the chunks and thumbnail of its twin. (writer thread)"""
    tx.execute(
        "UPDATE pictures SET bytes_of_id = twin.id, blur = twin.blur,"
        " thumbnail_tried_at = twin.thumbnail_tried_at"
        " FROM pictures twin WHERE twin.id = ? AND pictures.id = ?",
        (twin_id, picture_id),
    )
    tx.execute(
        "INSERT INTO thumbnails (picture_id, type, width, height, bytes, sha256)"
        " SELECT ?, type, width, height, bytes, sha256 FROM thumbnails"
        " WHERE picture_id = ?",
        (picture_id, twin_id),
    )


def find(picture_id: int) -> tuple[Any, ...] | None:
    """(name, type, bytes, sha256, user_id, room_id, hai_id) of a whole picture.
    (any thread)"""
    row: tuple[Any, ...] | None = execute(
        "SELECT name, type, bytes, sha256, user_id, room_id, hai_id FROM pictures"
        " WHERE id = ? AND completed_at IS NOT NULL",
        (picture_id,),
    ).fetchone()
    return row


def read_chunk(picture_id: int, number: int) -> bytes | None:
    """One chunk, or None when it is gone. (reader thread)

    Raises PictureDamaged when its bytes are not those that were stored.
    """
    row = execute(
        "SELECT c.bytes, c.sha256 FROM pictures p"
        " JOIN chunks c ON c.picture_id = coalesce(p.bytes_of_id, p.id)"
        " WHERE p.id = ? AND c.number = ?",
        (picture_id, number),
    ).fetchone()
    if row is None:
        return None
    data, sha256 = row
    if sha256 is not None and _digest(data) != sha256:
        raise PictureDamaged(picture_id=picture_id, chunk=number)
    return bytes(data)


def stored_bytes(user_id: int) -> int:
    """The size of this user's pictures, each counted in full, and their avatar. (any
    thread)"""
    row = execute(
        "SELECT coalesce((SELECT sum(bytes) FROM pictures WHERE user_id = ?1), 0)"
        " + coalesce((SELECT length(bytes) FROM avatars WHERE user_id = ?1), 0)",
        (user_id,),
    )
    return int(row.fetchone()[0])


def file_bytes() -> int:
    """The size of the database without its free pages. (any thread)"""
    sizes = [
        execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    ]
    return int((sizes[0] - sizes[1]) * sizes[2])


def shrink(connection: Any, yield_to_writes: Any, *, spare_bytes: int) -> bool:
    """Return a slice of the file's free space to the disk, beyond some spare.

    Run as maintenance, outside any transaction: the pragma frees one page per step, and
    only `executescript` steps to the end. The file itself shrinks at a checkpoint, so
    the last slice does one. Returns whether there is more to free. (writer thread)
    """
    free = connection.execute("PRAGMA freelist_count").fetchone()[0]
    page_bytes = connection.execute("PRAGMA page_size").fetchone()[0]
    spare = spare_bytes // page_bytes
    if free <= spare:
        return False
    pages = min(free - spare, SHRINK_BYTES // page_bytes)
    connection.executescript(f"PRAGMA incremental_vacuum({pages})")
    has_more = bool(free - pages > spare)
    if not has_more:
        connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
    return has_more


def discard(tx: Transaction, picture_ids: list[int]) -> None:
    """Unsent pictures: hidden at once, deleted by the next sweep. (writer thread)"""
    marks = ", ".join("?" * len(picture_ids))
    tx.execute(
        "UPDATE pictures SET completed_at = NULL, uploaded_at = 0"
        f" WHERE hai_id IS NULL AND id IN ({marks})",
        picture_ids,
    )


def discard_unfinished(tx: Transaction) -> None:
    """Pictures that were still arriving and cannot continue; call it only before
    uploads begin. (writer thread)"""
    tx.execute(
        "UPDATE pictures SET uploaded_at = 0 WHERE completed_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM uploads u WHERE u.picture_id = pictures.id"
        " AND u.completed_at IS NULL)"
    )


def delete_slice(tx: Transaction, cutoff_at: int) -> bool:
    """Delete at most SLICE_BYTES of unsent pictures older than `cutoff_at`.

    Uploads that can be resumed expire separately (uploads.py) and are left alone.
    Returns whether there may be more. (writer thread)
    """
    row = tx.execute(
        "SELECT id FROM pictures p WHERE hai_id IS NULL AND uploaded_at < ?"
        " AND NOT (uploaded_at = 0 AND EXISTS"
        " (SELECT 1 FROM pictures WHERE bytes_of_id = p.id))"
        " AND NOT (uploaded_at <> 0 AND EXISTS (SELECT 1 FROM uploads u"
        " WHERE u.picture_id = p.id AND u.completed_at IS NULL))"
        " ORDER BY uploaded_at LIMIT 1",
        (cutoff_at,),
    ).fetchone()
    if row is None:
        return False
    (picture_id,) = row
    # Hidden first: a picture with half of its chunks must not be served.
    tx.execute(
        "UPDATE pictures SET completed_at = NULL, uploaded_at = 0 WHERE id = ?", row
    )
    tx.execute("DELETE FROM thumbnails WHERE picture_id = ?", row)
    if _is_shared(picture_id):
        return True
    deleted = tx.execute(
        "DELETE FROM chunks WHERE id IN"
        " (SELECT id FROM chunks WHERE picture_id = ? LIMIT ?)",
        (picture_id, SLICE_CHUNKS),
    )
    if deleted.rowcount < SLICE_CHUNKS:
        tx.execute("DELETE FROM pictures WHERE id = ?", row)
    return True


def _is_shared(picture_id: int) -> bool:
    row = execute(
        "SELECT 1 FROM pictures WHERE bytes_of_id = ? LIMIT 1", (picture_id,)
    ).fetchone()
    return row is not None
