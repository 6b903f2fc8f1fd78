"""Invites: a link with which people create their own accounts.

Valid for everyone who has it, for a week. Only its hash is stored.
"""

import asyncio

from hai import clock, ids
from hai.core import audit
from hai.core.context import Core
from hai.storage import invites as rows
from hai.storage.writer import Transaction
from hai.units import DAY_MS

LIFETIME_MS = 7 * DAY_MS


def create(core: Core, user_id: int | None) -> "asyncio.Future[str]":
    """A new code for /join/CODE. user_id: who invites; None: the operator."""
    return audit.write(core, _create, user_id)


def _create(tx: Transaction, user_id: int | None) -> str:
    """(writer thread)"""
    code = ids.new_invite_code()
    rows.insert(tx, ids.token_hash(code), user_id, tx.now_ms + LIFETIME_MS)
    audit.record(tx, "made_invite", user_id)
    return code


async def is_good(core: Core, code: str) -> bool:
    """Whether the code is still valid."""
    if not code or len(code) > ids.MAX_CODE_CHARS or not code.isascii():
        return False
    return await core.db.read(rows.is_good, ids.token_hash(code), clock.now_ms())
