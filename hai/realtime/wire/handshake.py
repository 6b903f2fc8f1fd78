"""The door: what is checked before a socket exists, for both endpoints.

Before the 101 and before a polling session: the site that the request comes
from, whether its cookie or bearer token is good, and how many sockets its
address has. Who is refused here has cost one request and nothing more.
"""

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from tornado.httputil import HTTPServerRequest

from hai import errors
from hai.config import Config
from hai.core import origin
from hai.core.identity.sessions import SESSION_COOKIE, Identity
from hai.core.rate_limits import Buckets

# Tries with a bad token, per address; then the answer is 429, so that a browser
# whose session has ended slows down. Good tokens pass all the while.
BAD_TOKENS_PER_S, BAD_TOKENS_BURST = 5, 200
# Sockets that have not said who they are; each is a few KiB for a few seconds. One
# address may take a quarter of the places that are left, so that however many the
# first ones take, the next one finds some: 2,000 when all are free.
MAX_STRANGERS = 10_000
STRANGERS_SHARE = 4
FEW_STRANGERS = 8  # of one address, for which there is always room
# Tabs of one browser, or connections of one program; a user may have several.
MAX_SOCKETS_PER_SESSION = 100
ENDED_SESSIONS = 1024  # the latest; an admin may end all of a user at once

Find = Callable[[str], Identity | None]


@dataclass(frozen=True, slots=True)
class Visitor:
    """Who knocks. address: what limits count by (origin.address_block).

    session_id 0: nobody has said yet.
    """

    address: str
    identity: Identity | None

    @property
    def session_id(self) -> int:
        return self.identity.session_id if self.identity else 0


class Door:
    """`find` looks a token up; None lets everybody in (protocol tests)."""

    def __init__(self, config: Config, find: Find | None) -> None:
        self.config = config
        self._find = find
        self._sockets: Counter[str] = Counter()
        self._by_session: Counter[int] = Counter()
        self._strangers: Counter[str] = Counter()
        self._stranger_count = 0
        self._bad_tokens = Buckets(
            BAD_TOKENS_PER_S, BAD_TOKENS_BURST, is_on=config.rate_limits
        )
        self._ended: deque[int] = deque(maxlen=ENDED_SESSIONS)
        self.is_closed = False

    def look(self, request: HTTPServerRequest) -> Visitor:
        """Who is this? Raises HaiError for those who may not come near.

        A request with a bad cookie or token is refused even where none is
        needed, so that nobody takes its sockets for a session's.
        """
        peer = request.remote_ip or ""  # without xheaders: the other end itself
        headers = request.headers
        if origin.is_cross_site(self.config, headers, peer):
            raise errors.Forbidden("Other sites may not connect.")
        address = origin.client_address(
            self.config, peer, headers.get("X-Forwarded-For", "")
        )
        return self._identify(request, _block_of(address))

    def find(self, token: object, address: str) -> Identity:
        """The identity behind a token. Raises Unauthorized or RateLimited."""
        identity = None
        if self._find and isinstance(token, str):
            identity = self._find(token)
        if identity is None:
            if not self._bad_tokens.take(address):
                raise errors.RateLimited()
            raise errors.Unauthorized()
        return identity

    @property
    def asks(self) -> bool:
        """Whether one must sign in."""
        return self._find is not None

    def _identify(self, request: HTTPServerRequest, address: str) -> Visitor:
        if self._find is None:
            return Visitor(address, None)
        bearer, cookie = _bearer(request), _cookie(request)
        by_cookie = self.find(cookie, address) if cookie is not None else None
        if bearer is None:
            return Visitor(address, by_cookie)
        return Visitor(address, self.find(bearer, address))

    # --- Counting sockets ------------------------------------------------------------

    def enter(self, visitor: Visitor) -> None:
        """A new socket. Raises Unauthorized, RateLimited, Busy.

        `leave` gives its place back.
        """
        if visitor.session_id in self._ended:
            raise errors.Unauthorized()
        if self.is_closed:
            raise errors.Busy("Hai is being restarted.")
        limit = self.config.max_sockets_per_address
        if limit and self._sockets[visitor.address] >= limit:
            raise errors.RateLimited("Too many connections from this address.")
        if visitor.identity is None:
            self._enter_stranger(visitor.address)
        else:
            self._enter_session(visitor.session_id)
        self._sockets[visitor.address] += 1

    def _enter_stranger(self, address: str) -> None:
        here = self._strangers[address]
        places = (MAX_STRANGERS - self._stranger_count) // STRANGERS_SHARE
        if self.config.rate_limits and here >= max(FEW_STRANGERS, places):
            raise errors.RateLimited("Too many connections wait to sign in.")
        self._strangers[address] = here + 1
        self._stranger_count += 1

    def _enter_session(self, session_id: int) -> None:
        count = self._by_session[session_id]
        if self.config.rate_limits and count >= MAX_SOCKETS_PER_SESSION:
            raise errors.RateLimited("Too many connections of one session.")
        self._by_session[session_id] = count + 1

    def end(self, session_id: int) -> None:
        """It has just ended: a request that was looked at before may come yet."""
        self._ended.append(session_id)

    def introduce(self, address: str, identity: Identity) -> None:
        """A stranger has said who they are. Raises RateLimited."""
        self._enter_session(identity.session_id)
        self._forget_stranger(address)

    def leave(self, address: str, identity: Identity | None) -> None:
        """Gone. identity: who it was at last."""
        if identity is None:
            self._forget_stranger(address)
        else:
            _count_down(self._by_session, identity.session_id)
        _count_down(self._sockets, address)

    def _forget_stranger(self, address: str) -> None:
        self._stranger_count -= 1
        _count_down(self._strangers, address)


def _count_down(counts: "Counter[Any]", key: object) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]


_block_of = lru_cache(maxsize=4096)(origin.address_block)  # 5 us each otherwise


def _bearer(request: HTTPServerRequest) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _cookie(request: HTTPServerRequest) -> str | None:
    if SESSION_COOKIE not in request.headers.get("Cookie", ""):
        return None
    morsel = request.cookies.get(SESSION_COOKIE)
    return morsel.value or None if morsel else None
