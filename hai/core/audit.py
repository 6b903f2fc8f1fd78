"""The audit log: what owners and admins did, for all of them to read.

A record is written in the transaction of the action itself, so there is no action
without one. Kept for a year. The operator's commands are records without an actor.
"""

from typing import Any

from hai import clock
from hai.core.context import Core
from hai.storage import audit as rows
from hai.storage.writer import Transaction
from hai.units import DAY_MS

__all__ = ["ACTION_WORDS", "forget_old", "page", "record"]

KEPT_DAYS = 365
PAGE_LIMIT = 50

# How each action is shown. {what}: its details.
ACTION_WORDS = {
    "changed_role": "made {user} {what}",
    "deactivated": "deactivated {user}",
    "reactivated": "let {user} back in",
    "ended_sessions": "signed {user} out everywhere",
    "made_reset": "made a link for a new password of {user}",
    "used_reset": "set a new password by a link",
    "set_quota": "let {user} store {what}",
    "removed_pictures": "removed pictures: {what}",
    "changed_retention": "let pictures be kept {what}",
    "made_invite": "made an invite link",
    "made_token": "made a token for {user}",
    "set_up_factor": "set up two-step sign-in",
    "turned_off_factor": "turned off their own two-step sign-in",
    "made_recovery_codes": "made new recovery codes",
    "used_recovery_code": "signed in with a recovery code",
    "added_passkey": "added a passkey: {what}",
    "removed_passkey": "removed a passkey: {what}",
    "linked_account": "linked an account elsewhere: {what}",
    "unlinked_account": "unlinked an account elsewhere: {what}",
    "joined_by_account": "joined with an account elsewhere: {what}",
    "reset_factor": "turned off two-step sign-in for {user}",
}


def record(tx: Transaction, name: str, actor_id: int | None, **to: Any) -> None:
    """to: user_id, room_id, details. A name without words above is a bug, which fails
    where the record is made and not where it is read. (writer thread)"""
    assert name in ACTION_WORDS, name
    rows.insert(tx, name, actor_id, **to)


async def page(
    core: Core,
    *,
    before: int | None = None,
    user_id: int | None = None,
    limit: int = PAGE_LIMIT,
) -> tuple[list[dict[str, Any]], bool]:
    """(records newest first, whether there are older ones).

    A record is {id, done_at, name, details?, actor?, user_id?, user?, room_id?, room?}.
    """
    found = await core.db.read(rows.page, before, user_id, limit + 1)
    return [_record(row) for row in found[:limit]], len(found) > limit


def _record(row: rows.AuditRow) -> dict[str, Any]:
    return {key: value for key, value in row._asdict().items() if value is not None}


async def forget_old(core: Core) -> None:
    """Delete records that are more than a year old."""
    cutoff_at = clock.now_ms() - KEPT_DAYS * DAY_MS
    await core.db.write(rows.forget_before, cutoff_at)
