"""The headers of every response, and the Content Security Policy of every page.

The policy allows no inline script except the import map, by its hash, only our own
styles, no frames, and one Trusted Types policy: if a malicious hai injects something
into a page, it cannot run.
"""

import base64
import hashlib
import re
from email.utils import formatdate
from functools import lru_cache

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # room addresses are nobody else's business
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The microphone is for voices, and requested when somebody records one.
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=(),"
    " usb=()",
}
# A page shows private content and is kept up to date by sockets: a cached copy would
# show outdated or private content after signing out or going back.
PAGE_CACHING = "no-store"
HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")

# For bytes that people uploaded: even opened as a page they may do nothing.
PICTURE_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox"
)
# The browser's own player, opened as a page, requests the bytes with its origin.
PLAYER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; media-src 'self';"
    " frame-ancestors 'none'; sandbox allow-same-origin"
)
NOTHING_POLICY = "default-src 'none'; frame-ancestors 'none'"

PAGE_POLICY = (
    "default-src 'none'",
    "script-src 'self' '{map_hash}'",
    "style-src 'self'",
    "img-src 'self' blob: data:",
    "font-src 'self'",
    "media-src 'self' blob:",
    "connect-src 'self'{sockets}",
    "manifest-src 'self'",
    "worker-src 'self'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "base-uri 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types hai",
)


@lru_cache(maxsize=4)  # 5 us each otherwise
def http_date(at_s: int) -> str:
    """A moment as HTTP says it (RFC 9110, 5.6.7)."""
    return formatdate(at_s, usegmt=True)


def hash_source(script: str) -> str:
    """How a policy names an inline script (CSP 3, 2.3.1)."""
    digest = hashlib.sha256(script.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


@lru_cache(maxsize=16)  # by the hosts that are asked for, and anybody may make some up
def page_policy(map_hash: str, host: str) -> str:
    """The policy of the pages at a host. Older Safari versions do not match ws: with
    'self'."""
    sockets = f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""
    return "; ".join(PAGE_POLICY).format(map_hash=map_hash, sockets=sockets)
