"""Signed-in browsers and bearer tokens: start, find, list, end.

Both are rows of `sessions` with a token, of which only the hash is stored. Ending one
ends its sockets at once, through the fact `session_ended`.
"""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

from hai import clock, errors, ids
from hai.config import Config
from hai.core import audit
from hai.core.context import Core
from hai.core.identity import cookies, devices, factors, passwords, second_step
from hai.core.identity.second_step import Half
from hai.events import SessionEnded, SessionStarted
from hai.storage import sessions as rows
from hai.storage import users as user_rows
from hai.storage.sessions import NewSession, SessionRow
from hai.storage.writer import Transaction
from hai.units import DAY_MS

SEEN_EVERY_MS = 60 * 60 * 1000  # an hour: one small write per browser
MAX_TOKEN_CHARS = 200
MAX_USER_AGENT_CHARS = 200
ENDED_AT_ONCE = 500  # sessions, in one write
READ_ONLY = "This token may only read."
NO_FIT = "That name and password do not match."
HALF_GONE = "That took too long. Please sign in again."


@dataclass(frozen=True, slots=True)
class Identity:
    """Who is asking. role: owner, admin or member; kind: person or bot.

    by_token: it is a program. may_change: False for a token that may only read.
    lacks_factor: must set up a second factor before anything else.
    """

    user_id: int
    session_id: int
    role: str
    kind: str
    by_token: bool = False
    may_change: bool = True
    lacks_factor: bool = False

    @property
    def is_admin(self) -> bool:
        return self.role in ("owner", "admin")


def find(core: Core, token: str) -> Identity | None:
    """The identity behind a cookie's or bearer's token. Loop thread, 15 us."""
    if not token or len(token) > MAX_TOKEN_CHARS or not token.isascii():
        return None
    row = core.db.read_now(rows.find, ids.token_hash(token))
    if row is None:
        return None
    now_ms = clock.now_ms()
    if _is_over(core, row, now_ms):
        return None
    if now_ms - row.seen_at > SEEN_EVERY_MS:
        _mark_seen(core, row.id)
    is_browser = row.kind == "browser"
    return Identity(
        row.user_id,
        row.id,
        row.role,
        row.user_kind,
        by_token=row.kind == "token",
        may_change=row.scope == "all",
        lacks_factor=is_browser
        and factors.is_missing(core, row.user_id, row.role, row.user_kind),
    )


def _is_over(core: Core, row: rows.Found, now_ms: int) -> bool:
    if row.expires_at is not None and now_ms >= row.expires_at:
        return True
    config = core.config
    return row.kind == "browser" and (
        now_ms - row.seen_at > config.session_unseen_days * DAY_MS
        or now_ms - row.created_at > config.session_days * DAY_MS
    )


def _mark_seen(core: Core, session_id: int) -> None:
    """Stored if possible; a busy or full server skips it."""
    with contextlib.suppress(errors.Busy):
        noted = core.db.write(rows.touch, session_id)
        noted.add_done_callback(lambda done: done.cancelled() or done.exception())


def find_user_id(core: Core, name: str) -> int | None:
    """Of whoever may sign in by this name. Loop thread, 10 us."""
    row = core.db.read_now(user_rows.find_credentials, name.strip())
    return None if row is None else row.user_id


async def sign_in(
    core: Core, name: str, password: str, user_agent: str, code: str = ""
) -> str:
    """A new browser session's token. Raises Unauthorized, after the same time whether
    the name or the password was wrong; CodeNeeded as `enter` does."""
    row = core.db.read_now(user_rows.find_credentials, name.strip())
    is_right = await passwords.verify(
        core, password, row.password_hash if row else None
    )
    if row is None or not is_right:
        if row is not None:
            audit.note_failure(core, row.user_id)
        raise errors.Unauthorized(NO_FIT)
    half = second_step.half_of(*row)
    return await enter(core, half, code, user_agent, NO_FIT)


async def enter(
    core: Core, half: Half, code: str, user_agent: str, gone: str = HALF_GONE
) -> str:
    """A new browser session's token, for somebody who has shown all but the second
    factor. Raises Unauthorized; CodeNeeded with the half, sealed, where one is needed.
    """
    agent = user_agent[:MAX_USER_AGENT_CHARS]
    try:
        entered = audit.write(core, _enter, half, code, agent, gone)
        return await factors.noting_wrong_code(core, half.user_id, entered)
    except errors.CodeNeeded as error:
        error.half = second_step.sealed(half)
        raise


