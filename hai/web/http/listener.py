"""Accepts connections only while there are file descriptors for them.

At the limit, Tornado's own accept loop spins: 97 % of a core and 70,000 log lines a
second. Here the last descriptors are reserved for the database and for child processes;
when the others are used up nothing is accepted until some are free again, new
connections wait in the kernel's queue, and one line is logged.

Connections are ours (connection.py), including those that are being closed.
"""

import asyncio
import logging
import os
import resource
import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream

from hai.web.http.connection import Peer, ServerConnection, Stream, linger

logger = logging.getLogger(__name__)

KEPT_FILES = 32  # database and log files, a thumbnail's pipes, the control socket
PAUSE_S = 0.5
SAY_EVERY_S = 60.0


class Listener(HTTPServer):
    """Tornado's server, which pauses when descriptors run out."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        super().initialize(*args, **kwargs)
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._last_file = soft - KEPT_FILES
        self._say_at = 0.0
        self._lingering: set[asyncio.Task[None]] = set()

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Tornado makes streams of its own class; nothing was read from this one."""
        ours = Stream(
            stream.socket,
            self._linger,
            max_buffer_size=stream.max_buffer_size,
            read_chunk_size=stream.read_chunk_size,
        )
        served = ServerConnection(ours, self.conn_params, Peer(address[0]))
        self._connections.add(served)
        served.start_serving(self)

    def _linger(self, sock: socket.socket) -> None:
        task = asyncio.ensure_future(linger(sock))
        self._lingering.add(task)
        task.add_done_callback(self._lingering.discard)

    async def close_all_connections(self) -> None:
        await super().close_all_connections()
        for task in self._lingering:
            task.cancel()
        await asyncio.gather(*self._lingering, return_exceptions=True)

    def _handle_connection(self, connection: socket.socket, address: Any) -> None:
        super()._handle_connection(connection, address)
        if connection.fileno() >= self._last_file >= 0:  # the one that was accepted
            self._rest()

    def _rest(self) -> None:
        loop = IOLoop.current()
        if loop.time() >= self._say_at:
            self._say_at = loop.time() + SAY_EVERY_S
            logger.error("no more file descriptors: new connections wait")
        waiting = list(self._sockets.values())
        for stop_accepting in self._handlers.values():
            stop_accepting()
        self._handlers.clear()
        loop.call_later(PAUSE_S, self._accept_again, waiting)

    def _accept_again(self, waiting: list[socket.socket]) -> None:
        if self._stopped:
            return
        if _next_file(waiting[0]) < self._last_file:
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
    copy = os.dup(sock.fileno())
    os.close(copy)
    return copy
