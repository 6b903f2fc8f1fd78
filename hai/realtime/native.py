"""`/ws`: the same orders and facts for programs without a Socket.IO library.

Text frames with JSON arrays: `[order, payload, id?]` in, `[fact, payload]` and `["ack",
id, payload]` out. Anything else is answered with `["error", {code, message}]`; after
ten such errors the connection is closed with 1008. WebSocket pings keep it alive.
"""

import asyncio
import socket
from functools import partial
from typing import Any

from tornado.web import stream_request_body

from hai import errors
from hai.realtime.orders import Ack, OrderRunner
from hai.realtime.presence import Tabs
from hai.realtime.wire import frames
from hai.realtime.wire.engine import MAX_PAYLOAD_BYTES, Engine
from hai.realtime.wire.handshake import HandshakeChecks, Requester
from hai.realtime.wire.outbox import (
    NO_NATIVE_FRAMES,
    SESSION_ENDED,
    Fact,
)
from hai.realtime.wire.packets import (
    AckCache,
    dumps,
    loads,
)
from hai.realtime.wire.tab import Tab
from hai.realtime.wire.transport import SocketHandler, drop_early
from hai.realtime.wire.websocket import WebSocket

PING_INTERVAL_S = 20.0
MAX_MISTAKES = 10
MAX_ID_CHARS = 64
PING_FRAME = frames.frame(b"", frames.PING)


class NativeServer:
    """What all sockets of `/ws` share."""

    def __init__(
        self,
        *,
        handshake: HandshakeChecks,
        runner: OrderRunner,
        tabs: Tabs,
        engine: Engine,
        ack_cache: AckCache,
    ) -> None:
        self.ack_cache = ack_cache
        self.handshake = handshake
        self.runner = runner
        self.tabs = tabs
        self.engine = engine
        self.wheel = engine.wheel
        self.flusher = engine.flusher
        self.sockets: set[NativeSocket] = set()


class NativeSocket(Tab):
    """One plain WebSocket, of a program or a page."""

    slot: set[Any] | None = None
    mistakes = 0
    has_ping_out = False

    def __init__(self, server: NativeServer, requester: Requester) -> None:
        assert requester.identity is not None
        self.server = server
        self.flusher = server.flusher
        self.pending = NO_NATIVE_FRAMES
        self.address = requester.address
        self.identity = requester.identity
        self.is_open = True
        self.wire: WebSocket

    def start(self, wire: WebSocket) -> None:
        self.wire = wire
        self.server.sockets.add(self)
        self.server.wheel.add(self, self.flusher.loop.time() + PING_INTERVAL_S)
        assert self.identity is not None
        self.server.tabs.enter(self, self.identity.user_id)

    # --- In --------------------------------------------------------------------------

    def on_text(self, text: str) -> "asyncio.Future[Any] | None":
        try:
            self.server.runner.admit_bulk(self, len(text))
            name, payload, order_id = _order_of(text)
        except errors.HaiError as error:
            self._mistake(error)
            return None
        reply = _silence if order_id is None else partial(self._ack, order_id)
        return self.server.runner.start(self, name, [payload], reply, len(text))

    def on_binary(self, data: bytes) -> None:
        self._mistake(errors.BadRequest("Text frames only."))

    def _ack(self, order_id: int | str, ack: Ack) -> None:
        if self.is_open:
            said = self.server.ack_cache.dumps(ack)
            self.push(Fact(f'["ack",{dumps(order_id)},{said}]'.encode()))

    def _mistake(self, error: errors.HaiError) -> None:
        self.mistakes += 1
        self.push(Fact(dumps(["error", error.as_dict()]).encode()))
        if self.mistakes >= MAX_MISTAKES:
            self.hang_up(frames.POLICY)

    def on_pong(self) -> None:
        self.has_ping_out = False

    # --- Out -------------------------------------------------------------------------

    def flush(self) -> None:
        place, self.pending = self.pending, NO_NATIVE_FRAMES
        if place is not NO_NATIVE_FRAMES:
            self.wire.send(place.joined())

    def on_due(self, now_s: float) -> float | None:
        """Ping, or close if the last ping was not answered."""
        if self.has_ping_out:
            self.hang_up(frames.GOING_AWAY)
            return None
        self.has_ping_out = True
        self.wire.send(PING_FRAME)
        return now_s + PING_INTERVAL_S

    @property
    def has_hung_up(self) -> bool:
        return self.wire.has_hung_up

    # --- The end ---------------------------------------------------------------------

    def end_session(self) -> None:
        self.push(SESSION_ENDED)
        self.hang_up(frames.NORMAL)

    def hang_up(self, code: int) -> None:
        if self.is_open:
            self.flush()
            self.wire.close(code)
            self.on_closed(code)

    def on_closed(self, code: int) -> None:
        if not self.is_open:
            return
        self.is_open = False
        server = self.server
        server.sockets.discard(self)
        server.wheel.remove(self)
        if self.identity is not None:
            server.tabs.leave(self, self.identity.user_id)
        server.runner.forget(self)
        server.handshake.release(self.address, self.identity)
        if self.relief is not None and not self.relief.done():
            self.relief.set_result(None)


