"""Engine.IO: sessions and their sockets, without a task or queue for each.

`Engine` is python-engineio's server with another socket class and heartbeat; its API
(`on`, `send`, `disconnect`, `transport`) is unchanged. A session is an `EngineSocket`:
an outbox that is flushed to a WebSocket or to the waiting poll. Messages are passed on
as they are read. Input is never dropped and never reordered: a malformed packet ends
the session instead.
"""

import asyncio
import base64
import binascii
import json
import logging
import os
import socket as sockets
import types
from collections.abc import Callable, Generator
from typing import Any

import engineio
from engineio import packet as eio
from engineio.async_socket import AsyncSocket

from hai.core.identity.sessions import Identity
from hai.realtime.wire import frames
from hai.realtime.wire.backlog import MAX_PACKETS as MAX_POLL_PACKETS
from hai.realtime.wire.backlog import Backlog
from hai.realtime.wire.handshake import HandshakeChecks, Requester
from hai.realtime.wire.heartbeat import TimerWheel
from hai.realtime.wire.outbox import (
    NO_FRAMES,
    NO_PAYLOAD,
    SEPARATOR,
    SESSION_ENDED,
    Fact,
    Flusher,
    Pending,
)
from hai.realtime.wire.packets import Malformed
from hai.realtime.wire.tab import Tab
from hai.realtime.wire.websocket import (
    FRAMES_WINDOW_S,
    FULL_BYTES,
    MAX_FRAMES,
    MessageHandler,
    WebSocket,
)

MAX_PAYLOAD_BYTES = 1_000_000  # one message or polling payload; sent in OPEN
MAX_UNAUTHENTICATED_BYTES = 4096  # before authentication: one CONNECT with a token
MAX_PACKETS = 20_000  # in one polling payload; more end the session
UNAUTHENTICATED_CONNECT_S = 5.0  # to send a CONNECT with a token
CONNECT_S = 30.0  # to send CONNECT when signed in, over a bad line
PACKETS_A_TURN = 64
FULL_PAUSE_S = 0.02  # between checks whether a full outbox has emptied
NOOP_PAUSE_S = 0.1  # between two polls that end with a NOOP during an upgrade
ID_BYTES, IDS_AT_ONCE = 18, 64
MAX_REFUSED_CONNECTS = 5  # of an unauthenticated client; then it is closed

PING = Fact(b"2")
NOOP = Fact(b"6")
CLOSE = Fact(b"1")
DISCONNECT = Fact(b"41")

Future = asyncio.Future[Any]
# Receives messages; returns what the next message must wait for, if anything.
Receiver = Callable[["EngineSocket", str | bytes], Future | None]

# python-socketio keeps a WSGI environ per session and hands it to `connect`
# handlers. Ours use the socket's identity instead, so all share an empty one.
NO_ENVIRON: dict[str, Any] = {}

logger = logging.getLogger(__name__)


