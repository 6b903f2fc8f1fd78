"""Answers ahead of RequestHandler, from what is kept, to the plainest of requests.

RequestHandler takes more than half of the time of an answer that is ready (benchmark
`pages`). So a GET without a body for one of a few paths is first shown to a function
that may have the answer; see `Answerer`. None of them draws, waits or refuses: where
there is no answer, or anything unusual about the request, its handler gets it as if
nobody had been asked, and says what is wrong. An answer has the handler's headers, is
counted and logged like all others, and counts among the orders of its user where the
handler's would: tests/web/test_early.py asks every route both ways.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from re import Pattern
from typing import TYPE_CHECKING, Any, NamedTuple

from tornado.httputil import (
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from hai.core import origin
from hai.core.identity import cookies, sessions
from hai.core.identity.sessions import Identity
from hai.errors import HaiError
from hai.web.http import headers as header_values
from hai.web.http.connection import Connection
from hai.web.http.headers import http_date

if TYPE_CHECKING:
    from hai.web.http.shared import HaiApplication

logger = logging.getLogger(__name__)

SESSION = f"{cookies.SESSION}="
OK = ResponseStartLine("", 200, "OK")
HTML = "text/html; charset=UTF-8"  # as Tornado's handlers say it
JSON = "application/json; charset=utf-8"
# What makes a request unusual: a body, or a wish about the connection.
UNUSUAL = ("Content-Length", "Transfer-Encoding", "Expect", "Upgrade")


class EarlyAnswer(NamedTuple):
    """The body of a 200, and the headers beside those that all answers have."""

    body: bytes
    content_type: str
    policy: str = header_values.NOTHING_POLICY
    more: tuple[tuple[str, str], ...] = ()


class EarlyRequest:
    """What a function is shown; for the log, it is a handler and its request, too."""

    __slots__ = ("app", "began_s", "headers", "method", "path", "remote_ip")

    def __init__(
        self, app: "HaiApplication", path: str, headers: HTTPHeaders, peer: str
    ) -> None:
        self.app = app
        self.method = "GET"
        self.path = path
        self.headers = headers
        self.remote_ip = peer
        self.began_s = time.time()

    @property
    def request(self) -> "EarlyRequest":
        return self

    def get_status(self) -> int:
        return 200

    def request_time(self) -> float:
        return time.time() - self.began_s

    def find_identity(self) -> Identity | None:
        """By bearer or cookie; None also where only a handler can tell, and for those
        who must set up a second factor first."""
        who = self._find_identity()
        return None if who is None or who.lacks_factor else who

    def _find_identity(self) -> Identity | None:
        given = self.headers.get("Authorization")
        if given is not None:
            scheme, _, token = given.partition(" ")
            is_bearer = scheme.lower() == "bearer"
            return sessions.find(self.app.core, token.strip()) if is_bearer else None
        token = session_token(self.headers.get("Cookie", ""))
        return sessions.find(self.app.core, token) if token else None

    @property
    def has_secure_cookies(self) -> bool:
        """As RespondingHandler.has_secure_cookies."""
        config = self.app.core.config
        return config.public_url.startswith("https:") or origin.came_by_https(
            config, self.headers, self.remote_ip
        )

    @property
    def has_old_cookies(self) -> bool:
        """Whether a handler has to give the browser others for them."""
        given = f"; {self.headers.get('Cookie', '')}"
        old = (f"; {name}=" for name in (cookies.SESSION, cookies.LAST_ROOM))
        return self.has_secure_cookies and any(name in given for name in old)

    @property
    def address(self) -> str:
        """As BaseHandler.address."""
        forwarded_for = self.headers.get("X-Forwarded-For", "")
        found = origin.client_address(
            self.app.core.config, self.remote_ip, forwarded_for
        )
        return origin.address_block(found)


def session_token(given: str) -> str:
    """The token in a Cookie header; "" if there is none, or not just one: see
    cookies.find, which judges all of them."""
    before, _, after = given.partition(SESSION)
    prefix = before.rpartition(";")[2].strip(" ")
    token = after.partition(";")[0]
    is_bare = not prefix and token.startswith(cookies.HOST_ONLY)
    if cookies.SESSION in after or prefix not in cookies.PREFIXES or is_bare:
        return ""
    return token


# Returns an answer, or None; may raise the HaiError that its handler would. The numbers
# that the pattern finds follow the request; None for one that is not there.
Answerer = Callable[..., EarlyAnswer | None]
EarlyRule = tuple[Pattern[str], Answerer]


class EarlyDelegate(HTTPMessageDelegate):
    """One request: answered here, or passed on to `plain()`."""

    def __init__(
        self,
        app: "HaiApplication",
        connection: Connection,
        plain: Callable[[], HTTPMessageDelegate],
    ) -> None:
        self.app = app
        self.connection = connection
        self.plain = plain
        self.handler: HTTPMessageDelegate | None = None
        self.request: EarlyRequest
        self.answer: EarlyAnswer | None = None

    def headers_received(
        self, start_line: Any, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        if is_plain_question(start_line, headers):
            self.answer = self._find_answer(start_line.path, headers)
        if self.answer is not None:
            return None
        self.handler = self.plain()
        return self.handler.headers_received(start_line, headers)

    def _find_answer(self, path: str, headers: HTTPHeaders) -> EarlyAnswer | None:
        for pattern, answer in self.app.early_rules:
            if found := pattern.fullmatch(path):
                bare_path = path.partition("?")[0]
                peer: str = getattr(self.connection.context, "remote_ip", "")
                self.request = EarlyRequest(self.app, bare_path, headers, peer)
                if self.app.is_elsewhere(self.connection, self.request, bare_path):
                    return None
                ids = [int(text) if text else None for text in found.groups()]
                return _or_none(answer, self.request, ids)
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        assert self.handler is not None  # an answered request has no body
        return self.handler.data_received(chunk)

    def finish(self) -> None:
        if self.answer is None:
            assert self.handler is not None
            self.handler.finish()
            return
        head, body = head_of(self.answer, self.connection.hsts), self.answer.body
        if not self.connection.write_ready(OK, head, body):
            self.connection.write_headers(OK, HTTPHeaders.parse(head), body)
        self.connection.finish()
        self.app.log_request(self.request)  # type: ignore[arg-type]

    def on_connection_close(self) -> None:
        if self.handler is not None:
            self.handler.on_connection_close()


def _or_none(
    answer: Answerer, request: EarlyRequest, ids: Sequence[int | None]
) -> EarlyAnswer | None:
    try:
        return answer(request, *ids)
    except HaiError:  # its handler will raise it again, and say so
        return None
    except Exception:
        logger.exception("no early answer to %s", request.path)
        return None


def is_plain_question(start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
    """Whether nothing of it is for a handler to judge."""
    if start_line.method != "GET" or any(name in headers for name in UNUSUAL):
        return False
    return header_values.HOST.fullmatch(headers.get("Host", "")) is not None


def head_of(answer: EarlyAnswer, hsts: str) -> str:
    """The lines of its headers, as a handler would have them."""
    lines = fixed_lines(answer.content_type, answer.policy)
    if hsts:
        lines += f"Strict-Transport-Security: {hsts}\r\n"
    lines += f"Date: {http_date(int(time.time()))}\r\n"
    for name, value in answer.more:
        lines += f"{name}: {value}\r\n"
    return f"{lines}Content-Length: {len(answer.body)}\r\n"


@lru_cache(maxsize=16)  # policies name the Host, and anybody may make some up
def fixed_lines(content_type: str, policy: str) -> str:
    headers = {
        "Server": "Hai",
        "Content-Type": content_type,
        **header_values.SAFE,
        "Cache-Control": header_values.PAGE_CACHING,
        "Content-Security-Policy": policy,
    }
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())