def _enter(tx: Transaction, half: Half, code: str, user_agent: str, gone: str) -> str:
    """Unless the user was deactivated or got another password in the meantime: checking
    one takes a while. (writer thread)"""
    if not second_step.is_good(half):
        raise errors.Unauthorized(gone)
    factors.require(tx, half.user_id, code)
    return insert(tx, half.user_id, "browser", user_agent)


async def enter_proven(core: Core, user_id: int, user_agent: str) -> str:
    """As `enter`, for somebody who has shown something as good as a password."""
    stored = await core.db.read(user_rows.find_password_hash, user_id)
    return await enter(core, second_step.half_of(user_id, stored), "", user_agent)


def start(
    core: Core, user_id: int, kind: str, user_agent: str
) -> "asyncio.Future[str]":
    """A new session for a user who has already proven who they are."""
    agent = user_agent[:MAX_USER_AGENT_CHARS]
    return audit.write(core, insert, user_id, kind, agent)


def insert(
    tx: Transaction, user_id: int, kind: str, user_agent: str = "", **about: Any
) -> str:
    """Store a session, return its token. about: name, scope, expires_at.

    The user's other tabs are told of a browser that is new. (writer thread)
    """
    source = audit.source()
    address = source.address if source else ""
    new = NewSession(kind, user_agent, address, **about)
    token = ids.new_token()
    if kind == "browser":
        if source and source.is_secure:
            token = cookies.HOST_ONLY + token
        audit.record(tx, "signed_in", user_id, user_id=user_id)
    is_told = kind == "browser" and rows.is_new_place(user_id, new)
    session_id = rows.insert(tx, user_id, ids.token_hash(token), new)
    if is_told:
        device = devices.words(user_agent)
        tx.publish(SessionStarted(user_id, session_id, device, tx.now_ms))
    return token


def end(core: Core, user_id: int, session_id: int) -> "asyncio.Future[None]":
    """End one of this user's sessions. Raises NotFound if it is not theirs."""
    return audit.write(core, _end, user_id, session_id)


def _end(tx: Transaction, user_id: int, session_id: int) -> None:
    """(writer thread)"""
    ended = rows.end(tx, session_id, user_id)
    if ended is None:
        raise errors.NotFound()
    if ended.kind == "token":
        about = {"user_id": user_id, "details": ended.name or "without a name"}
        audit.record(tx, "ended_token", user_id, **about)
    tx.publish(SessionEnded(session_id))


def end_others(core: Core, identity: Identity) -> "asyncio.Future[None]":
    """End all browser sessions of this user except the present one."""
    return audit.write(core, end_all_but, identity, ("browser",))


def end_all_but(
    tx: Transaction, identity: Identity, kinds: tuple[str, ...] = ("browser", "token")
) -> None:
    """End all sessions of this user but the one that asks. (writer thread)"""
    for session_id in rows.ids_of(identity.user_id, kinds):
        if session_id != identity.session_id:
            _end(tx, identity.user_id, session_id)


def end_all(
    tx: Transaction, user_id: int, kinds: tuple[str, ...] = ("browser", "token")
) -> int:
    """End all of a user's sessions; returns how many. (writer thread)"""
    theirs = rows.ids_of(user_id, kinds)
    rows.end_all(tx, user_id, kinds)
    for session_id in theirs:
        tx.publish(SessionEnded(session_id))
    return len(theirs)


async def list_of(core: Core, user_id: int) -> list[SessionRow]:
    """The last seen first. None of them is over."""
    return await core.db.read(rows.of_user, user_id)


async def end_over(core: Core) -> int:
    """End those whose time is over, and their sockets; returns how many.

    Whoever has a socket open is seen.
    """
    if seen := core.live_session_ids():
        await core.db.write(rows.touch_all, [*seen])
    count = 0
    while ended := await core.db.write(_end_over, core.config):
        count += ended
    return count


def _end_over(tx: Transaction, config: Config) -> int:
    """(writer thread)"""
    unseen_since = tx.now_ms - config.session_unseen_days * DAY_MS
    begun_before = tx.now_ms - config.session_days * DAY_MS
    over = rows.over(tx.now_ms, unseen_since, begun_before, ENDED_AT_ONCE)
    for session_id in over:
        rows.end(tx, session_id)
        tx.publish(SessionEnded(session_id))
    return len(over)