@stream_request_body
class NativeHandler(SocketHandler):
    """The handshake. All checks come before the 101 and before a body is read."""

    SUPPORTED_METHODS = ("GET",)

    def initialize(self, server: NativeServer) -> None:
        self.server = server

    def prepare(self) -> None:
        try:
            self.check_handshake()
            requester = self.server.handshake.check(self.request)
            if requester.identity is None:
                raise errors.Unauthorized()
        except errors.HaiError as error:
            self.refuse(error)
            return
        self.requester = requester

    def data_received(self, chunk: bytes) -> None:
        """Never called: a request with a body is refused."""

    def take_early(self, sock: socket.socket, head_bytes: int) -> bool:
        try:
            self.check_handshake()
            requester = self.server.handshake.check(self.request, counts=False)
            if requester.identity is None:
                return False
            self.server.handshake.admit(requester)
        except errors.HaiError:
            return False
        found = NativeSocket(self.server, requester)
        try:
            answer = self._answer_early(sock, head_bytes)
            wire = self.server.engine.wire(sock, found, MAX_PAYLOAD_BYTES)
        except OSError:  # lost at this moment
            self.server.handshake.release(requester.address, requester.identity)
            drop_early(sock)
            return True
        wire.send(answer)
        found.start(wire)
        wire.start()
        return True

    def get(self) -> None:
        try:
            self.server.handshake.admit(self.requester)
        except errors.HaiError as error:
            self.refuse(error)
            return
        accepted = self.accept()
        if accepted is None:
            self.server.handshake.release(
                self.requester.address, self.requester.identity
            )
            return
        sock, early = accepted
        found = NativeSocket(self.server, self.requester)
        wire = self.server.engine.wire(sock, found, MAX_PAYLOAD_BYTES)
        found.start(wire)
        wire.start(early)


def _silence(ack: Ack) -> None:
    """Without an id there is no ack."""


def _order_of(text: str) -> tuple[str, Any, int | str | None]:
    """(order, payload, id or None). Raises BadRequest."""
    try:
        message = loads(text)
    except ValueError:
        raise errors.BadRequest("That is not JSON.") from None
    if not isinstance(message, list) or not 2 <= len(message) <= 3:
        raise errors.BadRequest("Send [order, payload, id].")
    name, payload, order_id = message if len(message) == 3 else (*message, None)
    if not isinstance(name, str):
        raise errors.BadRequest("An order's name is a string.")
    if isinstance(order_id, str) and len(order_id) > MAX_ID_CHARS:
        raise errors.BadRequest("That id is too long.")
    if order_id is not None and type(order_id) not in (int, str):
        raise errors.BadRequest("An id is a number or a string.")
    return name, payload, order_id
