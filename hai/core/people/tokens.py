"""Bearer tokens of people and bots, for their programs: make, list, end.

A token is a session without a browser. It has a name, may do everything that its user
may or only read, and ends when it is ended, when its day has come, or when its user
gets another password. Bots have no password, so theirs go on.
"""

import asyncio

from hai import errors
from hai.core import audit, fields
from hai.core.context import Core
from hai.core.identity import sessions
from hai.core.identity.sessions import Identity
from hai.shapes import TokenObject
from hai.storage import sessions as rows
from hai.storage.sessions import SessionRow
from hai.storage.writer import Transaction
from hai.units import DAY_MS

SCOPES = ("all", "read")
MAX_DAYS = 3650
UNNAMED = "A program"
MAX_TOKENS = 100  # of one person, unless the operator makes more


async def make(
    core: Core, who: Identity, *, name: str, scope: str, days: int | None
) -> str:
    """A new token of one's own. days: None: no end. Raises BadRequest, Forbidden."""
    if who.by_token:
        raise errors.Forbidden("Programs cannot make tokens. Sign in with a browser.")
    name, scope, days = check(name, scope, days)
    return await audit.write(core, _make_own, who.user_id, name, scope, days)


def check(name: str, scope: str, days: int | None) -> tuple[str, str, int | None]:
    """Raises BadRequest."""
    name = fields.check_line("name", name, fields.MAX_NAME_CHARS)
    if scope not in SCOPES:
        raise errors.BadRequest("scope must be all or read.", field="scope")
    if days is not None and not 1 <= days <= MAX_DAYS:
        raise errors.BadRequest(f"days must be 1 to {MAX_DAYS}.", field="days")
    return name, scope, days


def _make_own(
    tx: Transaction, user_id: int, name: str, scope: str, days: int | None
) -> str:
    """(writer thread)"""
    if len(rows.ids_of(user_id, ("token",))) >= MAX_TOKENS:
        raise errors.Forbidden(f"{MAX_TOKENS} tokens are enough. End some first.")
    audit.record(tx, "made_own_token", user_id, user_id=user_id, details=name)
    return _insert(tx, user_id, name, scope, days)


def _insert(
    tx: Transaction, user_id: int, name: str, scope: str, days: int | None
) -> str:
    """(writer thread)"""
    expires_at = None if days is None else tx.now_ms + days * DAY_MS
    return sessions.insert(
        tx, user_id, "token", name=name, scope=scope, expires_at=expires_at
    )


def add(
    core: Core,
    user_id: int,
    *,
    name: str = "",
    scope: str = "all",
    days: int | None = None,
) -> "asyncio.Future[str]":
    """One that the operator makes, for a person or a bot. Raises BadRequest."""
    name, scope, days = check(name or UNNAMED, scope, days)
    return core.db.write(_add, user_id, name, scope, days)


def _add(tx: Transaction, user_id: int, name: str, scope: str, days: int | None) -> str:
    """(writer thread)"""
    audit.record(tx, "made_token", None, user_id=user_id)
    return _insert(tx, user_id, name, scope, days)


async def list_of(core: Core, user_id: int) -> list[TokenObject]:
    """Those that have not ended, the last used first."""
    return await core.db.read(_list_of, user_id)


def _list_of(user_id: int) -> list[TokenObject]:
    """(any thread)"""
    return [_object(row) for row in rows.of_user(user_id) if row.kind == "token"]


def _object(row: SessionRow) -> TokenObject:
    token: TokenObject = {
        "id": row.id,
        "name": row.name,
        "scope": row.scope,
        "created_at": row.created_at,
        "seen_at": row.seen_at,
    }
    if row.expires_at is not None:
        token["expires_at"] = row.expires_at
    return token


async def end(core: Core, user_id: int, token_id: int) -> None:
    """Raises NotFound if this user has no such token."""
    if token_id not in await core.db.read(rows.ids_of, user_id, ("token",)):
        raise errors.NotFound()
    await sessions.end(core, user_id, token_id)
