"""Accepts connections only while there are file descriptors for them.

At the limit, Tornado's own accept loop spins: 97 % of a core and 70,000 log lines a
second. Here the last descriptors are reserved for the database, for child processes and
for the operator; when the others are used up, connections on which nothing happens are
closed, so that those who ask for something are served. Where there are none, whoever
comes has one of the operator's until their request is read: /healthz and /metrics are
answered, everything else is refused with 503, and one line is logged. Should even those
be used up, nothing is accepted until some are free again.

What many connections leave behind is given back to the system some seconds after they
have ended.

Few connections are accepted in one turn of the loop, so that a crowd at the door costs
those who are inside little; the others wait in the kernel's queue.

Connections are ours (connection.py), including those that are being closed.
"""

import asyncio
import gc
import logging
import os
import resource
import socket
import sys
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream
from tornado.web import Application

from hai.metrics import resident_bytes
from hai.web.http.connection import Peer, QuietConnections, ServerConnection, Stream
from hai.web.http.newcomers import Newcomer, take
from hai.web.http.templates import give_back
from hai.web.http.waiting import Waiting

logger = logging.getLogger(__name__)

KEPT_FILES = 32  # database and log files, a thumbnail's pipes, the control socket
SPARE_FILES = 16  # for the operator's questions; the oldest goes for the next
# Ended connections leave cyclic garbage, and freed memory that the allocator keeps:
# 70 to 90 MiB after a flood of 5,000. Giving it back stops the loop for 50 to 100 ms,
# so it must be worth it.
TIDY_AFTER, TIDY_S = 1_000, 10.0
TIDY_BYTES = 24 * 1024 * 1024
PAUSE_S = 0.5
ACCEPTED_A_TURN = 8  # 2 to 5 ms of work; Tornado takes up to 128
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
        self._end_file = NO_LIMIT if soft < 0 else soft - KEPT_FILES
        self._last_file = self._end_file - SPARE_FILES
        self._say_at = 0.0
        self._is_trusted = is_trusted
        self._newcomers: dict[Newcomer, None] = {}  # the oldest first
        share = min(self._last_file // SHARE, MOST_SILENT)
        self.quiet = QuietConnections(max(share, FEW_SILENT))
        self._spare: Waiting[Stream] = Waiting(Stream.close)
        self._ended_count = 0  # connections, since memory was last looked at
        self._least_bytes = resident_bytes()

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on these, as Tornado does but a few at a time."""
        for sock in sockets:
            handle = sock.fileno()
            self._sockets[handle] = sock
            self._handlers[handle] = partial(IOLoop.current().remove_handler, sock)
            IOLoop.current().add_handler(sock, self._accept_some, IOLoop.READ)

    def _accept_some(self, sock: socket.socket, _events: int) -> None:
        handle = sock.fileno()
        for _ in range(ACCEPTED_A_TURN):
            if handle not in self._handlers:  # full now, or stopped
                return
            try:
                connection, address = sock.accept()
            except BlockingIOError:
                return
            except ConnectionAbortedError:  # it has left the queue already
                continue
            self._handle_connection(connection, address)

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Tornado makes streams of its own class; nothing was read from this one."""
        ours = Stream(
            stream.socket,
            self.quiet,
            "" if self._is_trusted(address[0]) else address[0],
            max_buffer_size=stream.max_buffer_size,
            read_chunk_size=stream.read_chunk_size,
        )
        if stream.socket.fileno() >= self._last_file and not self._make_room():
            self._spend_spare(ours)
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

    def _spend_spare(self, stream: Stream) -> None:
        self._say_full()
        self.quiet.end_lingering()
        stream.is_spare = True
        self._spare.add(stream)
        if len(self._spare) > SPARE_FILES:
            self._spare.close_oldest()

    def on_close(self, server_conn: object) -> None:
        assert isinstance(server_conn, ServerConnection)
        super().on_close(server_conn)
        self._spare.discard(server_conn.stream)
        self._ended_count += 1
        if self._ended_count == TIDY_AFTER:
            IOLoop.current().call_later(TIDY_S, self._tidy)

    def _tidy(self) -> None:
        """If the process is much larger than it was after the last time, or ever."""
        self._ended_count = 0
        if resident_bytes() > self._least_bytes + TIDY_BYTES:
            gc.collect()
            give_back()
            self._least_bytes = resident_bytes()
        self._least_bytes = min(self._least_bytes, resident_bytes())

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
        """Whether one more can be accepted, if only to be refused."""
        return _next_file(sock) < self._end_file or self._make_room()

    def _make_room(self) -> bool:
        """Close the connection that is missed the least; False: there is none."""
        quiet = self.quiet
        if quiet.silent.close_oldest() or self._close_newcomer():
            return True
        return quiet.idle.close_oldest()

    def _close_newcomer(self) -> bool:
        for newcomer in self._newcomers:
            if newcomer.is_silent:
                newcomer.close()
                return True
        return False

    def _say_full(self) -> None:
        loop = IOLoop.current()
        if loop.time() >= self._say_at:
            self._say_at = loop.time() + SAY_EVERY_S
            logger.error("no more file descriptors: new connections are refused")

    def _rest(self) -> None:
        loop = IOLoop.current()
        self._say_full()
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
