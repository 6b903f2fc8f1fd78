"""Sessions: the statements that run for every request and connection."""

from collections.abc import Collection
from typing import Any, NamedTuple

from hai.storage.database import execute
from hai.storage.models import Session
from hai.storage.writer import Transaction

FIND = """
SELECT s.id, s.user_id, s.kind, s.seen_at, u.role, u.kind
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.token_hash = ? AND s.ended_at IS NULL AND u.deactivated_at IS NULL
"""


class SessionRow(NamedTuple):
    """One that has not ended, as its user sees it."""

    id: int
    kind: str
    user_agent: str
    created_at: int
    seen_at: int


def find(token_hash: bytes) -> tuple[int, int, str, int, str, str] | None:
    """(session_id, user_id, kind, seen_at, role, user_kind) (any thread)"""
    row: tuple[int, int, str, int, str, str] | None = execute(
        FIND, (token_hash,)
    ).fetchone()
    return row


def touch(tx: Transaction, session_id: int) -> None:
    """(writer thread)"""
    tx.execute("UPDATE sessions SET seen_at = ? WHERE id = ?", (tx.now_ms, session_id))


def insert(
    tx: Transaction, user_id: int, kind: str, token_hash: bytes, user_agent: str
) -> None:
    """(writer thread)"""
    Session.insert(
        user=user_id,
        kind=kind,
        token_hash=token_hash,
        user_agent=user_agent,
        created_at=tx.now_ms,
        seen_at=tx.now_ms,
    ).execute(tx.engine)


def of_user(user_id: int) -> list[SessionRow]:
    """Those that have not ended, most recently used first. (any thread)"""
    columns = (
        Session.id,
        Session.kind,
        Session.user_agent,
        Session.created_at,
        Session.seen_at,
    )
    rows: Any = (
        Session.select(*columns)
        .where(Session.user == user_id, Session.ended_at.is_null())
        .order_by(Session.seen_at.desc())
        .tuples()
    )
    return list(map(SessionRow._make, rows))


def ids_of(user_id: int, kinds: Collection[str]) -> list[int]:
    """Of those that have not ended. (any thread)"""
    rows: Any = Session.select(Session.id).where(_open_of(user_id, kinds)).tuples()
    return [session_id for (session_id,) in rows]


def end(tx: Transaction, user_id: int, session_id: int) -> bool:
    """False: it is not theirs, or has already ended. (writer thread)"""
    ended = Session.update(ended_at=tx.now_ms).where(
        Session.id == session_id,
        Session.user == user_id,
        Session.ended_at.is_null(),
    )
    return bool(ended.execute(tx.engine))


def end_all(tx: Transaction, user_id: int, kinds: Collection[str]) -> None:
    """(writer thread)"""
    ended = Session.update(ended_at=tx.now_ms).where(_open_of(user_id, kinds))
    ended.execute(tx.engine)


def _open_of(user_id: int, kinds: Collection[str]) -> Any:
    return (
        (Session.user == user_id) & Session.kind.in_(kinds) & Session.ended_at.is_null()
    )