class Engine(engineio.AsyncServer):
    """Opens, finds and ends sessions. `receiver` gets their messages."""

    def __init__(
        self, *, handshake: HandshakeChecks, flusher: Flusher, **options: Any
    ) -> None:
        super().__init__(
            async_mode="tornado",
            monitor_clients=False,  # the wheel does it
            max_http_buffer_size=MAX_PAYLOAD_BYTES,
            **options,
        )
        self.handshake = handshake
        self.flusher = flusher
        self.wheel = TimerWheel(
            flusher.loop, min(self.ping_interval, self.ping_timeout)
        )
        self.receiver: Receiver = self._receive
        self.on_end: Callable[[EngineSocket], None] = _nothing
        self.connect_timeout_s = (
            UNAUTHENTICATED_CONNECT_S if handshake.requires_sign_in else CONNECT_S
        )
        self.wires: set[WebSocket] = set()  # all, including those that are closing
        self._tasks: set[asyncio.Task[Any]] = set()
        self._random = b""

    def create_queue(self, *args: Any, **kwargs: Any) -> None:
        """No queue: a socket has an outbox."""

    def generate_id(self) -> str:
        """For a session, and for each namespace in it: 144 random bits.

        Read from the kernel for many ids at once (benchmark `storm`: 30 us a client).
        """
        if not self._random:
            self._random = os.urandom(ID_BYTES * IDS_AT_ONCE)
        drawn, self._random = self._random[:ID_BYTES], self._random[ID_BYTES:]
        return base64.urlsafe_b64encode(drawn).decode()

    def find(self, sid: str) -> "EngineSocket | None":
        found: EngineSocket | None = self.sockets.get(sid)
        return found

    def open_session(self, requester: Requester) -> "EngineSocket":
        """A new session with its OPEN packet pending. Raises HaiError."""
        self.handshake.admit(requester)
        socket = EngineSocket(self, self.generate_id(), requester)
        self.sockets[socket.sid] = socket
        socket.start_heart()
        return socket

    def wire(
        self, sock: sockets.socket, handler: MessageHandler, max_bytes: int
    ) -> WebSocket:
        """A WebSocket on a connection that was answered with 101."""
        is_paced = self.handshake.config.rate_limits
        return WebSocket(sock, handler, max_bytes, self.wires, is_paced=is_paced)

    def open_packet(self, sid: str, upgrades: list[str]) -> Fact:
        """The OPEN packet; times are in whole milliseconds."""
        handshake = {
            "sid": sid,
            "upgrades": upgrades,
            "pingInterval": round(self.ping_interval * 1000),
            "pingTimeout": round(self.ping_timeout * 1000),
            "maxPayload": self.max_http_buffer_size,
        }
        return Fact(json.dumps(handshake, separators=(",", ":")).encode(), b"0")

    async def announce(self, socket: "EngineSocket") -> None:
        """Call the `connect` handler. Never raises: a refusal closes the socket."""
        accepted = await self._trigger_event("connect", socket.sid, NO_ENVIRON)
        if accepted is False:
            socket.end("server disconnect", frames.POLICY)

    def announce_now(self, socket: "EngineSocket") -> None:
        """The same; what it waits for comes afterwards."""
        self.run_now(self.announce(socket))

    async def send_packet(self, sid: str, pkt: eio.Packet) -> None:
        """To one session; nothing happens if it is gone."""
        if socket := self.find(sid):
            await socket.send(pkt)

    async def disconnect(self, sid: str | None = None) -> None:
        gone = list(self.sockets.values()) if sid is None else [self.find(sid)]
        for socket in gone:
            if socket is not None:
                socket.end(self.reason.SERVER_DISCONNECT, frames.NORMAL)

    def run(self, coroutine: Any) -> asyncio.Task[Any]:
        """A task that is kept alive; its exception is logged."""
        task: asyncio.Task[Any] = asyncio.ensure_future(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._task_done)
        return task

    def run_now(self, coroutine: Any) -> asyncio.Task[Any] | None:
        """The same, begun at once: mostly it ends at once, too, and needs no task.

        A task and a turn of the loop for it cost 20 us (benchmark `storm`).
        """
        try:
            waits_for = coroutine.send(None)
        except StopIteration:
            return None
        except Exception:
            logger.exception("a handler failed")
            return None
        return self.run(_go_on(coroutine, waits_for))

    async def finish(self, timeout_s: float) -> None:
        """When the server stops: wait for the clients' close frames and for the
        disconnect handlers, then drop the rest."""
        self.wheel.stop()
        deadline_s = self.flusher.loop.time() + timeout_s
        while self.wires and self.flusher.loop.time() < deadline_s:
            await asyncio.sleep(0.01)
        for wire in list(self.wires):
            wire.drop()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)

    def _task_done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.error("a handler failed", exc_info=error)

    def _receive(self, socket: "EngineSocket", message: str | bytes) -> Future | None:
        """Without Socket.IO on top: the `message` handler, one at a time."""
        return self.run(self._trigger_event("message", socket.sid, message))


