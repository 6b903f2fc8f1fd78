"""The checks of a handshake, before a socket exists, for both endpoints.

Before the 101, and before a polling session: which site the request comes from, whether
its cookie or bearer token is valid, and how many sockets its address has. A refusal
costs one request and nothing more.
"""

import resource
import sys
from collections import Counter, deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from tornado.httputil import HTTPServerRequest

from hai import errors
from hai.config import Config
from hai.core import origin
from hai.core.identity import cookies
from hai.core.identity.sessions import Identity
from hai.core.rate_limits import Buckets

# Attempts with a bad token, per address; then the status is 429, so that a browser
# whose session has ended slows down. Valid tokens always pass.
BAD_TOKENS_PER_S, BAD_TOKENS_BURST = 5, 200
# Sockets that have not authenticated yet; each takes a few KiB for a few seconds. One
# address may take a quarter of what is left, so that however many the first addresses
# take, some remain for the next: 2,000 when all are free. All of them together may have
# half of the descriptors.
MAX_UNAUTHENTICATED = 10_000
FILES_SHARE = 2
ADDRESS_SHARE = 4
MIN_PER_ADDRESS = 8  # always allowed
# Tabs of one browser, or connections of one program; a user may have several sessions.
MAX_SOCKETS_PER_SESSION = 100
ENDED_SESSIONS = 1024  # the latest; an admin may end all of a user at once

Find = Callable[[str], Identity | None]


@dataclass(frozen=True, slots=True)
class Requester:
    """Who wants to connect. address: what limits are counted by (origin.address_block).

    session_id 0: not authenticated yet.
    """

    address: str
    identity: Identity | None

    @property
    def session_id(self) -> int:
        return self.identity.session_id if self.identity else 0


class HandshakeChecks:
    """`find` looks up a token; None allows everybody (protocol tests)."""

    def __init__(self, config: Config, find: Find | None) -> None:
        self.config = config
        self._find = find
        self._sockets: Counter[str] = Counter()
        self._by_session: Counter[int] = Counter()
        self._unauthenticated: Counter[str] = Counter()
        self._unauthenticated_count = 0
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._most_files = soft if soft >= 0 else sys.maxsize
        self._bad_tokens = Buckets(
            BAD_TOKENS_PER_S, BAD_TOKENS_BURST, is_on=config.rate_limits
        )
        self._ended: deque[int] = deque(maxlen=ENDED_SESSIONS)
        self.is_closed = False

    def check(self, request: HTTPServerRequest, *, counts: bool = True) -> Requester:
        """Who sent this request. Raises HaiError if they may not connect.

        counts: remember a bad token; if not, whoever refuses it does.

        A request with a bad cookie or token is refused even where none is needed, so
        that nobody mistakes its socket for one of the session.
        """
        peer = request.remote_ip or ""  # without xheaders: the TCP peer
        headers = request.headers
        if origin.is_cross_site(self.config, headers, peer):
            origin.misfits.tell(self.config, headers, peer)
            raise errors.Forbidden("Other sites may not connect.")
        address = origin.client_address(
            self.config, peer, headers.get("X-Forwarded-For", "")
        )
        return self._identify(request, origin.address_block(address), counts)

    def find_identity(
        self, token: object, address: str, *, counts: bool = True
    ) -> Identity:
        """The identity behind a token.

        Raises Unauthorized, FactorNeeded, RateLimited.
        """
        identity = None
        if self._find and isinstance(token, str):
            identity = self._find(token)
        if identity is None:
            if counts and not self._bad_tokens.take(address):
                raise errors.RateLimited()
            raise errors.Unauthorized()
        if identity.lacks_factor:
            raise errors.FactorNeeded()
        return identity

    def live_session_ids(self) -> Collection[int]:
        """Of the sockets that are open."""
        return self._by_session.keys()

    @property
    def requires_sign_in(self) -> bool:
        """Whether sockets must authenticate."""
        return self._find is not None

    def _identify(
        self, request: HTTPServerRequest, address: str, counts: bool
    ) -> Requester:
        if self._find is None:
            return Requester(address, None)
        bearer, cookie = _bearer(request), _cookie(request)
        identity = None
        for token in (cookie, bearer):  # both must be good, and the bearer is who it is
            if token is not None:
                identity = self.find_identity(token, address, counts=counts)
        return Requester(address, identity)

    # --- Counting sockets ------------------------------------------------------------

    def admit(self, requester: Requester) -> None:
        """Count a new socket. Raises Unauthorized, RateLimited, Busy.

        `release` undoes it.
        """
        if requester.session_id in self._ended:
            raise errors.Unauthorized()
        if self.is_closed:
            raise errors.Busy("Hai is being restarted.")
        limit = self.config.max_sockets_per_address
        if limit and self._sockets[requester.address] >= limit:
            raise errors.RateLimited("Too many connections from this address.")
        if requester.identity is None:
            self._admit_unauthenticated(requester.address)
        else:
            self._admit_session(requester.session_id)
        self._sockets[requester.address] += 1

    def _admit_unauthenticated(self, address: str) -> None:
        here = self._unauthenticated[address]
        left = self._most_unauthenticated - self._unauthenticated_count
        share = left // ADDRESS_SHARE
        if self.config.rate_limits and here >= max(MIN_PER_ADDRESS, share):
            raise errors.RateLimited("Too many connections wait to sign in.")
        self._unauthenticated[address] = here + 1
        self._unauthenticated_count += 1

    @property
    def _most_unauthenticated(self) -> int:
        return min(MAX_UNAUTHENTICATED, self._most_files // FILES_SHARE)

    def _admit_session(self, session_id: int) -> None:
        count = self._by_session[session_id]
        if self.config.rate_limits and count >= MAX_SOCKETS_PER_SESSION:
            raise errors.RateLimited("Too many connections of one session.")
        self._by_session[session_id] = count + 1

    def session_ended(self, session_id: int) -> None:
        """Refuse it from now on: a request that was checked before may still arrive."""
        self._ended.append(session_id)

    def authenticate(self, address: str, identity: Identity) -> None:
        """A socket has authenticated after the handshake. Raises RateLimited."""
        self._admit_session(identity.session_id)
        self._release_unauthenticated(address)

    def release(self, address: str, identity: Identity | None) -> None:
        """The socket is closed. identity: the one it had last."""
        if identity is None:
            self._release_unauthenticated(address)
        else:
            _count_down(self._by_session, identity.session_id)
        _count_down(self._sockets, address)

    def _release_unauthenticated(self, address: str) -> None:
        self._unauthenticated_count -= 1
        _count_down(self._unauthenticated, address)


def _count_down(counts: "Counter[Any]", key: object) -> None:
    counts[key] -= 1
    if counts[key] <= 0:
        del counts[key]


def _bearer(request: HTTPServerRequest) -> str | None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _cookie(request: HTTPServerRequest) -> str | None:
    if cookies.SESSION not in request.headers.get("Cookie", ""):
        return None
    return cookies.find(request.cookies, cookies.SESSION) or None
