"""Sealed texts: what the server gave out for a few minutes, and gets back unchanged.

A step of signing in that needs another one is kept by the browser, not here, so that
nobody fills the memory by beginning. The key is the process's own: after a restart one
begins again.
What must work only once is noted when it was used.
"""

import base64
import binascii
import hashlib
import hmac
import secrets

from hai import clock

MAC_BYTES = 32
KEY = secrets.token_bytes(MAC_BYTES)
MAX_CHARS = 4096  # of a sealed text: as long as a cookie may be
MINUTE_MS = 60_000
MAX_MINUTES = 60
_used: dict[str, int] = {}  # sealed text -> when it can be forgotten


def seal(purpose: str, text: str, *bound_to: object, minutes: int) -> str:
    """URL-safe. It opens with the same purpose and the same things it is bound to."""
    assert minutes <= MAX_MINUTES
    expires_at = clock.now_ms() + minutes * MINUTE_MS
    inner = f"{expires_at}.{text}".encode()
    mac = _mac(purpose, inner, bound_to)
    return base64.urlsafe_b64encode(mac + inner).decode().rstrip("=")


def open_sealed(purpose: str, sealed: str, *bound_to: object) -> str | None:
    """The text; None: changed, expired, or sealed for something else."""
    raw = _decode(sealed)
    mac, inner = raw[:MAC_BYTES], raw[MAC_BYTES:]
    if not hmac.compare_digest(mac, _mac(purpose, inner, bound_to)):
        return None
    expires_at, _, text = inner.decode().partition(".")
    return text if clock.now_ms() < int(expires_at) else None


def use_once(sealed: str) -> bool:
    """False: it was used before. Only for one that was opened, and whose holder has
    proven something: each is kept until it would have expired."""
    now_ms = clock.now_ms()
    for text in [text for text, ends_at in _used.items() if ends_at < now_ms]:
        del _used[text]
    is_new = sealed not in _used
    _used[sealed] = now_ms + MAX_MINUTES * MINUTE_MS
    return is_new


def _mac(purpose: str, inner: bytes, bound_to: tuple[object, ...]) -> bytes:
    """`repr` of a tuple tells its parts apart, whatever they contain."""
    message = repr((purpose, inner, bound_to)).encode()
    return hmac.digest(KEY, message, hashlib.sha256)


def _decode(sealed: str) -> bytes:
    if len(sealed) > MAX_CHARS or not sealed.isascii():
        return b""
    try:
        return base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4))
    except (ValueError, binascii.Error):
        return b""
