"""Users: the statements behind core/accounts.py and catching up."""

import json
from collections.abc import Iterable
from typing import NamedTuple

from hai.storage.database import execute

# Whoever is deactivated is drawn with a letter again.
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


def find(user_ids: Iterable[int]) -> list[UserRow]:
    """Unknown ids left out. (any thread)"""
    rows = execute(
        f"SELECT {COLUMNS} FROM users WHERE id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(user_ids)),),
    ).fetchall()
    return list(map(UserRow._make, rows))


def since(since_rev: int, limit: int) -> list[UserRow]:
    """Users changed above since_rev, in the order of their revs."""
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
    """Whether somebody is in charge. (any thread)"""
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
    """Those of these that are there and active. (any thread)"""
    rows = execute(
        "SELECT id FROM users WHERE deactivated_at IS NULL"
        " AND id IN (SELECT value FROM json_each(?))",
        (json.dumps(list(user_ids)),),
    )
    return {user_id for (user_id,) in rows}


def max_bytes(user_id: int) -> int | None:
    """This user's own limit on pictures; None: as the setting says. (any thread)"""
    row = execute("SELECT max_bytes FROM users WHERE id = ?", (user_id,)).fetchone()
    return None if row is None else row[0]


def owner_count() -> int:
    """How many people could give others a role. (any thread)"""
    row = execute(
        "SELECT count(*) FROM users WHERE role = 'owner' AND kind = 'person'"
        " AND deactivated_at IS NULL"
    ).fetchone()
    return int(row[0])
