"""The composition root: makes every part, starts them, stops them in order.

Nothing else in Hai builds its own parts, and there are no globals but the
Peewee models' binding: one process, one database.
"""

import contextlib
import gc
import logging
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor

from tornado.netutil import bind_sockets

from hai.bots.dispatcher import Dispatcher
from hai.bots.eliza import Eliza
from hai.bus import Bus
from hai.config import Config
from hai.core import orders
from hai.core.context import Core
from hai.core.pictures import Sweeper
from hai.core.presence import Presence
from hai.core.reading import Reading
from hai.core.thumbnail_queue import ThumbnailQueue
from hai.realtime import server as realtime_server
from hai.storage.database import Database
from hai.web import application
from hai.web.listener import Listener

logger = logging.getLogger(__name__)

CPU_THREADS = 2  # password hashes take 19 MiB and 30 ms each: two at a time
# Python's own, (700, 10, 10), have it look for cycles all the time when thousands
# connect: a quarter of what that costs (benchmark `storm`), and 7 % of `posts`.
GC_THRESHOLDS = (20_000, 20, 100)
BACKLOG = 4096  # a restart brings everybody at once; the kernel may allow less


def make_core(config: Config) -> Core:
    """The parts below the edges, not started yet."""
    bus = Bus()
    db = Database(
        config.database_path, durability=config.durability, publish=bus.publish
    )
    executor = ThreadPoolExecutor(CPU_THREADS, thread_name_prefix="cpu")
    reading = Reading(is_on=config.rate_limits)
    db.readers.on_cost = reading.charge
    return Core(config, db, bus, Presence(bus), executor, reading)


@contextlib.asynccontextmanager
async def open_core(config: Config) -> AsyncIterator[Core]:
    """A core with its database open and no edges: for commands on their own."""
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

    @property
    def url(self) -> str:
        """Where it answers: public_url if set, else the address it listens on."""
        host = self.config.address
        if host in ("", "0.0.0.0", "::"):
            host = "127.0.0.1"
        shown = f"[{host}]" if ":" in host else host
        return self.config.public_url or f"http://{shown}:{self.port}"

    async def start(self) -> None:
        """Listen once everything behind the port is ready."""
        sockets = bind_sockets(self.config.port, self.config.address, backlog=BACKLOG)
        self.port = sockets[0].getsockname()[1]
        self.core.url = self.url
        await self.core.db.start()
        self.sweeper = Sweeper(self.core)
        self.sweeper.start()
        self.thumbnails = ThumbnailQueue(self.core)
        self.thumbnails.start()
        eliza = Eliza()
        self.realtime = realtime_server.build(self.core, orders.run, eliza.reply_to)
        await self.realtime.start()
        self.bots = Dispatcher(self.core, [eliza])
        await self.bots.start()
        self.web = application.build(self.core, self.realtime.url_specs())
        self.web.metrics.watch("hai_sockets", lambda: self.realtime.socket_count)
        self.http = Listener(self.web, **application.SERVER_OPTIONS)
        self.http.add_sockets(sockets)
        gc.set_threshold(*GC_THRESHOLDS)
        gc.collect()
        gc.freeze()  # what lives as long as the process is never looked at again

    async def stop(self) -> None:
        """First nothing new, then what is under way, the database last."""
        self.http.stop()
        await self.bots.stop()
        await self.realtime.stop()
        await self.http.close_all_connections()
        await self.web.close()
        await self.sweeper.stop()
        await self.thumbnails.stop()
        await self.core.db.stop()
        self.core.presence.close()
        self.core.executor.shutdown(wait=False)


def make_app(config: Config) -> App:
    """Every part, put together; `await app.start()` makes it serve."""
    return App(config)
