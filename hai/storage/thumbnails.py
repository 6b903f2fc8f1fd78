"""Thumbnails: small BLOBs in rows of their own, and which are still to be made."""

import hashlib

from hai.errors import PictureDamaged
from hai.storage.database import execute
from hai.storage.writer import Transaction


def find_untried(has_posters: bool) -> tuple[int, str, int, int] | None:
    """(id, type, bytes, duration_ms) of the newest picture not tried yet.

    has_posters: videos too. A partial index holds exactly these. (reader thread)
    """
    row: tuple[int, str, int, int] | None = execute(
        "SELECT id, type, bytes, duration_ms FROM pictures"
        " WHERE thumbnail_tried_at IS NULL AND completed_at IS NOT NULL"
        " AND (? OR type NOT LIKE 'video/%')"
        " ORDER BY id DESC LIMIT 1",
        (has_posters,),
    ).fetchone()
    return row


def mark_tried(tx: Transaction, picture_id: int, blur: str | None) -> None:
    """Whatever the result, it is not tried again. (writer thread)"""
    tx.execute(
        "UPDATE pictures SET thumbnail_tried_at = ?, blur = ? WHERE id = ?",
        (tx.now_ms, blur or None, picture_id),
    )


def insert(
    tx: Transaction, picture_id: int, type_: str, size: tuple[int, int], content: bytes
) -> None:
    """For a picture that exists and has none. (writer thread)"""
    tx.execute(
        "INSERT INTO thumbnails (picture_id, type, width, height, bytes, sha256)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (picture_id, type_, *size, content, hashlib.sha256(content).digest()),
    )


def make_again(tx: Transaction, picture_id: int) -> None:
    """Delete a damaged one, so that it is made again. (writer thread)"""
    tx.execute("DELETE FROM thumbnails WHERE picture_id = ?", (picture_id,))
    tx.execute(
        "UPDATE pictures SET thumbnail_tried_at = NULL WHERE id = ?", (picture_id,)
    )


def hai_of(picture_id: int) -> tuple[int | None] | None:
    """(hai_id,) of a complete picture; None: it has been deleted. (any thread)"""
    row: tuple[int | None] | None = execute(
        "SELECT hai_id FROM pictures WHERE id = ? AND completed_at IS NOT NULL",
        (picture_id,),
    ).fetchone()
    return row


def find(picture_id: int) -> tuple[str, bytes, bytes] | None:
    """(type, bytes, sha256). Raises PictureDamaged. (reader thread)"""
    row = execute(
        "SELECT type, bytes, sha256 FROM thumbnails WHERE picture_id = ?",
        (picture_id,),
    ).fetchone()
    if row is None:
        return None
    type_, content, sha256 = row
    digest = hashlib.sha256(content).digest()
    if sha256 is not None and digest != sha256:
        raise PictureDamaged(picture_id=picture_id)
    return type_, content, digest
