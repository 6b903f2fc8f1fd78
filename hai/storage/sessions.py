"""Sessions: the statements that run for every request and connection."""

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from hai.storage.database import execute
from hai.storage.models import Session
from hai.storage.writer import Transaction

FIND = """
SELECT s.id, s.user_id, s.kind, s.created_at, s.seen_at, s.expires_at, s.scope,
    u.role, u.kind
FROM sessions s JOIN users u ON u.id = s.user_id
WHERE s.token_hash = ? AND s.ended_at IS NULL AND u.deactivated_at IS NULL
"""

# Of browsers those unseen since ?2 or begun before ?3, of tokens those past their end.
OVER = """
SELECT id FROM sessions WHERE ended_at IS NULL AND (expires_at <= ?1
    OR (kind = 'browser' AND (seen_at < ?2 OR created_at < ?3))) LIMIT ?4
"""


class Found(NamedTuple):
    """A session that has not been ended, and its user."""

    id: int
    user_id: int
    kind: str
    created_at: int
    seen_at: int
    expires_at: int | None
    scope: str
    role: str
    user_kind: str


class SessionRow(NamedTuple):
    """One that has not ended, as its user sees it."""

    id: int
    kind: str
    name: str
    scope: str
    user_agent: str
    address: str
    created_at: int
    seen_at: int
    expires_at: int | None


class NewSession(NamedTuple):
    """What is said of one as it begins."""

    kind: str
    user_agent: str = ""
    address: str = ""
    name: str = ""
    scope: str = "all"
    expires_at: int | None = None


def find(token_hash: bytes) -> Found | None:
    """(any thread)"""
    row = execute(FIND, (token_hash,)).fetchone()
    return None if row is None else Found._make(row)


def touch(tx: Transaction, session_id: int) -> None:
    """(writer thread)"""
    tx.execute("UPDATE sessions SET seen_at = ? WHERE id = ?", (tx.now_ms, session_id))


def touch_all(tx: Transaction, session_ids: Collection[int]) -> None:
    """(writer thread)"""
    tx.execute(
        "UPDATE sessions SET seen_at = ? WHERE id IN (SELECT value FROM json_each(?))",
        (tx.now_ms, json.dumps([*session_ids])),
    )


def insert(tx: Transaction, user_id: int, token_hash: bytes, new: NewSession) -> int:
    """Returns its id. (writer thread)"""
    return int(
        Session.insert(
            user=user_id,
            token_hash=token_hash,
            created_at=tx.now_ms,
            seen_at=tx.now_ms,
            **new._asdict(),
        ).execute(tx.engine)
    )


def is_new_place(user_id: int, new: NewSession) -> bool:
    """Whether this user was here before, but never in this browser from this address.
    (any thread)"""
    same = "user_id = ? AND kind = 'browser'"
    known = execute(
        f"SELECT max(user_agent = ? AND address = ?) FROM sessions WHERE {same}",
        (new.user_agent, new.address, user_id),
    ).fetchone()[0]
    return bool(known == 0)  # None: there is no other


def of_user(user_id: int) -> list[SessionRow]:
    """Those that have not ended, most recently used first. (any thread)"""
    columns = [getattr(Session, name) for name in SessionRow._fields]
    rows: Any = (
        Session.select(*columns)
        .where(Session.user == user_id, Session.ended_at.is_null())
        .order_by(Session.seen_at.desc(), Session.id.desc())
        .tuples()
    )
    return list(map(SessionRow._make, rows))


def over(now_ms: int, unseen_since: int, begun_before: int, limit: int) -> list[int]:
    """Ids of those whose time is over. (any thread)"""
    rows = execute(OVER, (now_ms, unseen_since, begun_before, limit))
    return [session_id for (session_id,) in rows]


def ids_of(user_id: int, kinds: Collection[str]) -> list[int]:
    """Of those that have not ended. (any thread)"""
    rows: Any = Session.select(Session.id).where(_open_of(user_id, kinds)).tuples()
    return [session_id for (session_id,) in rows]


class Ended(NamedTuple):
    kind: str
    name: str


def end(tx: Transaction, session_id: int, user_id: int | None = None) -> Ended | None:
    """None: it has already ended, or is not this user's. (writer thread)"""
    row = tx.execute(
        "UPDATE sessions SET ended_at = ?1 WHERE id = ?2 AND ended_at IS NULL"
        " AND (?3 IS NULL OR user_id = ?3) RETURNING kind, name",
        (tx.now_ms, session_id, user_id),
    ).fetchone()
    return None if row is None else Ended._make(row)


def end_all(tx: Transaction, user_id: int, kinds: Collection[str]) -> None:
    """(writer thread)"""
    ended = Session.update(ended_at=tx.now_ms).where(_open_of(user_id, kinds))
    ended.execute(tx.engine)


def _open_of(user_id: int, kinds: Collection[str]) -> Any:
    return (
        (Session.user == user_id) & Session.kind.in_(kinds) & Session.ended_at.is_null()
    )
