"""Orders from sockets: started in the order they arrive, each answered once.

Both endpoints pass their orders to the runner. An order is started as soon as it is
read, so one client's orders are queued for the writer in their order and the next is
read without waiting for the ack. This pipelining is bounded, in orders and in bytes,
and it stops behind a page, which may fill half of a socket's budget. This is the only
place in realtime/ where a HaiError becomes an ack.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from hai import clock, errors
from hai.core.context import Core
from hai.core.identity.sessions import Identity
from hai.core.rate_limits import Buckets
from hai.realtime.wire.frames import POLICY
from hai.realtime.wire.tab import Tab
from hai.shapes import ErrorAck, OrderAck

# Sustained and in a burst, per session. Above what the busiest page or bot does,
# below what one session could do to everybody else.
ORDERS_PER_S, ORDERS_BURST = 200, 1000
MAX_IN_FLIGHT = 256  # per socket; then it is not read until half are done
MAX_IN_FLIGHT_CHARS = 32 * 1024  # the sender gets a hai back as fact and as ack
MAX_REFUSED, REFUSED_WINDOW_S = 1000, 10.0  # then the client is disconnected
CHARS_PER_TOKEN = 1024  # of the rate limit; parsing a megabyte may take 30 ms
BULK_CHARS = 16 * 1024  # longer than any order: charged before it is parsed
PAGES = frozenset({"get_hais", "get_changes"})  # their acks may be 128 KiB
WATCH_S = 0.5  # before a socket waiting for a page is first checked; then doubled
NAMESPACE_TOKENS = 5  # for a CONNECT or DISCONNECT, which take 100 us or more

Ack = OrderAck | ErrorAck
Reply = Callable[[Ack], None]
RunOrder = Callable[[Core, Identity, str, Any], Awaitable[OrderAck]]

logger = logging.getLogger(__name__)


class OrderRunner:
    """`run` executes an order of core's table; app.py passes it in."""

    def __init__(self, core: Core, run: RunOrder) -> None:
        self._core = core
        self._run = run
        self.limit = Buckets(ORDERS_PER_S, ORDERS_BURST, is_on=core.config.rate_limits)
        self.in_flight = 0
        self.is_closed = False
        self._refused: dict[Tab, tuple[int, float]] = {}  # how many, since when
        # In progress, each with a timer that checks whether its client is still there.
        self._pages: dict[Tab, dict[asyncio.Future[OrderAck], asyncio.TimerHandle]] = {}

    def start(
        self,
        tab: Tab,
        name: object,
        arguments: list[Any],
        reply: Reply,
        chars: int = 0,
    ) -> "asyncio.Future[Any] | None":
        """Start one order; `reply` gets its ack. Never raises.

        chars: length of the message it came in. Returns what to wait for before the
        next order is read, if anything.
        """
        try:
            identity = self.admit(tab, chars)
            if not isinstance(name, str):
                raise errors.UnknownOrder()
            payload = arguments[0] if len(arguments) == 1 else None
            answer = self._run(self._core, identity, name, payload)
        except Exception as error:
            reply(_ack_of(error))
            return None
        future = asyncio.ensure_future(answer)
        tab.in_flight += 1
        tab.in_flight_chars += chars
        self.in_flight += 1
        if name in PAGES and future.done():  # one that is kept
            self._finish(tab, reply, chars, future)
            tab.flush()
            return None
        if name in PAGES:
            self._watch(tab, future)
            future.add_done_callback(partial(self._finish_page, tab, reply, chars))
            return future
        future.add_done_callback(partial(self._finish, tab, reply, chars))
        if tab.in_flight < MAX_IN_FLIGHT and tab.in_flight_chars < MAX_IN_FLIGHT_CHARS:
            return None
        if tab.relief is None:
            tab.relief = asyncio.get_running_loop().create_future()
        return tab.relief

    def admit(self, tab: Tab, chars: int = 0) -> Identity:
        """The identity of the sender. Raises Unauthorized, RateLimited or Busy."""
        if tab.identity is None:
            raise errors.Unauthorized()
        if self.is_closed:
            raise errors.Busy("Hai is being restarted.")
        tokens = 1 if chars > BULK_CHARS else 1 + chars // CHARS_PER_TOKEN
        self._take(tab, tab.identity, tokens)
        return tab.identity

    def admit_bulk(self, tab: Tab, chars: int) -> None:
        """Before a long message is parsed. Raises RateLimited."""
        if chars > BULK_CHARS and tab.identity is not None:
            self._take(tab, tab.identity, chars // CHARS_PER_TOKEN)

    def admit_namespace(self, tab: Tab) -> None:
        """Before a namespace is joined or left. Raises RateLimited."""
        if tab.identity is not None:
            self._take(tab, tab.identity, NAMESPACE_TOKENS)

    def _take(self, tab: Tab, identity: Identity, tokens: int) -> None:
        if not self.limit.take(identity.session_id, tokens):
            self._count_refused(tab)
            raise errors.RateLimited()

    def _count_refused(self, tab: Tab) -> None:
        now_s = clock.monotonic_s()
        count, since_s = self._refused.get(tab, (0, now_s))
        if now_s - since_s > REFUSED_WINDOW_S:
            count, since_s = 0, now_s
        self._refused[tab] = count + 1, since_s
        if count >= MAX_REFUSED:
            tab.hang_up(POLICY)

    def _watch(
        self, tab: Tab, page: "asyncio.Future[OrderAck]", after_s: float = WATCH_S
    ) -> None:
        """A socket is not read while it waits for a page, so nothing else would notice
        that its client has hung up. The page is then cancelled and reading continues.

        The interval doubles each time: after a restart thousands may be waiting.
        """
        if after_s > WATCH_S and tab.has_hung_up:
            page.cancel()
        later = asyncio.get_running_loop().call_later
        timer = later(after_s, self._watch, tab, page, 2 * after_s)
        self._pages.setdefault(tab, {})[page] = timer

    def forget(self, tab: Tab) -> None:
        """The tab is closed: reads that only it was waiting for are cancelled."""
        self._refused.pop(tab, None)
        for page in list(self._pages.get(tab, ())):
            page.cancel()

    def _finish(
        self, tab: Tab, reply: Reply, chars: int, future: "asyncio.Future[OrderAck]"
    ) -> None:
        tab.in_flight -= 1
        tab.in_flight_chars -= chars
        self.in_flight -= 1
        if tab.relief is not None and (
            tab.in_flight <= MAX_IN_FLIGHT // 2
            and tab.in_flight_chars <= MAX_IN_FLIGHT_CHARS // 2
        ):
            relief, tab.relief = tab.relief, None
            if not relief.done():
                relief.set_result(None)
        try:
            ack: Ack = future.result()
        except (Exception, asyncio.CancelledError) as error:
            ack = _ack_of(error)
        reply(ack)

    def _finish_page(
        self, tab: Tab, reply: Reply, chars: int, future: "asyncio.Future[OrderAck]"
    ) -> None:
        """Written before the next order is read, so that the socket's unsent bytes
        already include it."""
        pages = self._pages[tab]
        pages.pop(future).cancel()
        if not pages:
            del self._pages[tab]
        self._finish(tab, reply, chars, future)
        tab.flush()


def _ack_of(error: BaseException) -> ErrorAck:
    """An error message for the client; the cause goes to the log."""
    if isinstance(error, errors.HaiError):
        return {"error": error.as_dict()}
    if not isinstance(error, asyncio.CancelledError):
        logger.error("an order failed", exc_info=error)
    return {"error": errors.Busy().as_dict()}
