"""The composition root: creates every part, starts them, stops them in order.

Nothing else in Hai creates its own parts, and there are no globals except the Peewee
models' binding: one process, one database.
"""

import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from tornado.netutil import bind_sockets

from hai.bots.dispatcher import Dispatcher
from hai.bots.eliza import Eliza
from hai.bus import Bus
from hai.config import Config
from hai.core import orders, origin
from hai.core.context import Core
from hai.core.pictures.stored import Sweeper
from hai.core.pictures.thumbnail_queue import ThumbnailQueue
from hai.core.presence import Presence
from hai.core.read_budget import ReadBudget
from hai.realtime import server as realtime_server
from hai.storage.database import Database
from hai.web import application
from hai.web.http.listener import Listener

logger = logging.getLogger(__name__)

CPU_THREADS = 2  # password hashes take 19 MiB and 30 ms each: two at a time
# With Python's own, (700, 10, 10), the collector runs all the time when thousands
# connect: a quarter of the CPU time of `storm` (benchmark), and 7 % of `posts`.
GC_THRESHOLDS = (20_000, 20, 100)
BACKLOG = 4096  # after a restart all reconnect at once; the kernel may allow less


def make_core(config: Config) -> Core:
    """The parts below the edges, not started yet."""
    bus = Bus()
    db = Database(
        config.database_path, durability=config.durability, publish=bus.publish
    )
    executor = ThreadPoolExecutor(CPU_THREADS, thread_name_prefix="cpu")
    read_budget = ReadBudget(is_on=config.rate_limits)
    db.readers.on_cost = read_budget.charge
    return Core(config, db, bus, Presence(bus), executor, read_budget)


@contextlib.asynccontextmanager
async def open_core(config: Config) -> AsyncIterator[Core]:
    """A core with its database open and no edges, for commands on their own."""
    core = make_core(config)
    await core.db.start()
    try:
        yield core
    finally:
        await core.db.stop()
        core.presence.close()
        core.executor.shutdown()


class App:
    """One running Hai. `start` and `stop` belong to one event loop."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.core = make_core(config)
        self.port = config.port
        # The parts to stop, the last one first; each is added as it starts.
        self._stops = contextlib.AsyncExitStack()
        self._stops.callback(self.core.executor.shutdown, wait=False)
        self._stops.callback(self.core.presence.close)

    @property
    def url(self) -> str:
        """Its address: public_url if set, else the address it listens on."""
        host = self.config.address
        if host in ("", "0.0.0.0", "::"):
            host = "127.0.0.1"
        shown = f"[{host}]" if ":" in host else host
        return self.config.public_url or f"http://{shown}:{self.port}"

    async def start(self) -> None:
        """Listen once everything behind the port is ready.

        Raises if a part cannot start; the parts already started are then stopped.
        """
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        sockets = bind_sockets(self.config.port, self.config.address, backlog=BACKLOG)
        for sock in sockets:
            self._stops.callback(sock.close)
        self.port = sockets[0].getsockname()[1]
        self.core.url = self.url
        await self.core.db.start()
        self._stops.push_async_callback(self.core.db.stop)
        self._start_background()
        await self._start_edges()
        self.http.add_sockets(sockets)
        self._stops.callback(self.http.stop)
        gc.set_threshold(*GC_THRESHOLDS)
        gc.collect()
        gc.freeze()  # objects that live as long as the process are not scanned again

    def _start_background(self) -> None:
        self.thumbnails = ThumbnailQueue(self.core)
        self._stops.push_async_callback(self.thumbnails.stop)
        self.sweeper = Sweeper(self.core)
        self._stops.push_async_callback(self.sweeper.stop)
        self.sweeper.start()
        self.thumbnails.start()

    async def _start_edges(self) -> None:
        """Sockets are closed before the remaining HTTP connections."""
        eliza = Eliza()
        self.realtime = realtime_server.build(self.core, orders.run, eliza.reply_to)
        self.core.live_session_ids = self.realtime.handshake.live_session_ids
        self.web = application.build(self.core, self.realtime.url_specs())
        self.web.metrics.watch("hai_sockets", lambda: self.realtime.socket_count)
        self._stops.push_async_callback(self.web.close)
        self.http = Listener(
            self.web,
            is_trusted=partial(origin.is_trusted, self.config),
            **application.SERVER_OPTIONS,
        )
        self._stops.push_async_callback(self.http.close_all_connections)
        self._stops.push_async_callback(self.realtime.stop)
        await self.realtime.start()
        self.bots = Dispatcher(self.core, [eliza])
        self._stops.push_async_callback(self.bots.stop)
        await self.bots.start()

    async def stop(self) -> None:
        """First stop accepting, then finish what is in progress, the database last.

        Also after a `start` that failed, and more than once.
        """
        await self._stops.aclose()


def make_app(config: Config) -> App:
    """Every part, put together; `await app.start()` makes it serve."""
    return App(config)
