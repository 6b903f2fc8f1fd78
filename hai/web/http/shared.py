"""What all handlers share in memory: Tornado's application, extended.

Sign-in attempts per address, uploads in progress per user, tasks that outlive their
request. Knows no route and no handler: web/application.py does.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Coroutine
from contextvars import Context
from typing import Any, Protocol

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerRequest,
)
from tornado.web import Application, RequestHandler

from hai.config import Config
from hai.core import origin
from hai.core.context import Core
from hai.core.identity.known_places import KnownPlaces
from hai.core.identity.sessions import Identity
from hai.core.people import usage
from hai.core.pictures import avatars, stored
from hai.core.rate_limits import Buckets
from hai.errors import RateLimited
from hai.events import SessionEnded
from hai.metrics import Metrics
from hai.web.http import headers
from hai.web.http.assets import Assets
from hai.web.http.early import EarlyDelegate, EarlyRule
from hai.web.http.shell import Shell

logger = logging.getLogger(__name__)
access_log = logging.getLogger("tornado.access")

TRIES = 10  # to sign in at once, of one address
TRIES_PER_S = 1 / 6  # then one every 6 s: a few guesses a minute
NAME_TRIES = 10  # for one name, from all addresses together
NAME_TRIES_PER_S = 20 / 3600  # then twenty an hour
ORDERS = 100  # over HTTP, of one user, at once
ORDERS_PER_S = 20  # a busy bot; sockets are the way for more
# Files that are not pictures: a whole folder of an unsupported type at once.
REFUSED_UPLOADS = 60
REFUSED_UPLOADS_PER_S = 1
FAULTS = {400, 413, 415, 422}  # caused by the sender
HSTS_S = 365 * 24 * 3600  # what preload lists and checklists ask for
MAX_UPLOADS = 10  # requests of one user under way: each holds up to 0.4 MiB


class Receiving(Protocol):
    """A handler that receives a body which may take days."""

    @property
    def user(self) -> Identity: ...

    def hang_up(self) -> None: ...

    async def end(self) -> None: ...


class Asked(Protocol):
    """What is known of a request before its handler is."""

    headers: HTTPHeaders
    remote_ip: Any


def client_address(config: Config, request: Asked) -> str:
    """Who sent it, also from behind a trusted proxy."""
    forwarded_for = request.headers.get("X-Forwarded-For", "")
    return origin.client_address(config, request.remote_ip or "", forwarded_for)


class HaiApplication(Application):
    """Handlers reach it as `self.application`."""

    def __init__(
        self,
        core: Core,
        metrics: Metrics,
        assets: Assets,
        shell: Shell,
        rules: list[Any],
        *,
        elsewhere: type[RequestHandler],
        any_host_paths: frozenset[str],
        **settings: Any,
    ) -> None:
        """elsewhere: answers requests for another host; those for `any_host_paths` are
        for this one, whatever they call it."""
        self.core = core
        self.metrics = metrics
        self.usage_totals = usage.CachedTotals(core)
        self.assets = assets
        self.shell = shell
        is_on = core.config.rate_limits
        self.tries = Buckets(TRIES_PER_S, TRIES, is_on=is_on)
        self.name_tries = Buckets(NAME_TRIES_PER_S, NAME_TRIES, is_on=is_on)
        self.known_places = KnownPlaces()
        self.orders = Buckets(ORDERS_PER_S, ORDERS, is_on=is_on)
        self.refused_uploads = Buckets(
            REFUSED_UPLOADS_PER_S, REFUSED_UPLOADS, is_on=is_on
        )
        self.uploads: Counter[int] = Counter()  # user_id -> under way now
        self.receiving: dict[str, Receiving] = {}  # by the upload's token
        self.avatars = avatars.AvatarMaker(core)
        self._elsewhere, self._any_host_paths = elsewhere, any_host_paths
        self._hsts = hsts_words(core.config.hsts)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._sweeping = asyncio.Lock()
        core.bus.subscribe(SessionEnded, self._end_uploads)
        self.early_rules: list[EarlyRule] = []
        super().__init__(rules, None, None, **settings)

    def find_handler(self, request: HTTPServerRequest, **kwargs: Any) -> Any:
        if self.is_elsewhere(request.connection, request, request.path):
            return self.get_handler_delegate(request, self._elsewhere)
        return super().find_handler(request, **kwargs)

    def start_request(
        self, server_conn: object, request_conn: HTTPConnection
    ) -> HTTPMessageDelegate:
        """Answered early, or by Tornado's way: a handler."""

        def by_handler() -> HTTPMessageDelegate:
            return Application.start_request(self, server_conn, request_conn)

        connection: Any = request_conn  # ours
        return EarlyDelegate(self, connection, by_handler)

    def is_elsewhere(self, connection: Any, request: Asked, path: str) -> bool:
        """Whether it is for another host. Also says how its answer is to be sent."""
        config, peer = self.core.config, request.remote_ip or ""
        if self._hsts and origin.came_by_https(config, request.headers, peer):
            connection.hsts = self._hsts
        is_misdirected = origin.is_misdirected(config, request.headers, peer)
        return is_misdirected and path not in self._any_host_paths

    def page_policy(self, host: str) -> str:
        """The Content-Security-Policy of a page at this host."""
        return headers.page_policy(self.assets.import_map_hash, host)

    def begin_upload(self, user_id: int) -> None:
        """Raises RateLimited when this user has too many in progress, or when too many
        of theirs were refused recently: each counts as refused until it ends well."""
        if self.uploads[user_id] >= MAX_UPLOADS:
            raise RateLimited("Too many uploads at once.")
        if not self.refused_uploads.take(user_id):
            raise RateLimited()
        self.uploads[user_id] += 1

    def end_upload(self, user_id: int, status: int) -> None:
        """status: of the response."""
        if status not in FAULTS:
            self.refused_uploads.give_back(user_id)
        self.uploads[user_id] -= 1
        if not self.uploads[user_id]:
            del self.uploads[user_id]

    def _end_uploads(self, event: SessionEnded) -> None:
        """When a session has ended its uploads stop, however long they would take."""
        for handler in list(self.receiving.values()):
            if handler.user.session_id == event.session_id:
                handler.hang_up()

    def in_background(self, work: Coroutine[Any, Any, Any]) -> None:
        """Let it continue after its request, as the server's own work; `close` waits
        for it."""
        task = asyncio.create_task(work, context=Context())
        self._tasks.add(task)
        task.add_done_callback(self._forget)

    def sweep_soon(self) -> None:
        """Delete the bytes of discarded pictures, one sweep after another."""
        self.in_background(self._sweep())

    async def _sweep(self) -> None:
        async with self._sweeping:
            await stored.sweep_discarded(self.core)

    async def close(self) -> None:
        """Wait for what still runs. Call before the database stops."""
        while self._tasks:  # one may begin another
            await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.avatars.close()

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            logger.error("work after a request failed", exc_info=task.exception())

    def log_request(self, handler: RequestHandler) -> None:
        """One line per request, without secrets in its URL."""
        status, request = handler.get_status(), handler.request
        self.metrics.count("hai_http_requests_total", str(status))
        self.metrics.count("hai_http_request_seconds_total", by=request.request_time())
        level = logging.INFO if status < 500 else logging.WARNING
        if status < 400:  # sockets come by the thousand, and poll
            level = getattr(handler, "log_level", level)
        if not access_log.isEnabledFor(level):
            return
        access_log.log(
            level,
            "%d %s %s (%s) %.1fms",
            status,
            request.method,
            getattr(handler, "shown_path", lambda: request.path)(),
            client_address(self.core.config, request),
            1000 * request.request_time(),
        )


def hsts_words(setting: str) -> str:
    """The value of Strict-Transport-Security; "": not to be sent."""
    if setting == "off":
        return ""
    words = f"max-age={HSTS_S}"
    return f"{words}; includeSubDomains" if setting == "subdomains" else words
