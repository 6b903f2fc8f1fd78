"""What is on its way to each socket, and the flush that sends it.

A `Fact` is one packet for one or many sockets, encoded and framed once. A socket's
outbox is not a list but a node in a tree of `Pending`: the facts of this turn from the
root to that node. Sockets that hold the same facts share a node, so their frames are
joined once for all of them, and sending a fact to a socket moves a reference and
creates no object. At the end of the loop's turn the `Flusher` gives every socket with
something pending one write.

Cost (benchmark `fanout`, 1,000 sockets in a room): sending and joining take 0.13 us per
delivery with one fact a turn and 0.05 with twenty. A list per socket is as fast, but
would be joined 1,000 times, and what stalled readers hold is shared here. `send` alone
costs 5 to 7 us, which is why turns of up to 20 ms put many facts into one.

What concerns few sockets (acks, small rooms) does not wait for the turns of large
rooms: it is sent by express, between the slices of the other flush (benchmark
`fairness`).
"""

import asyncio
import base64
import logging
import time
from collections.abc import Callable, Collection, Sequence

from hai.realtime.wire.frames import BINARY, frame

MAX_TURN_S = 0.020  # the longest that a fact waits to be batched
PAUSE_RATIO = 1.5  # of the last flush: 40 % of the loop's time may be flushing
SLICE_S = 0.004  # a flush yields to the loop after this much
SLICE_SOCKETS = 64  # between two checks of the clock
FEW_SOCKETS = 32  # a fact for so few is sent by express: at most 0.2 ms of writing
# Turns of the loop between the first fact and the flush: the acks of a commit's
# orders arrive up to three turns after its facts and should share their write.
HOPS = 3
SEPARATOR = b"\x1e"  # between the packets of a polling payload

logger = logging.getLogger(__name__)


class Fact:
    """One Engine.IO packet, or the same as plain JSON for /ws.

    body: the JSON array `[name, payload]`, or a whole packet if `prefix` is empty.
    prefix: what Engine.IO and Socket.IO put before it. Each form is made once, when
    first needed. A cancelled fact has empty forms.
    """

    __slots__ = ("_frame", "_native", "body", "is_binary", "prefix")

    def __init__(
        self, body: bytes, prefix: bytes = b"", *, is_binary: bool = False
    ) -> None:
        self.body = body
        self.prefix = prefix
        self.is_binary = is_binary
        self._frame: bytes | None = None
        self._native: bytes | None = None

    @property
    def frame(self) -> bytes:
        """For Engine.IO over WebSocket."""
        if self._frame is None:
            packet = self.prefix + self.body
            self._frame = frame(packet, BINARY) if self.is_binary else frame(packet)
        return self._frame

    @property
    def packet(self) -> bytes:
        """For Engine.IO over polling."""
        if self.is_binary:
            return b"b" + base64.b64encode(self.body)
        return self.prefix + self.body

    @property
    def native_frame(self) -> bytes:
        """For /ws: the JSON alone."""
        if self._native is None:
            self._native = frame(self.body)
        return self._native

    def cancel(self) -> None:
        """A newer fact replaces it: sockets that have not received it need not."""
        self.body = self.prefix = self._frame = self._native = b""


SESSION_ENDED = Fact(b'["session_ended",{}]', b"42")

Render = Callable[[list[Fact]], bytes]


def as_frames(facts: list[Fact]) -> bytes:
    return b"".join([fact.frame for fact in facts])


def as_native_frames(facts: list[Fact]) -> bytes:
    return b"".join([fact.native_frame for fact in facts])


def as_payload(facts: list[Fact]) -> bytes:
    return SEPARATOR.join([fact.packet for fact in facts])


class Pending:
    """A node in the tree of facts waiting to be sent."""

    __slots__ = ("_joined", "before", "fact", "must_flush", "render")

    def __init__(self, render: Render, before: "Pending | None", fact: Fact | None):
        self.render = render
        self.before = before
        self.fact = fact
        self._joined: bytes | None = None
        # Whether a socket that moves to this node has to be queued for the flush: it
        # is the first fact of a turn.
        self.must_flush = before is not None and before.before is None

    def then(self, fact: Fact) -> "Pending":
        return Pending(self.render, self, fact)

    def facts(self) -> list[Fact]:
        """Oldest first."""
        found = []
        place: Pending | None = self
        while place is not None and place.fact is not None:
            found.append(place.fact)
            place = place.before
        found.reverse()
        return found

    def joined(self) -> bytes:
        """All of it as one write; made once for all sockets at this node."""
        if self._joined is None:
            self._joined = self.render(self.facts())
        return self._joined