class EngineSocket(Tab, AsyncSocket):
    """One session on either transport.

    wire: its WebSocket, once it has one; until then a backlog, and poll: the waiting
    GET. probe: a WebSocket that wants to take over. posting: done when the POST in
    progress is. identity: who is signed in on it.
    """

    server: Engine
    closed: bool
    slot: set[Any] | None = None
    wire: WebSocket | None = None
    probe: WebSocket | None = None
    backlog: Backlog | None = None
    poll: "asyncio.Future[bytes] | None" = None
    poll_packets = MAX_POLL_PACKETS  # that the client accepts in one response
    posting: "asyncio.Future[None] | None" = None
    stall_timer: asyncio.TimerHandle | None = None  # while the client does not poll
    packet_count = 0  # in POSTs, since packets_since_s
    packets_since_s = 0.0
    polled_as = posted_as = 0  # hashes of the `t` of its last GET and POST; 0: none
    has_probed = False  # the client waits for its polls to end
    noop_at_s = 0.0  # when the next poll may end with a NOOP
    is_left = False  # the client has ended the session
    refused_connects = 0
    hears_facts = False  # it is connected to the default namespace
    shows_again = (
        False  # all its requests carry the cookie or token, not only the first
    )
    partial: Any = None  # a Socket.IO packet that waits for attachments
    ping_at_s = 0.0
    pong_by_s = 0.0  # 0: no ping is outstanding

    def __init__(self, server: Engine, sid: str, requester: Requester) -> None:
        super().__init__(server, sid)
        self.connected = True
        self.flusher = server.flusher
        self.pending = NO_PAYLOAD
        self.address = requester.address
        self.identity = requester.identity
        self.session_id = requester.session_id  # the sid is theirs
        self.connect_by_s = 0.0

    # --- In --------------------------------------------------------------------------

    def on_text(self, text: str) -> Future | None:
        """One text packet from the WebSocket."""
        try:
            return self.take(text)
        except Malformed:
            self.end(self.server.reason.TRANSPORT_ERROR, frames.PROTOCOL_ERROR)
            return None

    def on_binary(self, data: bytes) -> Future | None:
        try:
            return self.server.receiver(self, data)
        except Malformed:
            self.end(self.server.reason.TRANSPORT_ERROR, frames.PROTOCOL_ERROR)
            return None

    def take(self, packet: str) -> Future | None:
        """One Engine.IO packet. Raises Malformed."""
        kind = packet[:1]
        if kind == "4":
            return self.server.receiver(self, packet[1:])
        if packet == "3":
            self._take_pong()
        elif packet == "1":
            self._end_by_client()
        elif packet != "6":
            raise Malformed("unexpected packet")
        return None

    def _take_pong(self) -> None:
        """The next ping is one interval away: only one is ever outstanding."""
        if not self.pong_by_s:
            return
        now_s, wheel = self.flusher.loop.time(), self.server.wheel
        is_late, self.pong_by_s = now_s >= self.ping_at_s, 0.0
        self.ping_at_s = now_s + self.server.ping_interval
        if is_late:  # the wheel only knows the deadline of the pong
            wheel.remove(self)
            wheel.add(self, min(self.ping_at_s, self.connect_by_s or self.ping_at_s))

    async def take_payload(self, body: bytes) -> None:
        """A polling payload, in order. Raises Malformed, possibly half-way: a payload
        that was not accepted in full is not answered as if it were."""
        try:
            packets = body.decode().split(SEPARATOR.decode())
        except UnicodeDecodeError:
            raise Malformed("not UTF-8") from None
        if len(packets) > MAX_PACKETS:
            raise Malformed("too many packets")
        for number, packet in enumerate(packets, 1):
            while self.is_full and not self.closed:
                await asyncio.sleep(FULL_PAUSE_S)  # for its next poll
            if self.closed:
                if self.is_left:
                    return
                raise Malformed("the session has ended")
            wait = self._take_posted(packet)
            if wait is not None:
                await asyncio.wait([wait])
            elif number % PACKETS_A_TURN == 0:
                await self._rest_between_packets()

    def _take_posted(self, packet: str) -> Future | None:
        """One packet of a POST; binary ones are in base64."""
        if packet[:1] == "b":
            return self.server.receiver(self, _from_base64(packet[1:]))
        return self.take(packet)

    async def _rest_between_packets(self) -> None:
        """Let others run; a flood of packets has to wait, as a flood of frames does."""
        self.packet_count += PACKETS_A_TURN
        pause_s = 0.0
        if self.packet_count >= MAX_FRAMES and self.server.handshake.config.rate_limits:
            now_s = self.flusher.loop.time()
            end_s = max(now_s, self.packets_since_s + FRAMES_WINDOW_S)
            self.packet_count, self.packets_since_s = 0, end_s
            pause_s = end_s - now_s
        await asyncio.sleep(pause_s)

    def is_repeated(self, method: str, stamp: str | None) -> bool:
        """Whether its last GET, or POST, had the same `t`: clients make a new one for
        each request."""
        known = hash(stamp) if stamp else 0
        if method == "POST":
            before, self.posted_as = self.posted_as, known
        else:
            before, self.polled_as = self.polled_as, known
        return known != 0 and known == before

    @property
    def is_full(self) -> bool:
        """Whether so much waits for the client that its next packet has to wait."""
        if self.wire is not None:
            return self.wire.unsent_bytes > FULL_BYTES
        return self.backlog is not None and self.backlog.is_full

    @property
    def has_hung_up(self) -> bool:
        """For polling, an aborted request reports itself."""
        return self.wire is not None and self.wire.has_hung_up

    def _end_by_client(self) -> None:
        self.is_left = True
        if self.poll is not None:  # its GET ends with a NOOP, as clients expect
            self.push(NOOP)
            self.flush()
        self.end(self.server.reason.CLIENT_DISCONNECT, frames.NORMAL, say=False)

    def on_pong(self) -> None:
        """A WebSocket's own pong: not ours, harmless."""

    def on_closed(self, code: int) -> None:
        """The WebSocket ended by itself."""
        reasons = self.server.reason
        slow = code == frames.TRY_LATER
        self.end(reasons.TRANSPORT_ERROR if slow else reasons.TRANSPORT_CLOSE, code)

    # --- Out -------------------------------------------------------------------------

    async def send(self, pkt: eio.Packet) -> None:
        """For python-engineio: one packet for this session alone."""
        if not self.closed:
            data = pkt.encode()
            if isinstance(data, str):
                self.push(Fact(data.encode()))
            else:
                self.push(Fact(data, is_binary=True))

    def flush(self) -> None:
        """Write what is pending to the WebSocket or into the waiting poll."""
        place = self.pending
        wire = self.wire
        if wire is not None:
            self.pending = NO_FRAMES
            if place is not NO_FRAMES:
                wire.send(place.joined())
        elif not self.closed:
            self._flush_to_poll(place)

    def _flush_to_poll(self, place: Pending) -> None:
        self.pending = NO_PAYLOAD
        if self.backlog is None:
            self.backlog = Backlog(self.flusher.loop.time())
        self.backlog.add(place)
        if self.poll is None:
            self._check_stall()
        elif self.backlog and not self.poll.done():
            self._answer_poll(self.backlog)

    def _answer_poll(self, backlog: Backlog) -> None:
        assert self.poll is not None
        now_s = self.flusher.loop.time()
        self.poll.set_result(backlog.take(self.poll_packets, now_s))

    def _check_stall(self) -> None:
        """No poll is waiting: end a session that has had too much unfetched for too
        long."""
        if self.closed or self.backlog is None or self.poll is not None:
            return
        close_at_s = self.backlog.close_at_s(self.flusher.loop.time())
        if close_at_s == 0.0:
            self.end(self.server.reason.TRANSPORT_ERROR, frames.TRY_LATER)
        elif close_at_s is not None and self.stall_timer is None:
            self.stall_timer = self.flusher.loop.call_at(
                close_at_s, self._check_stall_again
            )

    def _check_stall_again(self) -> None:
        self.stall_timer = None
        self._check_stall()

    def wait_poll(self, packets: int) -> "asyncio.Future[bytes]":
        """The payload of a GET: what is pending, or what comes next.

        packets: how many the client accepts in one response.
        """
        self.poll = self.flusher.loop.create_future()
        self.poll_packets = packets
        self.flush()
        if self.has_probed and not self.poll.done():
            self.flusher.loop.call_at(self.noop_at_s, self.release_poll)
        return self.poll

    @property
    def is_fetched(self) -> bool:
        """Whether everything sent is at least on its way."""
        return self.wire is not None or not (
            self.backlog or self.pending is not NO_PAYLOAD
        )

    # --- Upgrade ---------------------------------------------------------------------

    def open_wire(self, wire: WebSocket) -> None:
        """The session starts as a WebSocket or continues as one: the outbox moves over,
        in order."""
        facts = self.backlog.facts() if self.backlog else []
        facts += self.pending.facts()
        self.wire, self.upgraded, self.probe = wire, True, None
        wire.max_message_bytes = self.max_message_bytes
        self.pending, self.backlog = NO_FRAMES, None
        for fact in facts:
            self.push(fact)
        if self.poll is not None and not self.poll.done():
            self.poll.set_result(NOOP.packet)

    def release_poll(self) -> None:
        """During a probe nothing may keep the client's poll open."""
        if self.has_probed and self.poll is not None and not self.poll.done():
            self.noop_at_s = self.flusher.loop.time() + NOOP_PAUSE_S
            self.push(NOOP)
            self.flush()

    # --- Heartbeat -------------------------------------------------------------------

    def start_heart(self) -> None:
        now_s = self.flusher.loop.time()
        is_unauthenticated = self.identity is None
        self.connect_by_s = now_s + (
            self.server.connect_timeout_s if is_unauthenticated else CONNECT_S
        )
        self.ping_at_s = now_s + self.server.ping_interval
        self.server.wheel.add(self, min(self.ping_at_s, self.connect_by_s))

    def on_due(self, now_s: float) -> float | None:
        """Ping, or end a session that did not answer. Called by the wheel."""
        if self.closed:
            return None
        if self.connect_by_s and now_s >= self.connect_by_s:
            self.end(self.server.reason.SERVER_DISCONNECT, frames.POLICY)
            return None
        if self.pong_by_s and now_s >= self.pong_by_s:
            self.end(self.server.reason.PING_TIMEOUT, frames.GOING_AWAY)
            return None
        if now_s >= self.ping_at_s and not self.pong_by_s:
            self.push(PING)
            # From when it was due, if the wheel is on time: it is late by up to a tick.
            pinged_s = max(self.ping_at_s, now_s - self.server.wheel.tick_s)
            self.pong_by_s = pinged_s + self.server.ping_timeout
            self.ping_at_s = now_s + self.server.ping_interval  # or from the pong on
        times = (self.ping_at_s, self.pong_by_s, self.connect_by_s)
        return min(time_s for time_s in times if time_s > now_s)

    def check_heart(self) -> None:
        """Judged when a request comes, not only when the wheel does, up to a tick
        later. After a pause of the loop only the wheel judges: the pong may be among
        what is still to be read."""
        now_s, wheel = self.flusher.loop.time(), self.server.wheel
        if self.pong_by_s and now_s >= self.pong_by_s and not wheel.is_behind(now_s):
            self.end(self.server.reason.PING_TIMEOUT, frames.GOING_AWAY)

    def refused_connect(self) -> None:
        """A CONNECT was refused: an unauthenticated client has few attempts."""
        if self.identity is None and self.server.handshake.requires_sign_in:
            self.refused_connects += 1
            if self.refused_connects >= MAX_REFUSED_CONNECTS:
                self.hang_up(frames.POLICY)

    def joined_namespace(self) -> None:
        """A namespace was joined: the deadline for that is over."""
        self.connect_by_s = 0.0

    def authenticate(self, identity: Identity) -> None:
        """The client has signed in by CONNECT. Raises RateLimited."""
        self.server.handshake.authenticate(self.address, identity)
        self.identity = identity
        self.session_id = identity.session_id
        if self.wire is not None:
            self.wire.max_message_bytes = MAX_PAYLOAD_BYTES

    @property
    def max_message_bytes(self) -> int:
        known = self.identity is not None or not self.server.handshake.requires_sign_in
        return MAX_PAYLOAD_BYTES if known else MAX_UNAUTHENTICATED_BYTES

    # --- The end ---------------------------------------------------------------------

    def end_session(self) -> None:
        if self.hears_facts:
            self.push(SESSION_ENDED)
            self.push(DISCONNECT)  # so that the official client does not come back
        self.end(self.server.reason.SERVER_DISCONNECT, frames.NORMAL)

    def hang_up(self, code: int) -> None:
        self.end(self.server.reason.SERVER_DISCONNECT, code)

    async def close(
        self, wait: bool = True, abort: bool = False, reason: str | None = None
    ) -> None:
        """python-engineio's name for `end`."""
        reason = reason or self.server.reason.SERVER_DISCONNECT
        self.end(reason, frames.NORMAL, say=not abort)

    def end(self, reason: str, code: int, *, say: bool = True) -> None:
        """End the session, once. What is pending is sent first, unless the reader is
        slow. say: notify the client (a close frame or packet)."""
        if self.closed:
            return
        self.closed = self.closing = True
        self.server.on_end(self)
        self.server.wheel.remove(self)
        self.server.sockets.pop(self.sid, None)
        self._close_transport(code, say)
        self.pending = NO_PAYLOAD if self.wire is None else NO_FRAMES
        self.partial = self.backlog = None
        if self.stall_timer is not None:
            self.stall_timer.cancel()
        if self.relief is not None and not self.relief.done():
            self.relief.set_result(None)
        self.server.handshake.release(self.address, self.identity)
        self.server.run(self.server._trigger_event("disconnect", self.sid, reason))

    def _close_transport(self, code: int, say: bool) -> None:
        if self.wire is not None:
            self.flush()
            self.wire.close(code)
        elif self.poll is not None and not self.poll.done():
            if say:
                self.push(CLOSE)
            backlog = self.backlog or Backlog(0.0)
            backlog.add(self.pending)
            self._answer_poll(backlog)
        if self.probe is not None:
            self.probe.close(frames.NORMAL)
            self.probe = None


async def _go_on(coroutine: Any, waits_for: Any) -> None:
    """The rest of a coroutine that was begun outside of a task."""
    await _steps(coroutine, waits_for)


@types.coroutine
def _steps(coroutine: Any, waits_for: Any) -> Generator[Any, Any, None]:
    while True:
        error = None
        try:
            yield waits_for
        except BaseException as thrown:
            error = thrown
        try:
            waits_for = coroutine.throw(error) if error else coroutine.send(None)
        except StopIteration:
            return


def _nothing(socket: EngineSocket) -> None:
    """Without Socket.IO on top nobody else needs to know."""


def _from_base64(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("bad base64") from None
