"""The statements that every request and every connect run."""

from typing import Any

from hai.storage.database import execute
from hai.storage.writer import Transaction

FIND = """
SELECT s.id, s.user_id, s.kind, s.seen_at, u.role, u.kind
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.token_hash = ? AND s.ended_at IS NULL AND u.deactivated_at IS NULL
"""

PASSWORD_OF = """
SELECT id, password_hash FROM users
WHERE name = ? AND kind = 'person' AND deactivated_at IS NULL
"""


def find(token_hash: bytes) -> tuple[Any, ...] | None:
    """(session_id, user_id, kind, seen_at, role, user_kind) (any thread)"""
    row: tuple[Any, ...] | None = execute(FIND, (token_hash,)).fetchone()
    return row


def password_of(name: str) -> tuple[int, str | None] | None:
    """(user_id, password_hash) (any thread)"""
    row: tuple[int, str | None] | None = execute(PASSWORD_OF, (name,)).fetchone()
    return row


def touch(tx: Transaction, session_id: int) -> None:
    """(writer thread)"""
    tx.execute("UPDATE sessions SET seen_at = ? WHERE id = ?", (tx.now_ms, session_id))
