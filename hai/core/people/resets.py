"""A new password by a link: made by an owner or admin, good once and for a day.

Whoever has the link becomes that user, so it is shown only to who made it, and
only its hash is stored. A newer link, another role or a deactivation ends it.
"""

from typing import Any

from hai import clock, errors, ids
from hai.core import audit
from hai.core.context import Core
from hai.core.identity import passwords, sessions
from hai.storage.models import PasswordReset, User
from hai.storage.writer import Transaction
from hai.units import DAY_MS

LIFETIME_MS = DAY_MS
GONE = "This link does not work any more. Ask for a new one."


def insert(tx: Transaction, user_id: int) -> str:
    """The code of a new link; the one before ends. (writer thread)"""
    forget(tx, user_id)
    code = ids.new_token()
    PasswordReset.create(
        user=user_id,
        code_hash=ids.token_hash(code),
        created_at=tx.now_ms,
        expires_at=tx.now_ms + LIFETIME_MS,
    )
    return code


def forget(tx: Transaction, user_id: int) -> None:
    """(writer thread)"""
    PasswordReset.delete().where(PasswordReset.user == user_id).execute()


async def find(core: Core, code: str) -> dict[str, Any]:
    """{id, name, display_name} of the one it is for. Raises NotFound."""
    if len(code) > ids.MAX_CODE_CHARS or not code.isascii():
        raise errors.NotFound(GONE)
    return await core.db.read(_find, ids.token_hash(code), clock.now_ms())


def _find(code_hash: bytes, now_ms: int) -> dict[str, Any]:
    """(any thread)"""
    found: Any = (
        User.select(User.id, User.name, User.display_name)
        .join(PasswordReset)
        .where(
            PasswordReset.code_hash == code_hash,
            PasswordReset.expires_at > now_ms,
            User.deactivated_at.is_null(),
        )
        .dicts()
        .first()
    )
    if found is None:
        raise errors.NotFound(GONE)
    return dict(found)


async def use(core: Core, code: str, password: str) -> int:
    """Set the password, end the user's browser sessions; returns their id.

    Raises NotFound, BadRequest, RateLimited.
    """
    await find(core, code)
    password_hash = await passwords.make_hash(core, password)
    return await core.db.write(_use, ids.token_hash(code), password_hash)


def _use(tx: Transaction, code_hash: bytes, password_hash: str) -> int:
    """(writer thread)"""
    user_id = int(_find(code_hash, tx.now_ms)["id"])
    forget(tx, user_id)
    User.update(password_hash=password_hash).where(User.id == user_id).execute()
    sessions.end_all(tx, user_id, kinds=("browser",))
    audit.note(tx, "used_reset", user_id, user_id=user_id)
    return user_id
