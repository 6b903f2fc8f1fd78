"""Cookies: what each is called, and where it is in a request.

By https its name begins with `__Host-`, which browsers take from this host only, only
by https, and only for all of it; below a path of a host that others share, `__Secure-`.
By plain http no prefix is allowed. A name without one is read everywhere: older
versions of Hai gave it to everybody. But a session that was begun by https does not
count under it: any site of the same domain can set that cookie, to its own session.
"""

from collections.abc import Mapping
from http.cookies import Morsel

SESSION = "hai_session"
LAST_ROOM = "hai_room"  # that this browser has shown
PREFIXES = ("__Host-", "__Secure-", "")  # the first that is there counts

HOST_ONLY = "h."  # how the token of a session begins that was begun by https

Cookies = Mapping[str, Morsel[str]]


def full_name(name: str, is_secure: bool, path: str = "/") -> str:
    """path: of all pages of Hai."""
    if not is_secure:
        return name
    return ("__Host-" if path == "/" else "__Secure-") + name


def find(cookies: Cookies, name: str) -> str:
    """The value; "" if there is none."""
    for prefix in PREFIXES:
        morsel = cookies.get(prefix + name)
        if morsel is None or not morsel.value:
            continue
        if prefix or not morsel.value.startswith(HOST_ONLY):
            return morsel.value
    return ""
