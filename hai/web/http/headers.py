"""The headers that every answer carries, and the policy that every page has.

The policy allows no inline script but those with this page's nonce, no styles
but ours, no frames, and one Trusted Types policy: what a hostile hai might
smuggle into a page finds nothing to run it.
"""

import re
import secrets

SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # room addresses are nobody else's business
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # The microphone is for voices, and asked for when somebody records one.
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=(), payment=(),"
    " usb=()",
}
# A page shows what only its reader may see, and sockets keep it live from there: a
# copy in a cache would show, after signing out or on Back, what is no longer so.
PAGE_CACHING = "no-store"
HOST = re.compile(r"[A-Za-z0-9.\-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")

# For bytes that people uploaded: even opened as a page they may do nothing.
PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
# The browser's own player, opened as a page, asks for the bytes in the page's name.
PLAYER_POLICY = (
    "default-src 'none'; style-src 'unsafe-inline'; media-src 'self';"
    " sandbox allow-same-origin"
)
NOTHING_POLICY = "default-src 'none'; frame-ancestors 'none'"

PAGE_POLICY = (
    "default-src 'none'",
    "script-src 'self' 'nonce-{nonce}'",
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


def new_nonce() -> str:
    return secrets.token_urlsafe(16)


def page_policy(nonce: str, host: str) -> str:
    """The policy of one page. Older Safari does not count ws: as 'self'."""
    sockets = f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""
    return "; ".join(PAGE_POLICY).format(nonce=nonce, sockets=sockets)
