"""The audit log: the statements behind core/audit.py."""

from typing import NamedTuple

from hai.storage.database import execute
from hai.storage.writer import Transaction

# With the current names; a direct room has none.
PAGE = """
SELECT d.id, d.done_at, d.name, d.details,
    a.display_name, u.id, u.display_name, r.id, r.name
FROM deeds d LEFT JOIN users a ON a.id = d.actor_id
    LEFT JOIN users u ON u.id = d.user_id LEFT JOIN rooms r ON r.id = d.room_id
WHERE d.id < ? AND (?2 IS NULL OR d.user_id = ?2)
ORDER BY d.id DESC LIMIT ?3
"""


class AuditRow(NamedTuple):
    """actor: None for the operator."""

    id: int
    done_at: int
    name: str
    details: str | None
    actor: str | None
    user_id: int | None
    user: str | None
    room_id: int | None
    room: str | None


def insert(
    tx: Transaction,
    name: str,
    actor_id: int | None,
    *,
    user_id: int | None = None,
    room_id: int | None = None,
    details: str | None = None,
) -> None:
    """(writer thread)"""
    tx.execute(
        "INSERT INTO deeds (done_at, actor_id, name, user_id, room_id, details)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (tx.now_ms, actor_id, name, user_id, room_id, details),
    )


def page(before: int | None, user_id: int | None, limit: int) -> list[AuditRow]:
    """Newest first. (any thread)"""
    edge = 2**62 if before is None else before
    return list(map(AuditRow._make, execute(PAGE, (edge, user_id, limit))))


def forget_before(tx: Transaction, cutoff_at: int) -> None:
    """(writer thread)"""
    tx.execute("DELETE FROM deeds WHERE done_at < ?", (cutoff_at,))
