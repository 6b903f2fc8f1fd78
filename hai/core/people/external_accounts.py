"""Accounts elsewhere that sign people in here: linked, found, and made into new people.

An account is known by issuer and subject, never by a name or a mail address, which can
be somebody else's tomorrow. So an existing user is linked only by themselves, signed
in, or by a link that an admin made for them.
"""

import asyncio
import re
from itertools import count

from hai import errors, ids
from hai.core import audit, fields
from hai.core.context import Core
from hai.core.identity import factors, oidc
from hai.core.identity.oidc import Claims
from hai.core.people import accounts, resets
from hai.storage import resets as reset_rows
from hai.storage import users as user_rows
from hai.storage.identity import external_accounts as rows
from hai.storage.identity.external_accounts import ExternalAccountRow
from hai.storage.writer import Transaction

NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9._-]+")
FALLBACK_NAME = "user"
ELSEWHERES = "This account signs in somebody else here."
GONE = "Nobody can sign in with that account any more."


def find_user_id(core: Core, claims: Claims) -> int | None:
    """Whom it signs in; None: nobody yet. Raises Forbidden. Loop thread, 10 us."""
    owner = core.db.read_now(rows.find_owner, core.config.oidc_issuer, claims["sub"])
    if owner is None:
        return None
    if not owner.is_active:
        raise errors.Forbidden(GONE)
    return owner.user_id


def link(core: Core, user_id: int, claims: Claims) -> "asyncio.Future[None]":
    """From now on it signs in this user. Raises Forbidden."""
    return audit.write(core, _link, user_id, *_account(core, claims))


def _account(core: Core, claims: Claims) -> tuple[str, str, str]:
    return core.config.oidc_issuer, claims["sub"], oidc.shown_name(claims)


def _link(tx: Transaction, user_id: int, issuer: str, subject: str, name: str) -> None:
    """(writer thread)"""
    owner = rows.find_owner(issuer, subject)
    if owner is not None and owner.user_id != user_id:
        raise errors.Forbidden(ELSEWHERES)
    if owner is None:
        rows.insert(tx, user_id, issuer, subject, name)
        audit.record(tx, "linked_account", user_id, user_id=user_id, details=name)


async def link_by_reset(core: Core, code: str, claims: Claims) -> int:
    """In place of a new password, with the link that an admin made; returns the user's
    id. Raises NotFound, Forbidden."""
    await resets.find(core, code)
    code_hash = ids.token_hash(code)
    return await audit.write(core, _link_by_reset, code_hash, *_account(core, claims))


def _link_by_reset(tx: Transaction, code_hash: bytes, *account: str) -> int:
    """(writer thread)"""
    user = reset_rows.find_user(code_hash, tx.now_ms)
    if user is None:
        raise errors.NotFound(resets.GONE)
    reset_rows.delete(tx, user.id)
    _link(tx, user.id, *account)
    audit.record(tx, "used_reset", user.id, user_id=user.id)
    return user.id


async def sign_up(core: Core, invite_code: str, claims: Claims) -> int:
    """A new member with this account and no password; returns their id.

    By an invite, or where the provider says that they belong to a domain or group of
    the settings. Raises NotFound, Forbidden.
    """
    if not oidc.may_sign_up(core, claims):
        if not invite_code and core.config.sign_up != "open":
            raise errors.Forbidden(
                "Nobody here has that account yet. Join with an invite; or sign in with"
                " your password and link it in your settings."
            )
        await accounts.require_sign_up(core, invite_code)
    names = _names(claims)
    return await audit.write(core, _sign_up, *names, *_account(core, claims))


def _sign_up(
    tx: Transaction, name: str, display_name: str, issuer: str, subject: str, shown: str
) -> int:
    """(writer thread)"""
    if rows.find_owner(issuer, subject) is not None:
        raise errors.Forbidden(ELSEWHERES)  # two tabs of one person
    user = accounts.insert_member(tx, _free_name(name), display_name)
    user_id = user["id"]
    rows.insert(tx, user_id, issuer, subject, shown)
    audit.record(tx, "joined_by_account", user_id, user_id=user_id, details=shown)
    return user_id


def _names(claims: Claims) -> tuple[str, str]:
    """A name to sign in with, and one to be called, as well as the claims have them."""
    wanted = [claims.get("preferred_username"), claims.get("email"), claims.get("name")]
    texts = [text for text in wanted if isinstance(text, str)]
    plain = (
        NOT_IN_NAMES.sub("-", text.partition("@")[0]).strip("._-") for text in texts
    )
    name = next(filter(None, plain), FALLBACK_NAME)[: fields.MAX_NAME_CHARS - 6]
    try:
        return accounts.check_account(name, str(claims.get("name") or name))
    except errors.BadRequest:  # of a name that cannot be shown
        return accounts.check_account(name, name)


def _free_name(name: str) -> str:
    """(writer thread)"""
    tried = (name if number == 1 else f"{name}-{number}" for number in count(1))
    return next(one for one in tried if user_rows.find_id(one) is None)


async def list_of(core: Core, user_id: int) -> list[ExternalAccountRow]:
    """Oldest first."""
    return await core.db.read(rows.of_user, user_id)


def unlink(core: Core, user_id: int, account_id: int) -> "asyncio.Future[None]":
    """Raises NotFound, and Forbidden if nothing else would sign them in."""
    return audit.write(core, _unlink, user_id, account_id)


def _unlink(tx: Transaction, user_id: int, account_id: int) -> None:
    """(writer thread)"""
    name = rows.delete(tx, user_id, account_id)
    if name is None:
        raise errors.NotFound()
    factors.require_way_in(user_id)
    audit.record(tx, "unlinked_account", user_id, user_id=user_id, details=name)
