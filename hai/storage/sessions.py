"""The statements that every request and every connect run."""

from typing import NamedTuple

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


class Credentials(NamedTuple):
    """Who has a name, and what their password is checked against, if they have one."""

    user_id: int
    password_hash: str | None


def find(token_hash: bytes) -> tuple[int, int, str, int, str, str] | None:
    """(session_id, user_id, kind, seen_at, role, user_kind) (any thread)"""
    row: tuple[int, int, str, int, str, str] | None = execute(
        FIND, (token_hash,)
    ).fetchone()
    return row


def password_of(name: str) -> Credentials | None:
    """(any thread)"""
    row = execute(PASSWORD_OF, (name,)).fetchone()
    return None if row is None else Credentials._make(row)


def touch(tx: Transaction, session_id: int) -> None:
    """(writer thread)"""
    tx.execute("UPDATE sessions SET seen_at = ? WHERE id = ?", (tx.now_ms, session_id))
