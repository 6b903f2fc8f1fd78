"""The audit log: the statements behind core/audit.py."""

import json
from collections.abc import Collection
from typing import Any, NamedTuple

from hai.storage.database import execute
from hai.storage.writer import Transaction

# With the current names; a direct room has none.
PAGE = """
SELECT d.id, d.done_at, d.name, d.details, a.id, a.display_name,
    u.id, u.display_name, r.id, r.name, d.address, d.device
FROM deeds d LEFT JOIN users a ON a.id = d.actor_id
    LEFT JOIN users u ON u.id = d.user_id LEFT JOIN rooms r ON r.id = d.room_id
WHERE d.id < :before {of_user} {of_names}
ORDER BY d.id DESC LIMIT :limit
"""
OF_USER = "AND (d.user_id = :user_id OR d.actor_id = :user_id)"
OF_NAMES = "AND d.name IN (SELECT value FROM json_each(:names))"

# The newest record of a user, if it is of this kind, from there, and not too old.
AGAIN = """
UPDATE deeds SET details = CAST(details AS INTEGER) + 1, done_at = :now_ms
WHERE id = (SELECT max(id) FROM deeds WHERE user_id = :user_id) AND name = :name
    AND coalesce(address, '') = :address AND done_at > :since_at
"""


class AuditRow(NamedTuple):
    """actor: None for the operator."""

    id: int
    done_at: int
    name: str
    details: str | None
    actor_id: int | None
    actor: str | None
    user_id: int | None
    user: str | None
    room_id: int | None
    room: str | None
    address: str | None
    device: str | None


class Wanted(NamedTuple):
    """A page of the log. user_id: who did it, or to whom. None: whatever it is."""

    before: int | None
    user_id: int | None
    names: Collection[str] | None
    limit: int


def insert(
    tx: Transaction,
    name: str,
    actor_id: int | None,
    *,
    user_id: int | None = None,
    room_id: int | None = None,
    details: str | None = None,
    address: str | None = None,
    device: str | None = None,
) -> None:
    """(writer thread)"""
    tx.execute(
        "INSERT INTO deeds (done_at, actor_id, name, user_id, room_id, details,"
        " address, device) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (tx.now_ms, actor_id, name, user_id, room_id, details, address, device),
    )


def count_again(
    tx: Transaction, name: str, user_id: int, address: str, since_at: int
) -> bool:
    """Raise the number in an earlier record; False: there is none. (writer thread)"""
    about = {"name": name, "user_id": user_id, "address": address}
    times = {"since_at": since_at, "now_ms": tx.now_ms}
    return bool(tx.execute(AGAIN, about | times).rowcount)


def page(wanted: Wanted) -> list[AuditRow]:
    """Newest first. (any thread)"""
    sql = PAGE.format(
        of_user="" if wanted.user_id is None else OF_USER,
        of_names="" if wanted.names is None else OF_NAMES,
    )
    values: dict[str, Any] = {
        "before": 2**62 if wanted.before is None else wanted.before,
        "user_id": wanted.user_id,
        "names": json.dumps([*(wanted.names or ())]),
        "limit": wanted.limit,
    }
    return list(map(AuditRow._make, execute(sql, values)))


def forget_before(tx: Transaction, cutoff_at: int) -> None:
    """(writer thread)"""
    tx.execute("DELETE FROM deeds WHERE done_at < ?", (cutoff_at,))
