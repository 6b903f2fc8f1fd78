"""Secrets and identifiers: created here, compared here.

Tokens have 256 random bits, and only their SHA-256 is stored: a stolen database opens
no session. A hash without salt is enough for a secret that nobody can guess.
"""

import hashlib
import hmac
import secrets

TOKEN_BYTES = 32
INVITE_BYTES = 16  # 128 bits: 22 characters, short enough to read out
MAX_CODE_CHARS = 64  # of a code that somebody types or brings by a link
MAX_ID = 2**53 - 1  # what JavaScript counts exactly


def new_token() -> str:
    """A session's or bot's token: 43 URL-safe characters."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def new_invite_code() -> str:
    return secrets.token_urlsafe(INVITE_BYTES)


def new_client_id() -> str:
    """An id for one hai, for forms that cannot make their own."""
    return secrets.token_urlsafe(15)


def new_epoch() -> str:
    """The name of one history of the database (docs/protocol.md, "Rev and epoch")."""
    return secrets.token_urlsafe(9)


def token_hash(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def order_hash(*parts: object) -> int:
    """63 bits that tell one order from another sent under its client_id."""
    digest = hashlib.sha256(repr(parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1  # fits SQLite's integer


def same_secret(one: str, other: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(one.encode(), other.encode())


def user_room(user_id: int) -> str:
    """The Socket.IO room that all sids of one user are in."""
    return f"user:{user_id}"


def room_room(room_id: int) -> str:
    """The name that core emits to; it is resolved to its members' rooms."""
    return f"room:{room_id}"
