"""Accepts connections only while there are file descriptors for them.

At the limit, Tornado's own accept loop spins: 97 % of a core and 70,000 log lines a
second. Here the last descriptors are reserved for the database and for child processes;
when the others are used up, connections on which nothing happens are closed, so that
those who ask for something are served (also the operator, who asks for /healthz). Where
there are none, nothing is accepted until some are free again, new connections wait in
the kernel's queue, and one line is logged.

Connections are ours (connection.py), including those that are being closed.
"""

import asyncio
import logging
import os
import resource
import socket
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream
from tornado.web import Application

from hai.web.http.connection import Peer, QuietConnections, ServerConnection, Stream
from hai.web.http.newcomers import Newcomer, take

logger = logging.getLogger(__name__)

KEPT_FILES = 32  # database and log files, a thumbnail's pipes, the control socket
PAUSE_S = 0.5
SAY_EVERY_S = 60.0
# Of the descriptors for connections one address may have a quarter silent; but an
# unfinished head may be 16 KiB, so no more than this however many there are.
SHARE = 4
MOST_SILENT = 4_000
FEW_SILENT = 8  # of one address, for which there is always room
NO_LIMIT = sys.maxsize - 1


class Listener(HTTPServer):
    """Tornado's server, which pauses when descriptors run out.

    is_trusted(peer): whether it is a proxy, and brings many people.
    """

    def initialize(
        self,
        *args: Any,
        is_trusted: Callable[[str], bool] = lambda peer: False,
        **kwargs: Any,
    ) -> None:
        super().initialize(*args, **kwargs)
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._last_file = NO_LIMIT if soft < 0 else soft - KEPT_FILES
        self._say_at = 0.0
        self._is_trusted = is_trusted
        self._newcomers: set[Newcomer] = set()
        share = min(self._last_file // SHARE, MOST_SILENT)
        self.quiet = QuietConnections(max(share, FEW_SILENT))

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Tornado makes streams of its own class; nothing was read from this one."""
        ours = Stream(
            stream.socket,
            self.quiet,
            "" if self._is_trusted(address[0]) else address[0],
            max_buffer_size=stream.max_buffer_size,
            read_chunk_size=stream.read_chunk_size,
        )
        served = ServerConnection(ours, self.conn_params, Peer(address[0]))
        self._connections.add(served)
        served.start_serving(self)

    async def close_all_connections(self) -> None:
        for newcomer in list(self._newcomers):
            newcomer.close()
        await super().close_all_connections()
        lingering = [*self.quiet.lingering]
        self.quiet.end_lingering()
        await asyncio.gather(*lingering, return_exceptions=True)

    def _handle_connection(self, connection: socket.socket, address: Any) -> None:
        is_last = connection.fileno() >= self._last_file
        if is_last or self.ssl_options is not None:
            super()._handle_connection(connection, address)
        elif not self._take_early(connection, address):
            go_on = partial(self._go_on, address)
            Newcomer(connection, go_on, self._newcomers)
        is_lost = connection.fileno() < 0  # already
        if not (is_lost or self._has_room(connection)):
            self._rest()

    def _go_on(self, address: Any, newcomer: Newcomer) -> None:
        """Something has come, or too long nothing."""
        if not self._take_early(newcomer.sock, address):
            newcomer.stop_reading()
            super()._handle_connection(newcomer.sock, address)

    def _take_early(self, connection: socket.socket, address: Any) -> bool:
        """Whether it was a WebSocket's, and its handler has it."""
        application = self.request_callback
        return isinstance(application, Application) and take(
            application, connection, Peer(address[0])
        )

    def _has_room(self, sock: socket.socket) -> bool:
        """Whether there is a descriptor for one more, or can be."""
        if _next_file(sock) < self._last_file:
            return True
        for newcomer in list(self._newcomers):
            newcomer.end()
        return self.quiet.make_room()

    def _rest(self) -> None:
        loop = IOLoop.current()
        if loop.time() >= self._say_at:
            self._say_at = loop.time() + SAY_EVERY_S
            logger.error("no more file descriptors: new connections wait")
        self.quiet.end_lingering()
        waiting = list(self._sockets.values())
        for stop_accepting in self._handlers.values():
            stop_accepting()
        self._handlers.clear()
        loop.call_later(PAUSE_S, self._accept_again, waiting)

    def _accept_again(self, waiting: list[socket.socket]) -> None:
        if self._stopped:
            return
        if self._has_room(waiting[0]):
            self.add_sockets(waiting)
        else:
            IOLoop.current().call_later(PAUSE_S, self._accept_again, waiting)

    def stop(self) -> None:
        """Also while paused, when nothing is registered with the loop."""
        for handle in self._sockets:
            self._handlers.setdefault(handle, lambda: None)
        super().stop()


def _next_file(sock: socket.socket) -> int:
    """The descriptor that the next connection would get: the lowest free one."""
    try:
        copy = os.dup(sock.fileno())
    except OSError:  # even what was kept is used up
        return sys.maxsize
    os.close(copy)
    return copy
