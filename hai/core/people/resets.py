"""Password resets: a link made by an owner or admin, valid once and for a day.

Whoever has the link becomes that user, so it is shown only to the person who made it,
and only its hash is stored. A newer link, a change of role or a deactivation ends it.
"""

from hai import clock, errors, ids
from hai.core import audit
from hai.core.context import Core
from hai.core.identity import passwords, sessions
from hai.storage import resets as rows
from hai.storage import users as user_rows
from hai.storage.resets import ResetUser
from hai.storage.writer import Transaction
from hai.units import DAY_MS

LIFETIME_MS = DAY_MS
GONE = "This link does not work any more. Ask for a new one."


def insert(tx: Transaction, user_id: int) -> str:
    """The code of a new link; the previous one ends. (writer thread)"""
    rows.delete(tx, user_id)
    code = ids.new_token()
    rows.insert(tx, user_id, ids.token_hash(code), tx.now_ms + LIFETIME_MS)
    return code


async def find(core: Core, code: str) -> ResetUser:
    """The user it is for. Raises NotFound."""
    if len(code) > ids.MAX_CODE_CHARS or not code.isascii():
        raise errors.NotFound(GONE)
    return await core.db.read(_get, ids.token_hash(code), clock.now_ms())


def _get(code_hash: bytes, now_ms: int) -> ResetUser:
    """Raises NotFound. (any thread)"""
    user = rows.find_user(code_hash, now_ms)
    if user is None:
        raise errors.NotFound(GONE)
    return user


async def use(core: Core, code: str, password: str) -> int:
    """Set the password, end all of the user's sessions; returns their id.

    Raises NotFound, BadRequest, RateLimited.
    """
    user = await find(core, code)
    names = (user.name, user.display_name)
    password_hash = await passwords.make_hash(core, password, *names)
    return await audit.write(core, _use, ids.token_hash(code), password_hash)


def _use(tx: Transaction, code_hash: bytes, password_hash: str) -> int:
    """(writer thread)"""
    user_id = _get(code_hash, tx.now_ms).id
    rows.delete(tx, user_id)
    user_rows.set_password_hash(tx, user_id, password_hash)
    sessions.end_all(tx, user_id)
    audit.record(tx, "used_reset", user_id, user_id=user_id)
    return user_id
