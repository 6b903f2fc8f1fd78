"""Passwords: Argon2id, off the loop, at most two at a time.

m=19456 KiB, t=2, p=1 (OWASP's smallest setting) takes about 30 ms and 19 MiB; the
library's defaults take 116 ms and 64 MiB, too much for a small board. argon2 is loaded
at the first use: 22 ms and 4 MiB that a server for bots and tokens never needs.
"""

import asyncio
import importlib
from collections.abc import Callable, Iterable
from typing import Any

from hai import errors
from hai.core.context import Core
from hai.core.identity import easy_passwords

MIN_CHARS = 8
MAX_CHARS = 1024
MEMORY_KIB = 19_456
MAX_WAITING = 32  # half a second of hashing; a few seconds on a small board
TOO_EASY = "Too easy to guess. Four unrelated words would do."

# A dummy hash: an unknown name must take as long as a known one.
NOBODY = (
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA"
    "$8nHmEzO8LB4rCAcOPe3qVn6m8D/KVNwzAyEQTcE1vnY"
)


def check(password: str, *, names: Iterable[str] = ()) -> str:
    """Raises BadRequest when it is too short, too long, not text or too easy to guess.

    names: of its user, of rooms, of the site. The first call loads the list of common
    passwords; one takes up to a few ms, so it belongs off the loop.
    """
    if not MIN_CHARS <= len(password) <= MAX_CHARS:
        raise errors.BadRequest(
            f"A password has {MIN_CHARS} to {MAX_CHARS} characters.", field="password"
        )
    if not password.isascii():
        _encodable(password)
    if easy_passwords.is_easy(password, names):
        raise errors.BadRequest(TOO_EASY, field="password")
    return password


def _encodable(text: str) -> None:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise errors.BadRequest(field="password") from None


async def make_hash(core: Core, password: str, *own_names: str) -> str:
    """Of a new password, checked. own_names: of its user.

    Raises BadRequest, RateLimited.
    """
    names = {*own_names, *await easy_passwords.names_here(core)}
    return str(await _in_turn(core, _make_hash, password, names))


async def verify(core: Core, password: str, stored: str | None) -> bool:
    """Whether it is the password; as slow for `None` as for a real hash.

    Raises RateLimited.
    """
    if len(password) > MAX_CHARS:
        return False
    is_right = await _in_turn(core, _verify, password, stored)
    return bool(is_right) and stored is not None


async def _in_turn(core: Core, run: Callable[..., Any], *args: Any) -> Any:
    """On the executor, unless too many are waiting there: otherwise a flood of guesses
    would block everybody for as long as it lasts."""
    if core.hashes_waiting >= MAX_WAITING:
        raise errors.RateLimited("Many are signing in just now. Please try again.")
    core.hashes_waiting += 1
    try:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(core.executor, run, *args)
    finally:
        core.hashes_waiting -= 1


def _make_hash(password: str, names: Iterable[str]) -> str:
    hashed: str = _hasher().hash(check(password, names=names))
    return hashed


def _verify(password: str, stored: str | None) -> bool:
    argon2 = importlib.import_module("argon2")
    try:
        return bool(_hasher().verify(stored or NOBODY, password))
    except (argon2.exceptions.VerificationError, UnicodeEncodeError):
        return False
    except argon2.exceptions.InvalidHashError:
        return False


def _hasher() -> Any:
    argon2 = importlib.import_module("argon2")
    return argon2.PasswordHasher(memory_cost=MEMORY_KIB, time_cost=2, parallelism=1)
