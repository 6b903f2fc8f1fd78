"""Orders from sockets: start them in the order they came, answer each once.

Both endpoints hand their orders in here. An order is begun as it is read, so
that one client's orders are queued for the writer in their order, and the next
is read without waiting for the ack: they are pipelined, up to a bound of orders
and of bytes, and not behind a page, which may be as large as half of a socket's
budget. This is the one place in realtime/ where a HaiError becomes an ack.
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

# Sustained and in a burst, per session. Above what the busiest page or bot does,
# below what one session could do to everybody else.
ORDERS_PER_S, ORDERS_BURST = 200, 1000
MAX_IN_FLIGHT = 256  # of one socket; then it is not read until half are done
MAX_IN_FLIGHT_CHARS = 32 * 1024  # a hai comes back to its sender as fact and as ack
MAX_REFUSED, REFUSED_WINDOW_S = 1000, 10.0  # by the limit: this client does not listen
CHARS_PER_TOKEN = 1024  # of the limit; parsing a megabyte may take 30 ms
BULK_CHARS = 16 * 1024  # no order is longer: paid for before it is parsed
PAGES = frozenset({"get_hais", "get_changes"})  # their answers may be 128 KiB
WATCH_S = 0.5  # before the first look at a socket that waits for a page; then twice it
NAMESPACE_TOKENS = 5  # for a CONNECT or DISCONNECT, which cost 100 us and more

Ack = dict[str, Any]
Reply = Callable[[Ack], None]
RunOrder = Callable[[Core, Identity, str, Any], Awaitable[Ack]]

logger = logging.getLogger(__name__)


class OrderDesk:
    """`run` is core's table of orders, handed in by app.py."""

    def __init__(self, core: Core, run: RunOrder) -> None:
        self._core = core
        self._run = run
        self.limit = Buckets(ORDERS_PER_S, ORDERS_BURST, is_on=core.config.rate_limits)
        self.in_flight = 0
        self.is_closed = False
        self._refused: dict[Tab, tuple[int, float]] = {}  # how many, since when
        # Under way, each with when to look next whether its client is still there.
        self._pages: dict[Tab, dict[asyncio.Future[Ack], asyncio.TimerHandle]] = {}

    def start(
        self,
        tab: Tab,
        name: object,
        arguments: list[Any],
        reply: Reply,
        chars: int = 0,
    ) -> "asyncio.Future[Any] | None":
        """Begin one order; `reply` gets its ack. Never raises.

        chars: of the message that it came in. Returns what to wait for before the
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
        """Who orders. Raises Unauthorized, RateLimited or Busy."""
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
        self, tab: Tab, page: "asyncio.Future[Ack]", after_s: float = WATCH_S
    ) -> None:
        """A socket is not read while it waits for a page, so nothing else tells when
        its client has hung up. What it ordered behind the page is then read.

        Ever less often: thousands may wait at once after a restart.
        """
        if after_s > WATCH_S and tab.has_hung_up:
            page.cancel()
        later = asyncio.get_running_loop().call_later
        look = later(after_s, self._watch, tab, page, 2 * after_s)
        self._pages.setdefault(tab, {})[page] = look

    def forget(self, tab: Tab) -> None:
        """The tab is closed: what it only asked for is not looked up any more."""
        self._refused.pop(tab, None)
        for page in list(self._pages.get(tab, ())):
            page.cancel()

    def _finish(
        self, tab: Tab, reply: Reply, chars: int, future: "asyncio.Future[Ack]"
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
            ack = future.result()
        except (Exception, asyncio.CancelledError) as error:
            ack = _ack_of(error)
        reply(ack)

    def _finish_page(
        self, tab: Tab, reply: Reply, chars: int, future: "asyncio.Future[Ack]"
    ) -> None:
        """Written before the next order is read, so that the socket knows what it
        owes already."""
        pages = self._pages[tab]
        pages.pop(future).cancel()
        if not pages:
            del self._pages[tab]
        self._finish(tab, reply, chars, future)
        tab.flush()


def _ack_of(error: BaseException) -> Ack:
    """What went wrong, in words for the client; what it was, in the log."""
    if isinstance(error, errors.HaiError):
        return {"error": error.as_dict()}
    if not isinstance(error, asyncio.CancelledError):
        logger.error("an order failed", exc_info=error)
    return {"error": errors.Busy().as_dict()}
