"""Accounts elsewhere: the statements behind core/people/external_accounts.py."""

from typing import NamedTuple

from hai.storage.database import execute
from hai.storage.writer import Transaction


class ExternalAccountRow(NamedTuple):
    """One, as its owner sees it."""

    id: int
    issuer: str
    name: str
    created_at: int


class OwnerRow(NamedTuple):
    """Whom an account elsewhere signs in; is_active: not deactivated."""

    user_id: int
    is_active: int


def of_user(user_id: int) -> list[ExternalAccountRow]:
    """Oldest first. (any thread)"""
    rows = execute(
        "SELECT id, issuer, name, created_at FROM external_accounts"
        " WHERE user_id = ? ORDER BY id",
        (user_id,),
    )
    return list(map(ExternalAccountRow._make, rows))


def find_owner(issuer: str, subject: str) -> OwnerRow | None:
    """(any thread)"""
    row = execute(
        "SELECT user_id, deactivated_at IS NULL"
        " FROM external_accounts e JOIN users u ON u.id = e.user_id"
        " WHERE issuer = ? AND subject = ?",
        (issuer, subject),
    ).fetchone()
    return None if row is None else OwnerRow._make(row)


def insert(tx: Transaction, user_id: int, issuer: str, subject: str, name: str) -> None:
    """There must be none of this issuer and subject. (writer thread)"""
    tx.execute(
        "INSERT INTO external_accounts (user_id, issuer, subject, name, created_at)"
        " VALUES (?, ?, ?, ?, ?)",
        (user_id, issuer, subject, name, tx.now_ms),
    )


def delete(tx: Transaction, user_id: int, account_id: int) -> str | None:
    """Its name; None: it is not theirs. (writer thread)"""
    row = tx.execute(
        "DELETE FROM external_accounts WHERE id = ? AND user_id = ? RETURNING name",
        (account_id, user_id),
    ).fetchone()
    return None if row is None else str(row[0])
