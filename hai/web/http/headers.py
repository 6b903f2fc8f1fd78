"""The headers of every response, and the Content Security Policy of every page.

The policy allows no inline script except those with this page's nonce, only our own
styles, no frames, and one Trusted Types policy: if a malicious hai injects something
into a page, it cannot run.
"""

import re
import secrets

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
    """The policy of one page. Older Safari versions do not match ws: with 'self'."""
    sockets = f" ws://{host} wss://{host}" if HOST.fullmatch(host) else ""
    return "; ".join(PAGE_POLICY).format(nonce=nonce, sockets=sockets)