NO_FRAMES = Pending(as_frames, None, None)
NO_PAYLOAD = Pending(as_payload, None, None)
NO_NATIVE_FRAMES = Pending(as_native_frames, None, None)


class Outbox:
    """Anything that facts can be sent to. Subclasses implement the write.

    pending: this socket's node; one of the three roots when nothing is on its way.
    identity, session_id and tabs belong to the presence module.
    """

    pending: Pending
    flusher: "Flusher"

    def push(self, fact: Fact) -> None:
        """Send one fact to this socket alone."""
        self.pending = self.pending.then(fact)
        self.flusher.add(self)

    def flush(self) -> None:
        """Write what is pending, or keep it within the budget."""
        raise NotImplementedError


def tell(fact: Fact, sockets: Collection[Outbox], flusher: "Flusher") -> None:
    """Send one fact to many sockets: 0.05 to 0.1 us each."""
    is_express = len(sockets) <= FEW_SOCKETS
    moved: dict[Pending, Pending] = {}  # from the old place to the new one
    waiting = flusher.waiting
    for socket in sockets:
        place = socket.pending
        after = moved.get(place)
        if after is None:
            after = moved[place] = place.then(fact)
        if is_express:
            flusher.add(socket)
        elif after.must_flush:
            waiting.append(socket)
        socket.pending = after
    flusher.arm()


class Flusher:
    """Flushes every waiting outbox once per turn, in slices.

    The length of a turn adapts: a quiet server flushes within the loop's turn; the
    longer the last flush took, the longer the next one waits, up to MAX_TURN_S. Express
    sends never wait.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.waiting: list[Outbox] = []
        self.express: dict[Outbox, None] = {}  # a set that keeps the order
        self.turn = 0  # counts flushes; facts of earlier turns may be sent already
        self._is_armed = False
        self._not_before_s = 0.0
        self._spent_s = 0.0  # in the slices of this flush

    def add(self, socket: Outbox) -> None:
        """By express."""
        if not self.express:
            self._hop(HOPS, self._flush_express)
        self.express[socket] = None

    def arm(self) -> None:
        """Schedule the next flush, if anything is waiting for it."""
        if self._is_armed or not self.waiting:
            return
        self._is_armed = True
        if self._not_before_s > self.loop.time():
            self.loop.call_at(self._not_before_s, self._flush)
        else:
            self._hop(HOPS, self._flush)

    def _hop(self, left: int, flush: Callable[[], None]) -> None:
        if left:
            self.loop.call_soon(self._hop, left - 1, flush)
        else:
            flush()

    def _flush_express(self) -> None:
        self.turn += 1
        sockets, self.express = list(self.express), {}
        self._flush_slice(sockets, 0, is_express=True)

    def _flush(self) -> None:
        self.turn += 1
        sockets, self.waiting = self.waiting, []
        self._spent_s = 0.0
        self._flush_slice(sockets, 0)

    def _flush_slice(
        self, sockets: Sequence[Outbox], at: int, is_express: bool = False
    ) -> None:
        began_s = time.perf_counter()
        while at < len(sockets):
            for socket in sockets[at : at + SLICE_SOCKETS]:
                try:
                    socket.flush()
                except Exception:  # one bad socket must not stop everybody's
                    logger.exception("a socket could not be flushed")
            at += SLICE_SOCKETS
            if time.perf_counter() - began_s > SLICE_S:
                break
        if not is_express:
            self._spent_s += time.perf_counter() - began_s
        if at < len(sockets):
            self.loop.call_soon(self._flush_slice, sockets, at, is_express)
        elif not is_express:
            self._end_turn()

    def _end_turn(self) -> None:
        pause_s = min(MAX_TURN_S, self._spent_s * PAUSE_RATIO)
        self._not_before_s = self.loop.time() + pause_s
        self._is_armed = False
        self.arm()

    def flush_now(self) -> None:
        """Everything at once, without slices: when the server stops."""
        while self.waiting or self.express:
            sockets = [*self.express, *self.waiting]
            self.express, self.waiting = {}, []
            for socket in sockets:
                try:
                    socket.flush()
                except Exception:
                    logger.exception("a socket could not be flushed")
