"""Handshakes of WebSockets that come whole and first on their connection.

Their handler gets the bare socket, without Tornado's stream, connection and tasks,
which together cost more than all the rest of a client that comes back after a restart
(benchmark `storm`). Nothing is read unless the handler accepts: whatever it would
refuse, and whatever is not quite as usual, is left for Tornado, which finds it
untouched. So a request gets the same answer either way.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

from tornado.httputil import HTTPInputError, HTTPServerRequest
from tornado.web import Application

from hai.web.http.connection import Peer, length_of, parse_head

logger = logging.getLogger(__name__)

HEAD_BYTES = 8 * 1024
PATHS = (b"GET /socket.io/?", b"GET /socket.io?", b"GET /ws ")
END_OF_HEAD = b"\r\n\r\n"
FIRST_BYTE_S = 0.25  # clients send at once; then it is a connection like all others


class Newcomer:
    """A connection on which nothing has come yet.

    go_on: called once something has, or has not for FIRST_BYTE_S; it must take over
    the reading. newcomers: contains this one until then, or until it is closed.
    """

    def __init__(
        self,
        sock: socket.socket,
        go_on: Callable[["Newcomer"], None],
        newcomers: "dict[Newcomer, None]",
    ) -> None:
        self.sock = sock
        self._go_on = go_on
        self._newcomers = newcomers
        newcomers[self] = None
        self._loop = asyncio.get_running_loop()
        self._is_fresh = True
        self._loop.call_soon(self._settle)
        self._loop.add_reader(sock, self.end)
        self._timer = self._loop.call_later(FIRST_BYTE_S, self.end)

    def _settle(self) -> None:
        self._is_fresh = False

    @property
    def is_silent(self) -> bool:
        """Whether nothing has come. Not known in the turn in which it was accepted:
        clients write when they hear that they are connected."""
        if self._is_fresh:
            return False
        try:
            return not self.sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except OSError:
            return True

    def end(self) -> None:
        """It is new no longer."""
        self._timer.cancel()
        self._newcomers.pop(self, None)
        self._go_on(self)

    def stop_reading(self) -> None:
        self._loop.remove_reader(self.sock)

    def close(self) -> None:
        self._timer.cancel()
        self._newcomers.pop(self, None)
        self.stop_reading()
        self.sock.close()


class EarlyConnection:
    """The little of a connection that a handler asks for before it answers."""

    def __init__(self, peer: Peer) -> None:
        self.context = peer

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Nobody reads, so nobody notices."""


def take(application: Application, sock: socket.socket, peer: Peer) -> bool:
    """Whether a handler has taken the socket. If not, nothing has happened.

    Never raises: whoever reads the socket next would be called for it without end.
    """
    try:
        return _take(application, sock, peer)
    except Exception:
        logger.exception("a handshake could not be taken early")
        return False


def _take(application: Application, sock: socket.socket, peer: Peer) -> bool:
    found = _peek(sock, peer)
    if found is None:
        return False
    request, head_bytes = found
    target: Any = application.find_handler(request)
    handler_class: Any = getattr(target, "handler_class", None)
    if not hasattr(handler_class, "take_early"):
        return False
    handler = handler_class(application, request, **target.handler_kwargs)
    return bool(handler.take_early(sock, head_bytes))


def _peek(sock: socket.socket, peer: Peer) -> tuple[HTTPServerRequest, int] | None:
    """The request and how long its head is, if it is there and might be taken."""
    try:
        data = sock.recv(HEAD_BYTES, socket.MSG_PEEK | socket.MSG_DONTWAIT)
    except OSError:  # most often: nothing has come yet
        return None
    end = data.find(END_OF_HEAD) + len(END_OF_HEAD)
    if not data.startswith(PATHS) or end < len(END_OF_HEAD):
        return None
    try:
        start_line, headers = parse_head(data[:end])
        if "Expect" in headers or length_of(start_line, headers) != 0:
            return None
        connection: Any = EarlyConnection(peer)
        request = HTTPServerRequest(
            start_line=start_line, headers=headers, connection=connection
        )
    except HTTPInputError:
        return None
    return request, end
