"""Second factors: the statements behind core/identity/factors.py."""

from typing import NamedTuple

from hai.storage.database import execute
from hai.storage.writer import Transaction

STATE = """
SELECT coalesce((SELECT created_at FROM totp_secrets WHERE user_id = u.id), 0),
    (SELECT count(*) FROM passkeys WHERE user_id = u.id),
    (SELECT count(*) FROM recovery_codes WHERE user_id = u.id AND used_at IS NULL),
    password_hash IS NOT NULL
FROM users u WHERE id = ?
"""
IS_ON = """
SELECT EXISTS (SELECT 1 FROM totp_secrets WHERE user_id = ?1)
    OR EXISTS (SELECT 1 FROM passkeys WHERE user_id = ?1)
"""


HAS_WAY_IN = """
SELECT EXISTS (SELECT 1 FROM users WHERE id = ?1 AND password_hash IS NOT NULL)
    OR EXISTS (SELECT 1 FROM passkeys WHERE user_id = ?1)
    OR EXISTS (SELECT 1 FROM external_accounts WHERE user_id = ?1)
"""


class FactorRow(NamedTuple):
    """totp_at: when the app was set up, or 0; code_count: recovery codes left."""

    totp_at: int
    passkey_count: int
    code_count: int
    has_password: int


class TotpRow(NamedTuple):
    """used_step: of the last code that was accepted."""

    secret: bytes
    used_step: int


def state_of(user_id: int) -> FactorRow:
    """Of a user there is. (any thread)"""
    return FactorRow._make(execute(STATE, (user_id,)).fetchone())


def is_on(user_id: int) -> bool:
    """Whether this user has any. (any thread)"""
    return bool(execute(IS_ON, (user_id,)).fetchone()[0])


def has_way_in(user_id: int) -> bool:
    """Whether a password, a passkey or an account elsewhere signs them in.
    (any thread)"""
    return bool(execute(HAS_WAY_IN, (user_id,)).fetchone()[0])


def find_totp(user_id: int) -> TotpRow | None:
    """(any thread)"""
    row = execute(
        "SELECT secret, used_step FROM totp_secrets WHERE user_id = ?", (user_id,)
    ).fetchone()
    return None if row is None else TotpRow._make(row)


def set_totp(tx: Transaction, user_id: int, secret: bytes, used_step: int) -> None:
    """In place of the one there was. (writer thread)"""
    tx.execute(
        "INSERT OR REPLACE INTO totp_secrets (user_id, secret, used_step, created_at)"
        " VALUES (?, ?, ?, ?)",
        (user_id, secret, used_step, tx.now_ms),
    )


def use_step(tx: Transaction, user_id: int, step: int) -> None:
    """(writer thread)"""
    tx.execute(
        "UPDATE totp_secrets SET used_step = ? WHERE user_id = ?", (step, user_id)
    )


def delete_totp(tx: Transaction, user_id: int) -> None:
    """(writer thread)"""
    tx.execute("DELETE FROM totp_secrets WHERE user_id = ?", (user_id,))


def add_codes(tx: Transaction, user_id: int, hashes: list[bytes]) -> None:
    """(writer thread)"""
    for code_hash in hashes:
        tx.execute(
            "INSERT INTO recovery_codes (user_id, code_hash, created_at)"
            " VALUES (?, ?, ?)",
            (user_id, code_hash, tx.now_ms),
        )


def use_code(tx: Transaction, user_id: int, code_hash: bytes) -> bool:
    """Whether it was one of theirs that had not been used. (writer thread)"""
    used = tx.execute(
        "UPDATE recovery_codes SET used_at = ?"
        " WHERE user_id = ? AND code_hash = ? AND used_at IS NULL",
        (tx.now_ms, user_id, code_hash),
    )
    return bool(used.rowcount)


def delete_codes(tx: Transaction, user_id: int) -> None:
    """Used ones, too. (writer thread)"""
    tx.execute("DELETE FROM recovery_codes WHERE user_id = ?", (user_id,))


def browser_began_at(session_id: int) -> int:
    """0 if there is no such session of a browser. (any thread)"""
    row = execute(
        "SELECT created_at FROM sessions WHERE id = ? AND kind = 'browser'",
        (session_id,),
    ).fetchone()
    return 0 if row is None else int(row[0])
