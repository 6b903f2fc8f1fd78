"""The second factor: set up, asked for, turned off.

Codes of an app (totp.py), passkeys (passkeys.py), and recovery codes for when these are
gone. A code is used in a transaction, together with what it allows, so that none is
accepted twice. Bearer tokens need none: they are made where one is signed in already,
or at the terminal.
"""

import asyncio
from dataclasses import dataclass
from typing import TypeVar

from hai import clock, errors
from hai.config import Config
from hai.core import audit
from hai.core.context import Core
from hai.core.identity import passwords, recovery_codes, totp
from hai.core.identity.recovery_codes import CHARS
from hai.shapes import SecondFactorObject
from hai.storage import users as user_rows
from hai.storage.identity import factors as rows
from hai.storage.identity import passkeys as passkey_rows
from hai.storage.writer import Transaction

FRESH_MS = 10 * 60_000  # after signing in; then a change needs the password again
STAYS = "Two-step sign-in is asked for here, so it stays on."
WRONG_CODE = "That code does not fit. A new one comes every 30 seconds."


Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class FactorState:
    """As its owner sees it. totp_at: since when an app is set up; 0: none is.

    code_count: recovery codes that are left; is_required: by the setting.
    has_password: which is asked for at each change then.
    """

    totp_at: int
    passkey_count: int
    code_count: int
    has_password: bool
    is_required: bool

    @property
    def is_on(self) -> bool:
        return bool(self.totp_at or self.passkey_count)

    def as_dict(self) -> SecondFactorObject:
        return {
            "totp": bool(self.totp_at),
            "passkeys": self.passkey_count,
            "recovery_codes": self.code_count,
            "is_required": self.is_required,
        }


def is_required(config: Config, role: str, kind: str) -> bool:
    """Whether such a user must have one."""
    if kind != "person":
        return False
    wanted = config.second_factor
    return wanted == "all" or (wanted == "admins" and role != "member")


def lacks_for(config: Config, user_id: int, role: str) -> bool:
    """Whether a person needs one for this role and has none. (any thread)"""
    return is_required(config, role, "person") and not rows.is_on(user_id)


def is_missing(core: Core, user_id: int, role: str, kind: str) -> bool:
    """Whether they must have one and do not. Loop thread, 6 us where any must."""
    return is_required(core.config, role, kind) and not core.db.read_now(
        rows.is_on, user_id
    )


async def state_of(core: Core, user_id: int, role: str) -> FactorState:
    """Of a person."""
    found = await core.db.read(rows.state_of, user_id)
    required = is_required(core.config, role, "person")
    return FactorState(
        found.totp_at,
        found.passkey_count,
        found.code_count,
        bool(found.has_password),
        required,
    )


def is_fresh(core: Core, session_id: int) -> bool:
    """Whether it is a browser's and began in the last ten minutes: a program's token
    shows nothing but itself. Loop thread, 6 us."""
    began_at = core.db.read_now(rows.browser_began_at, session_id)
    return clock.now_ms() - began_at < FRESH_MS


async def prove(core: Core, user_id: int, session_id: int, password: str) -> None:
    """It is them who wants to change something, not somebody at their open browser.

    Without a password, those who signed in a moment ago. Raises Forbidden, RateLimited.
    """
    stored = await core.db.read(user_rows.find_password_hash, user_id)
    if stored is None:
        if not is_fresh(core, session_id):
            raise errors.Forbidden("Sign out, sign in again, then come back here.")
    elif not await passwords.verify(core, password, stored):
        audit.note_failure(core, user_id)
        raise errors.Forbidden("That is not your password.", field="password")


# --- Codes ---------------------------------------------------------------------------


def require(tx: Transaction, user_id: int, code: str) -> None:
    """Use a code, if this user has a second factor.

    Raises CodeNeeded without one, Unauthorized for a wrong one. (writer thread)
    """
    if not rows.is_on(user_id):
        return
    if not code.strip():
        raise errors.CodeNeeded()
    if not _use(tx, user_id, recovery_codes.plain(code)):
        raise errors.Unauthorized(WRONG_CODE, field="code")


def _use(tx: Transaction, user_id: int, code: str) -> bool:
    """Whether it was good, which it is never again. (writer thread)"""
    if totp.is_code(code):
        return _use_totp(tx, user_id, code)
    if len(code) != CHARS:
        return False
    is_good = rows.use_code(tx, user_id, recovery_codes.hash_of(code))
    if is_good:
        audit.record(tx, "used_recovery_code", user_id, user_id=user_id)
    return is_good


def _use_totp(tx: Transaction, user_id: int, code: str) -> bool:
    """(writer thread)"""
    found = rows.find_totp(user_id)
    if found is None:
        return False
    step = totp.find_step(found.secret, code, tx.now_ms, found.used_step)
    if step is not None:
        rows.use_step(tx, user_id, step)
    return step is not None


