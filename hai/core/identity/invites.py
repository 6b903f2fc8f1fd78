"""Invites: a link by which people make their own accounts.

Good for everyone who has it, for a week. Only its hash is stored.
"""

import asyncio

from hai import clock, ids
from hai.core import audit
from hai.core.context import Core
from hai.storage.models import Invite
from hai.storage.writer import Transaction
from hai.units import DAY_MS

LIFETIME_MS = 7 * DAY_MS


def create(core: Core, user_id: int | None) -> "asyncio.Future[str]":
    """A new code for /join/CODE. user_id: who invites; None: the operator."""
    return core.db.write(_create, user_id)


def _create(tx: Transaction, user_id: int | None) -> str:
    """(writer thread)"""
    code = ids.new_invite_code()
    Invite.create(
        code_hash=ids.token_hash(code),
        created_by=user_id,
        created_at=tx.now_ms,
        expires_at=tx.now_ms + LIFETIME_MS,
    )
    audit.note(tx, "made_invite", user_id)
    return code


async def is_good(core: Core, code: str) -> bool:
    """Whether one may still join with it."""
    if not code or len(code) > ids.MAX_CODE_CHARS or not code.isascii():
        return False
    return await core.db.read(_is_good, ids.token_hash(code), clock.now_ms())


def _is_good(code_hash: bytes, now_ms: int) -> bool:
    """(reader thread)"""
    return (
        Invite.select()
        .where(Invite.code_hash == code_hash, Invite.expires_at > now_ms)
        .exists()
    )
