"""Accepts connections while there are file descriptors for them, and no longer.

At the limit Tornado's own accept loop spins: 97 % of a core and 70,000 log lines a
second. Here the last descriptors are kept for the database and for child processes;
when the others are used up nothing is accepted until there are some again, new
connections wait in the kernel's queue, and one line says so.

Headers that are too long are answered: Tornado would end the connection without a word.
"""

import contextlib
import json
import logging
import os
import resource
import socket
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.ioloop import IOLoop
from tornado.iostream import IOStream, UnsatisfiableReadError

from hai.errors import TooLarge

logger = logging.getLogger(__name__)

KEPT_FILES = 32  # database and log files, a thumbnail's pipes, the control socket
PAUSE_S = 0.5
SAY_EVERY_S = 60.0


def _long_head_answer() -> bytes:
    error = TooLarge("The headers of this request are too long.")
    body = json.dumps({"error": error.as_dict()})
    head = (
        "HTTP/1.1 431 Request Header Fields Too Large",
        "Content-Type: application/json",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*head, "", body)).encode()


LONG_HEAD_ANSWER = _long_head_answer()


class Stream(IOStream):
    """One connection, which ends with an answer when a head has no end.

    Who still sends then may lose it, as with any answer before the end of a request.
    """

    _is_in_head = False

    def read_until_regex(self, *args: Any, **kwargs: Any) -> Any:
        self._is_in_head = True  # only heads are read in this way
        return super().read_until_regex(*args, **kwargs)

    def read_until(self, *args: Any, **kwargs: Any) -> Any:
        self._is_in_head = False  # the length of a chunk of a body
        return super().read_until(*args, **kwargs)

    def close(self, exc_info: Any = False) -> None:
        is_long_head = isinstance(exc_info, UnsatisfiableReadError) and self._is_in_head
        if is_long_head and not (self.closed() or self.writing()):
            with contextlib.suppress(OSError):
                self.write_to_fd(memoryview(LONG_HEAD_ANSWER))
        super().close(exc_info)


class Listener(HTTPServer):
    """Tornado's server, which rests when files run out."""

    def handle_stream(self, stream: IOStream, address: Any) -> None:
        """Tornado makes streams of its own class; nothing was read of this one yet."""
        ours = Stream(
            stream.socket,
            max_buffer_size=stream.max_buffer_size,
            read_chunk_size=stream.read_chunk_size,
        )
        super().handle_stream(ours, address)

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        super().initialize(*args, **kwargs)
        soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        self._last_file = soft - KEPT_FILES
        self._say_at = 0.0

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
        """Also while it rests, when nothing is registered with the loop."""
        for handle in self._sockets:
            self._handlers.setdefault(handle, lambda: None)
        super().stop()


def _next_file(sock: socket.socket) -> int:
    """The descriptor that the next connection would get: the lowest free one."""
    copy = os.dup(sock.fileno())
    os.close(copy)
    return copy
