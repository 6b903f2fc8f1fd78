"""The audit log: who came in and who tried, and what owners and admins did.

A record is written in the transaction of the action itself, so there is no action
without one. Admins can read all of them, everybody those that concern them. Kept for a
year. The operator's commands are records without an actor.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from hai import clock, errors
from hai.core.context import Core
from hai.shapes import AuditObject
from hai.storage import audit as rows
from hai.storage.writer import Transaction
from hai.units import DAY_MS

__all__ = [
    "ACCESS_WORDS",
    "ACTION_WORDS",
    "ADMIN_WORDS",
    "BY_STRANGERS",
    "KEPT_DAYS",
    "Source",
    "forget_old",
    "here",
    "note_failure",
    "page",
    "page_of",
    "record",
    "record_failure",
    "source",
    "write",
]

KEPT_DAYS = 365
PAGE_LIMIT = 50
FAILURES_MS = 60 * 60 * 1000  # those of an hour, from one address, are one record

Result = TypeVar("Result")

# How each action is shown. {what}: its details.
ADMIN_WORDS = {
    "changed_role": "made {user} {what}",
    "deactivated": "deactivated {user}",
    "reactivated": "let {user} back in",
    "ended_sessions": "signed {user} out everywhere",
    "made_reset": "made a link for a new password of {user}",
    "set_quota": "let {user} store {what}",
    "removed_pictures": "removed pictures: {what}",
    "changed_retention": "let pictures be kept {what}",
    "made_invite": "made an invite link",
    "made_token": "made a token for {user}",
    "added_user": "added {user}",
    "made_backup": "made a backup of everything",
    "reset_factor": "turned off two-step sign-in for {user}",
}
# Of people's own accounts. Whoever adds a way to sign in adds its kinds here.
ACCESS_WORDS = {
    "set_up": "set Hai up",
    "joined": "made an account",
    "signed_in": "signed in",
    "failed_sign_in": "tried a wrong password or code for {user} ({what}×)",
    "changed_password": "changed the password",
    "used_reset": "used a link for a new password",
    "made_own_token": "made the token “{what}”",
    "ended_token": "ended the token “{what}”",
    "set_up_factor": "set up two-step sign-in",
    "turned_off_factor": "turned off their own two-step sign-in",
    "made_recovery_codes": "made new recovery codes",
    "used_recovery_code": "signed in with a recovery code",
    "added_passkey": "added a passkey: {what}",
    "removed_passkey": "removed a passkey: {what}",
    "linked_account": "linked an account elsewhere: {what}",
    "unlinked_account": "unlinked an account elsewhere: {what}",
    "joined_by_account": "joined with an account elsewhere: {what}",
}
ACTION_WORDS = ADMIN_WORDS | ACCESS_WORDS
BY_STRANGERS = {"failed_sign_in"}  # without an actor, and not the operator's either


@dataclass(frozen=True, slots=True)
class Source:
    """From where something is done.

    address: of the client, also behind a proxy. device: "Firefox on Linux".
    is_secure: the request came by https.
    """

    address: str
    device: str
    is_secure: bool


# Of the request that is being served, found out where something is recorded, since most
# requests record nothing; None: the operator, or Hai itself. (loop thread)
here: ContextVar[Callable[[], Source] | None] = ContextVar("here", default=None)
# The same, of the write that runs. (writer thread)
_source: ContextVar[Source | None] = ContextVar("source", default=None)


def write(
    core: Core, run: Callable[..., Result], *args: Any
) -> "asyncio.Future[Result]":
    """As `core.db.write`; what `run` records says where the request came from."""
    find = here.get()
    return core.db.write(_run_from, find and find(), run, *args)


def _run_from(
    tx: Transaction, source: Source | None, run: Callable[..., Result], *args: Any
) -> Result:
    """(writer thread)"""
    before = _source.set(source)
    try:
        return run(tx, *args)
    finally:
        _source.reset(before)


def source() -> Source | None:
    """Where what is written now comes from. (writer thread)"""
    return _source.get()


def record(tx: Transaction, name: str, actor_id: int | None, **to: Any) -> None:
    """to: user_id, room_id, details. A name without words above is a bug, which fails
    where the record is made and not where it is read. (writer thread)"""
    assert name in ACTION_WORDS, name
    if found := source():
        to |= {"address": found.address, "device": found.device}
    rows.insert(tx, name, actor_id, **to)


def record_failure(tx: Transaction, user_id: int) -> None:
    """A wrong password or code. Further ones only raise a number. (writer thread)"""
    address = found.address if (found := source()) else ""
    since_at = tx.now_ms - FAILURES_MS
    if not rows.count_again(tx, "failed_sign_in", user_id, address, since_at):
        record(tx, "failed_sign_in", None, user_id=user_id, details="1")


def note_failure(core: Core, user_id: int) -> None:
    """A wrong password or code. Nobody waits for it: that would tell that the name is
    right."""
    with contextlib.suppress(errors.HaiError):
        noted = write(core, record_failure, user_id)
        noted.add_done_callback(lambda done: done.cancelled() or done.exception())


async def page(
    core: Core,
    *,
    before: int | None = None,
    user_id: int | None = None,
    names: Collection[str] | None = None,
    limit: int = PAGE_LIMIT,
) -> tuple[list[AuditObject], bool]:
    """(records newest first, whether there are older ones).

    user_id: only what they did or what was done to them. names: only these.
    """
    wanted = rows.Wanted(before, user_id, names, limit + 1)
    found = await core.db.read_slow(rows.page, wanted)
    return [_record(row) for row in found[:limit]], len(found) > limit


async def page_of(
    core: Core, user_id: int, *, before: int | None = None
) -> tuple[list[AuditObject], bool]:
    """The same for the user themselves: from where others acted is not theirs to see,
    but for strangers who tried to get in."""
    found, has_more = await page(core, before=before, user_id=user_id)
    for row in found:
        if row.get("actor_id") != user_id and row["name"] not in BY_STRANGERS:
            row.pop("address", None)
            row.pop("device", None)
    return found, has_more


def _record(row: rows.AuditRow) -> AuditObject:
    found: Any = {k: value for k, value in row._asdict().items() if value is not None}
    record: AuditObject = found
    return record


async def forget_old(core: Core) -> None:
    """Delete records that are more than a year old."""
    cutoff_at = clock.now_ms() - KEPT_DAYS * DAY_MS
    await core.db.write(rows.forget_before, cutoff_at)
