"""Invites: the statements behind core/identity/invites.py."""

from hai.storage.models import Invite
from hai.storage.writer import Transaction


def insert(
    tx: Transaction, code_hash: bytes, creator_id: int | None, expires_at: int
) -> None:
    """(writer thread)"""
    Invite.insert(
        code_hash=code_hash,
        created_by=creator_id,
        created_at=tx.now_ms,
        expires_at=expires_at,
    ).execute(tx.engine)


def is_good(code_hash: bytes, now_ms: int) -> bool:
    """Whether it is there and has not run out. (any thread)"""
    good = Invite.select().where(
        Invite.code_hash == code_hash, Invite.expires_at > now_ms
    )
    return bool(good.exists())
