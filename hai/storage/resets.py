"""Links for a new password: the statements behind core/people/resets.py."""

from typing import NamedTuple

from hai.storage.models import PasswordReset, User
from hai.storage.writer import Transaction


class ResetUser(NamedTuple):
    """The user a link is for."""

    id: int
    name: str
    display_name: str


def insert(tx: Transaction, user_id: int, code_hash: bytes, expires_at: int) -> None:
    """For a user who has none: `delete` comes first. (writer thread)"""
    PasswordReset.insert(
        user=user_id, code_hash=code_hash, created_at=tx.now_ms, expires_at=expires_at
    ).execute(tx.engine)


def delete(tx: Transaction, user_id: int) -> None:
    """The one of this user, if there is one. (writer thread)"""
    PasswordReset.delete().where(PasswordReset.user == user_id).execute(tx.engine)


def find_user(code_hash: bytes, now_ms: int) -> ResetUser | None:
    """An active user, by a link that has not run out. (any thread)"""
    row = (
        User.select(User.id, User.name, User.display_name)
        .join(PasswordReset)
        .where(
            PasswordReset.code_hash == code_hash,
            PasswordReset.expires_at > now_ms,
            User.deactivated_at.is_null(),
        )
        .tuples()
        .first()
    )
    return None if row is None else ResetUser._make(row)
