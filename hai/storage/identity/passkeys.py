"""Passkeys: the statements behind core/identity/passkeys.py."""

from typing import NamedTuple

from hai.storage.database import execute
from hai.storage.writer import Transaction


class PasskeyRow(NamedTuple):
    """One, as its owner sees it."""

    id: int
    name: str
    created_at: int
    used_at: int | None


class PublicKeyRow(NamedTuple):
    """What a signature is checked with. credential: WebAuthn's attestedCredentialData.

    Its owner is active.
    """

    id: int
    user_id: int
    credential: bytes
    sign_count: int


def of_user(user_id: int) -> list[PasskeyRow]:
    """Oldest first. (any thread)"""
    rows = execute(
        "SELECT id, name, created_at, used_at FROM passkeys WHERE user_id = ?"
        " ORDER BY id",
        (user_id,),
    )
    return list(map(PasskeyRow._make, rows))


def credential_ids(user_id: int) -> list[bytes]:
    """(any thread)"""
    query = "SELECT credential_id FROM passkeys WHERE user_id = ? ORDER BY id"
    return [found for (found,) in execute(query, (user_id,))]


def find(credential_id: bytes) -> PublicKeyRow | None:
    """(any thread)"""
    row = execute(
        "SELECT p.id, user_id, credential, sign_count"
        " FROM passkeys p JOIN users u ON u.id = user_id"
        " WHERE credential_id = ? AND deactivated_at IS NULL",
        (credential_id,),
    ).fetchone()
    return None if row is None else PublicKeyRow._make(row)


def insert(
    tx: Transaction,
    user_id: int,
    credential_id: bytes,
    credential: bytes,
    sign_count: int,
    name: str,
) -> None:
    """There must be none with this credential_id. (writer thread)"""
    tx.execute(
        "INSERT INTO passkeys"
        " (user_id, credential_id, credential, sign_count, name, created_at)"
        " VALUES (?, ?, ?, ?, ?, ?)",
        (user_id, credential_id, credential, sign_count, name, tx.now_ms),
    )


def use(tx: Transaction, passkey_id: int, sign_count: int) -> None:
    """(writer thread)"""
    tx.execute(
        "UPDATE passkeys SET sign_count = ?, used_at = ? WHERE id = ?",
        (sign_count, tx.now_ms, passkey_id),
    )


def rename(tx: Transaction, user_id: int, passkey_id: int, name: str) -> bool:
    """Whether it is theirs. (writer thread)"""
    changed = tx.execute(
        "UPDATE passkeys SET name = ? WHERE id = ? AND user_id = ?",
        (name, passkey_id, user_id),
    )
    return bool(changed.rowcount)


def delete(tx: Transaction, user_id: int, passkey_id: int) -> str | None:
    """Its name; None: it is not theirs. (writer thread)"""
    row = tx.execute(
        "DELETE FROM passkeys WHERE id = ? AND user_id = ? RETURNING name",
        (passkey_id, user_id),
    ).fetchone()
    return None if row is None else str(row[0])


def delete_all(tx: Transaction, user_id: int) -> None:
    """(writer thread)"""
    tx.execute("DELETE FROM passkeys WHERE user_id = ?", (user_id,))
