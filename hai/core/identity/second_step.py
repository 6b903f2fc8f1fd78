"""Between the password and the second factor: who has shown the one, but not the other.

The browser keeps this half as a sealed text, which ends after ten minutes, with another
password and with a restart.
"""

import hashlib
from typing import NamedTuple

from hai.core.context import Core
from hai.core.identity import seals
from hai.storage import users as user_rows

PURPOSE = "second step"
MINUTES = 10


class Half(NamedTuple):
    """Whose it is, and what their password was, by a hash of its hash."""

    user_id: int
    fingerprint: str


def half_of(user_id: int, password_hash: str | None) -> Half:
    """For somebody who has shown the password with this hash, or another proof."""
    return Half(user_id, _fingerprint(password_hash))


def sealed(half: Half) -> str:
    return seals.seal(PURPOSE, f"{half.user_id}.{half.fingerprint}", minutes=MINUTES)


def _fingerprint(password_hash: str | None) -> str:
    return hashlib.sha256((password_hash or "").encode()).hexdigest()


def find(core: Core, sealed: str) -> Half | None:
    """None: expired, or not good any more. Loop thread, 10 us."""
    text = seals.open_sealed(PURPOSE, sealed)
    if text is None:
        return None
    user_id, _, fingerprint = text.partition(".")
    half = Half(int(user_id), fingerprint)
    return half if core.db.read_now(is_good, half) else None


def is_good(half: Half) -> bool:
    """Whether they may sign in, and have the same password still. (any thread)"""
    user = user_rows.find_status(half.user_id)
    if user is None or user.deactivated_at is not None:
        return False
    return _fingerprint(user_rows.find_password_hash(half.user_id)) == half.fingerprint
