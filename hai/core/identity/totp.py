"""Codes of six digits that change every 30 s: RFC 6238 over HMAC-SHA-1, RFC 4226.

The values that every app for such codes knows; some ignore others that a link may name.
Knows nothing of users or of what was used before.
"""

import base64
import hashlib
import hmac
import secrets
from urllib.parse import quote, urlencode

STEP_S = 30
DIGITS = 6
SECRET_BYTES = 20  # as long as the hash, which RFC 4226 recommends
DRIFT_STEPS = 1  # either way: slow typing, and clocks that are 30 s off
ISSUER = "Hai"


def new_secret() -> bytes:
    return secrets.token_bytes(SECRET_BYTES)


def step_at(now_ms: int) -> int:
    return now_ms // (1000 * STEP_S)


def code_of(secret: bytes, step: int) -> str:
    """What an app shows during this step."""
    digest = hmac.digest(secret, step.to_bytes(8, "big"), hashlib.sha1)
    offset = digest[-1] & 15
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**DIGITS:0{DIGITS}}"


def find_step(secret: bytes, code: str, now_ms: int, after: int = 0) -> int | None:
    """The step that it is the code of, if that is now and later than `after`."""
    now = step_at(now_ms)
    for step in range(now - DRIFT_STEPS, now + DRIFT_STEPS + 1):
        if step > after and hmac.compare_digest(code_of(secret, step), code):
            return step
    return None


def is_code(text: str) -> bool:
    return len(text) == DIGITS and text.isascii() and text.isdigit()


def as_text(secret: bytes) -> str:
    """Base32, as apps take it by hand."""
    return base64.b32encode(secret).decode().rstrip("=")


def from_text(text: str) -> bytes:
    """The opposite of `as_text`, of a text made by it."""
    return base64.b32decode(text + "=" * (-len(text) % 8))


def link(secret: bytes, *, account: str, place: str) -> str:
    """otpauth://, which is in the QR code. place: a host, shown beside the account."""
    label = quote(f"{ISSUER} {place}:{account}", safe=":")
    wanted = {"secret": as_text(secret), "issuer": f"{ISSUER} {place}"}
    return f"otpauth://totp/{label}?{urlencode(wanted, quote_via=quote)}"
