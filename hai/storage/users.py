"""Users: the statements behind core/people/ and catching up."""

import json
from collections.abc import Iterable
from typing import Any, NamedTuple

from hai.storage.database import execute
from hai.storage.models import User
from hai.storage.writer import Transaction

# Deactivated users are shown with a letter again.
COLUMNS = (
    "id, rev, name, display_name, kind, role,"
    " CASE WHEN deactivated_at IS NULL THEN avatar_rev END,"
    " deactivated_at"
)


class UserRow(NamedTuple):
    """COLUMNS, in their order."""

    id: int
    rev: int
    name: str
    display_name: str
    kind: str
    role: str
    avatar_rev: int | None
    deactivated_at: int | None


class UserStatus(NamedTuple):
    """What decides what a user may do, and what may be done to them."""

    role: str
    kind: str
    deactivated_at: int | None


class Credentials(NamedTuple):
    """The user with a name, and the hash to check the password against, if any."""

    user_id: int
    password_hash: str | None


def find(user_ids: Iterable[int]) -> list[UserRow]:
    """Unknown ids left out. (any thread)"""
    rows = execute(
        f"SELECT {COLUMNS} FROM users WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(user_ids)),),
    ).fetchall()
    return list(map(UserRow._make, rows))


def since(since_rev: int, limit: int) -> list[UserRow]:
    """Users changed above since_rev, in the order of their revs. (any thread)"""
    rows = execute(
        f"SELECT {COLUMNS} FROM users WHERE rev > ? ORDER BY rev LIMIT ?",
        (since_rev, limit),
    ).fetchall()
    return list(map(UserRow._make, rows))


def active() -> list[UserRow]:
    """Everybody, by display name. (any thread)"""
    rows = execute(
        f"SELECT {COLUMNS} FROM users WHERE deactivated_at IS NULL"
        " ORDER BY display_name COLLATE NOCASE, id"
    ).fetchall()
    return list(map(UserRow._make, rows))


def has_person() -> bool:
    """Whether anybody has an account yet. (any thread)"""
    row = execute("SELECT 1 FROM users WHERE kind = 'person' LIMIT 1").fetchone()
    return row is not None


def has_owner() -> bool:
    """Whether there is an owner. (any thread)"""
    row = execute("SELECT 1 FROM users WHERE role = 'owner' LIMIT 1").fetchone()
    return row is not None


def people_ids() -> list[int]:
    """Of all active persons. (any thread)"""
    rows = execute(
        "SELECT id FROM users WHERE kind = 'person' AND deactivated_at IS NULL"
        " ORDER BY id"
    )
    return [user_id for (user_id,) in rows]


def active_ids(user_ids: Iterable[int]) -> set[int]:
    """Those of these that exist and are active. (any thread)"""
    rows = execute(
        "SELECT id FROM users WHERE deactivated_at IS NULL"
        " AND id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(user_ids)),),
    )
    return {user_id for (user_id,) in rows}


def max_bytes(user_id: int) -> int | None:
    """This user's own limit on pictures; None: the setting applies. (any thread)"""
    row = execute("SELECT max_bytes FROM users WHERE id = ?", (user_id,)).fetchone()
    return None if row is None else row[0]


def owner_count() -> int:
    """How many active people are owners. (any thread)"""
    row = execute(
        "SELECT count(*) FROM users WHERE role = 'owner' AND kind = 'person'"
        " AND deactivated_at IS NULL"
    ).fetchone()
    return int(row[0])


def find_status(user_id: int) -> UserStatus | None:
    """(any thread)"""
    query = User.select(User.role, User.kind, User.deactivated_at)
    row = query.where(User.id == user_id).tuples().first()
    return None if row is None else UserStatus._make(row)


def find_id(name: str) -> int | None:
    """Of a user, active or not, by sign-in name. (any thread)"""
    row = User.select(User.id).where(User.name == name).tuples().first()
    return None if row is None else int(row[0])


def find_credentials(name: str) -> Credentials | None:
    """Of an active person. (any thread)"""
    row = execute(
        "SELECT id, password_hash FROM users"
        " WHERE name = ? AND kind = 'person' AND deactivated_at IS NULL",
        (name,),
    ).fetchone()
    return None if row is None else Credentials._make(row)


def find_names(user_id: int) -> tuple[str, str]:
    """(name, display name) of a user there is. (any thread)"""
    found: tuple[str, str] = execute(
        "SELECT name, display_name FROM users WHERE id = ?", (user_id,)
    ).fetchone()
    return found


def find_password_hash(user_id: int) -> str | None:
    """(any thread)"""
    row = User.select(User.password_hash).where(User.id == user_id).tuples().first()
    return None if row is None else row[0]


def insert(
    tx: Transaction,
    rev: int,
    *,
    name: str,
    display_name: str,
    kind: str,
    role: str,
    password_hash: str | None,
) -> int:
    """The name must not be taken. Returns the user's id. (writer thread)"""
    user_id = User.insert(
        rev=rev,
        name=name,
        display_name=display_name,
        kind=kind,
        role=role,
        password_hash=password_hash,
        created_at=tx.now_ms,
    ).execute(tx.engine)
    return int(user_id)


def insert_members(
    tx: Transaction, revs: Iterable[int], names: Iterable[tuple[str, str]]
) -> None:
    """People without passwords; names: (name, display name). (writer thread)"""
    rows = [
        (rev, name, display_name, "person", "member", tx.now_ms)
        for rev, (name, display_name) in zip(revs, names, strict=True)
    ]
    columns = (
        User.rev,
        User.name,
        User.display_name,
        User.kind,
        User.role,
        User.created_at,
    )
    User.insert_many(rows, columns).execute(tx.engine)


def set_display_name(tx: Transaction, user_id: int, display_name: str) -> None:
    """(writer thread)"""
    _set(tx, user_id, rev=tx.next_rev(), display_name=display_name)


def set_role(tx: Transaction, user_id: int, role: str) -> None:
    """(writer thread)"""
    _set(tx, user_id, rev=tx.next_rev(), role=role)


def deactivate(tx: Transaction, user_id: int) -> None:
    """Takes effect at once. (writer thread)"""
    _set(tx, user_id, rev=tx.next_rev(), deactivated_at=tx.now_ms)


def reactivate(tx: Transaction, user_id: int) -> None:
    """(writer thread)"""
    _set(tx, user_id, rev=tx.next_rev(), deactivated_at=None)


def set_password_hash(tx: Transaction, user_id: int, password_hash: str) -> None:
    """Not announced, so the rev stays. (writer thread)"""
    _set(tx, user_id, password_hash=password_hash)


def set_max_bytes(tx: Transaction, user_id: int, max_bytes: int | None) -> None:
    """As `max_bytes` returns it; the rev stays. (writer thread)"""
    _set(tx, user_id, max_bytes=max_bytes)


def _set(tx: Transaction, user_id: int, **columns: Any) -> None:
    User.update(columns).where(User.id == user_id).execute(tx.engine)