async def noting_wrong_code(
    core: Core, user_id: int, using: "asyncio.Future[Result]"
) -> Result:
    """What a write gives that uses a code; a wrong one is recorded. Raises what it
    raises."""
    try:
        return await using
    except errors.Unauthorized as error:
        if error.details.get("field") == "code":
            audit.note_failure(core, user_id)
        raise


async def check(core: Core, user_id: int, code: str) -> None:
    """As `require`, alone."""
    using = audit.write(core, require, user_id, code)
    await noting_wrong_code(core, user_id, using)


# --- Changes -------------------------------------------------------------------------


async def link(core: Core, user_id: int, secret: bytes, place: str) -> str:
    """What an app is set up with by a QR code. place: this site's host."""
    name, _ = await core.db.read(user_rows.find_names, user_id)
    return totp.link(secret, account=name, place=place)


async def set_up_totp(core: Core, user_id: int, secret: bytes, code: str) -> list[str]:
    """Codes of this secret count from now on, in place of those of another.

    code: one of them, to be sure that the app has it. Returns recovery codes, to be
    shown once, unless there are some already. Raises BadRequest.
    """
    step = totp.find_step(secret, recovery_codes.plain(code), clock.now_ms())
    if step is None:
        raise errors.BadRequest(WRONG_CODE, field="code")
    return await audit.write(core, _set_up_totp, user_id, secret, step)


def _set_up_totp(tx: Transaction, user_id: int, secret: bytes, step: int) -> list[str]:
    """(writer thread)"""
    rows.set_totp(tx, user_id, secret, step)
    audit.record(tx, "set_up_factor", user_id, user_id=user_id)
    return first_codes(tx, user_id)


def first_codes(tx: Transaction, user_id: int) -> list[str]:
    """Recovery codes beside a new factor; none if there are some. (writer thread)"""
    return [] if rows.state_of(user_id).code_count else _new_codes(tx, user_id)


def _new_codes(tx: Transaction, user_id: int) -> list[str]:
    """In place of all there were. (writer thread)"""
    codes = recovery_codes.new_codes()
    rows.delete_codes(tx, user_id)
    rows.add_codes(tx, user_id, [*map(recovery_codes.hash_of, codes)])
    return codes


async def new_codes(core: Core, user_id: int, code: str) -> list[str]:
    """Recovery codes in place of all there were. Raises as `require`, NotFound."""
    using = audit.write(core, _replace_codes, user_id, code)
    return await noting_wrong_code(core, user_id, using)


def _replace_codes(tx: Transaction, user_id: int, code: str) -> list[str]:
    """(writer thread)"""
    if not rows.is_on(user_id):
        raise errors.NotFound("Two-step sign-in is not set up.")
    require(tx, user_id, code)
    audit.record(tx, "made_recovery_codes", user_id, user_id=user_id)
    return _new_codes(tx, user_id)


async def turn_off(core: Core, user_id: int, role: str, code: str) -> None:
    """The app, by its owner; passkeys stay. Raises as `require`, and Forbidden where
    nothing else is left and one is required."""
    required = is_required(core.config, role, "person")
    using = audit.write(core, _turn_off, user_id, code, required)
    await noting_wrong_code(core, user_id, using)


def _turn_off(tx: Transaction, user_id: int, code: str, required: bool) -> None:
    """(writer thread)"""
    if not rows.is_on(user_id):
        return
    if required and not rows.state_of(user_id).passkey_count:
        raise errors.Forbidden(STAYS)
    require(tx, user_id, code)
    rows.delete_totp(tx, user_id)
    audit.record(tx, "turned_off_factor", user_id, user_id=user_id)
    after_removal(tx, user_id)


def is_on(user_id: int) -> bool:
    """Whether this user has any. (any thread)"""
    return rows.is_on(user_id)


def require_way_in(user_id: int) -> None:
    """After a removal. Raises Forbidden if nothing signs them in. (writer thread)"""
    if not rows.has_way_in(user_id):
        raise errors.Forbidden("Nothing else signs you in. Ask for a link first.")


def after_removal(tx: Transaction, user_id: int) -> None:
    """Recovery codes are of no use without anything to recover. (writer thread)"""
    if not rows.is_on(user_id):
        rows.delete_codes(tx, user_id)


def forget(tx: Transaction, user_id: int) -> bool:
    """Everything but the password. Whether there was anything. (writer thread)"""
    was_on = rows.is_on(user_id)
    rows.delete_totp(tx, user_id)
    passkey_rows.delete_all(tx, user_id)
    rows.delete_codes(tx, user_id)
    return was_on
