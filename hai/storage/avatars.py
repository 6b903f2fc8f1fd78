"""Avatars: one small BLOB for each user who has one, and its rev in the user's row."""

import hashlib
from typing import NamedTuple

from hai.errors import PictureDamaged
from hai.storage.database import execute
from hai.storage.writer import Transaction


class AvatarRow(NamedTuple):
    type: str
    sha256: bytes
    content: bytes


def find(user_id: int, avatar_rev: int) -> AvatarRow | None:
    """An active user's, unless it is another by now.

    Raises PictureDamaged. (any thread)
    """
    row = execute(
        "SELECT a.type, a.sha256, a.bytes FROM users u JOIN avatars a"
        " ON a.user_id = u.id"
        " WHERE u.id = ? AND u.avatar_rev = ? AND u.deactivated_at IS NULL",
        (user_id, avatar_rev),
    ).fetchone()
    if row is None:
        return None
    found = AvatarRow._make(row)
    if hashlib.sha256(found.content).digest() != found.sha256:
        raise PictureDamaged(user_id=user_id)
    return found


def put(
    tx: Transaction, user_id: int, rev: int, type_: str, sha256: bytes, content: bytes
) -> None:
    """In place of the one that is there, if any. (writer thread)"""
    tx.execute(
        "INSERT OR REPLACE INTO avatars (user_id, type, sha256, bytes)"
        " VALUES (?, ?, ?, ?)",
        (user_id, type_, sha256, content),
    )
    tx.execute(
        "UPDATE users SET rev = ?, avatar_rev = ? WHERE id = ?", (rev, rev, user_id)
    )


def is_there(user_id: int) -> bool:
    """(any thread)"""
    row = execute("SELECT 1 FROM avatars WHERE user_id = ?", (user_id,)).fetchone()
    return row is not None


def remove(tx: Transaction, user_id: int, rev: int) -> None:
    """The bytes go at once. (writer thread)"""
    tx.execute("DELETE FROM avatars WHERE user_id = ?", (user_id,))
    tx.execute(
        "UPDATE users SET rev = ?, avatar_rev = NULL WHERE id = ?", (rev, user_id)
    )
