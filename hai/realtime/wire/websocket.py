"""One WebSocket (RFC 6455, server side) on a bare non-blocking socket.

Tornado serves the handshake; then its stream is discarded and this class reads and
writes the socket itself: no coroutine, future or buffer per connection or message. It
knows frames, not their contents. It is stricter than Tornado's own: unmasked frames,
forbidden close codes, bad UTF-8 (with its first byte: fragments.py), and floods of
empty fragments or control frames end the connection with a close frame.

Slow readers: bytes that the kernel does not accept are counted. Over `BUDGET_BYTES` the
connection is closed with 1013 (try again later) and its frames are dropped; it is also
closed when half of that is unsent and nothing was accepted for `STALL_S`. Only what one
turn sends to a reader without unsent bytes may exceed the budget, until the next turn,
because the reader has had no time to read yet. A connection with a quarter of the
budget unsent is not read, so that nobody orders more than they read.
"""

import asyncio
import logging
import math
import select
import socket
from typing import Any, Protocol

from hai.realtime.wire.fragments import (
    TEXT_OPCODE,
    FragmentedMessage,
    TextFrame,
    Utf8Check,
    decode,
)
from hai.realtime.wire.frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    FIN,
    INTERNAL_ERROR,
    LOST,
    NO_CODE,
    NORMAL,
    PING,
    POLICY,
    PONG,
    PROTOCOL_ERROR,
    TEXT,
    TOO_BIG,
    TRY_LATER,
    ProtocolViolation,
    close_frame,
    frame,
    frame_end,
    is_allowed_code,
    unmask,
)

BUDGET_BYTES = 256 * 1024  # unsent to one reader; then it catches up by rev
FULL_BYTES = BUDGET_BYTES // 4  # more than this unsent: read no more orders
OWED_BYTES = BUDGET_BYTES // 2  # more than this only while the client reads
# A burst arrives within milliseconds, and on a slow network it is acknowledged a round
# trip later; a busy machine reads a second late.
STALL_S = 5.0
RECEIVE_BYTES = 64 * 1024
MAX_FRAMES_A_TURN = 64  # then others run; 64 orders take about 5 ms
MAX_CONTROL_FRAMES = 200  # in CONTROL_WINDOW_S
CONTROL_WINDOW_S = 10.0
# Frames of any kind, including fragments and empty ones (2 us each): more than a
# session's burst of orders; then the socket is not read for the rest of the window.
MAX_FRAMES, FRAMES_WINDOW_S = 2000, 2.0
HOLD_S = 0.05  # after which even a busy client has read what came before
LINGER_S = 5.0  # for the other side's close frame, then the socket is dropped
# Unsent bytes that the kernel may hold: limits the kernel memory of a stalled reader
# without limiting the bytes in flight on a slow network.
NOTSENT_LOWAT_BYTES = 128 * 1024
TCP_NOTSENT_LOWAT = getattr(socket, "TCP_NOTSENT_LOWAT", 25)  # named from 3.12 on

OPEN, CLOSING, DRAINING, CLOSED = range(4)  # DRAINING: closing, no longer parsing

logger = logging.getLogger(__name__)

_received = bytearray(RECEIVE_BYTES)  # shared: one thread, one recv at a time
_view = memoryview(_received)


class MessageHandler(Protocol):
    """Receives the messages of a connection. `on_text` and `on_binary` may return a
    future: the next message waits until it is done."""

    def on_text(self, text: str) -> "asyncio.Future[Any] | None": ...
    def on_binary(self, data: bytes) -> "asyncio.Future[Any] | None": ...
    def on_pong(self) -> None: ...
    def on_closed(self, code: int) -> None:
        """Called once, if it ended other than by `close()`."""


class WebSocket:
    """`start()` begins to read; `send(frames)` takes whole frames only.

    wires: contains this one until its socket is closed. is_paced: whether floods of
    frames are slowed down (the setting `rate_limits`). Raises OSError if the connection
    is lost.
    """

    __slots__ = (
        "_control_count",
        "_control_since",
        "_fd",
        "_fragmented",
        "_frame_count",
        "_frames_since_s",
        "_hold",
        "_is_full",
        "_is_paced",
        "_is_watched",
        "_linger",
        "_loop",
        "_needed_bytes",
        "_progress_s",
        "_sent_of_first",
        "_sock",
        "_stall_timer",
        "_text_frame",
        "_unread",
        "_unsent",
        "_waits",
        "_wires",
        "handler",
        "max_message_bytes",
        "state",
        "unsent_bytes",
    )

    def __init__(
        self,
        sock: socket.socket,
        handler: MessageHandler,
        max_message_bytes: int,
        wires: "set[WebSocket]",
        *,
        is_paced: bool = False,
    ) -> None:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.IPPROTO_TCP, TCP_NOTSENT_LOWAT, NOTSENT_LOWAT_BYTES)
        self._sock = sock
        self._fd = sock.fileno()  # the loop looks it up by number in half the time
        self._wires = wires
        wires.add(self)
        self._loop = asyncio.get_running_loop()
        self.handler = handler
        self.max_message_bytes = max_message_bytes
        self.state = OPEN
        self._unread: bytearray | None = None  # the beginning of a frame
        self._needed_bytes = 0  # of _unread, before it is worth parsing
        self._is_watched = False  # by the loop
        self._waits = False  # for a handler or the next turn, before reading on
        self._text_frame: TextFrame | None = None  # if the one in _unread is one
        self._fragmented: FragmentedMessage | None = None
        self._unsent: list[bytes] | None = None
        self._sent_of_first = 0  # bytes of _unsent[0] that the kernel has
        self.unsent_bytes = 0
        self._progress_s = 0.0  # when the kernel last accepted bytes after a delay
        self._stall_timer: asyncio.TimerHandle | None = None
        self._hold: asyncio.TimerHandle | None = None
        self._is_full = False  # not read until the client has read enough
        self._linger: asyncio.TimerHandle | None = None
        self._control_count = 0
        self._control_since = 0.0
        self._is_paced = is_paced
        self._frame_count = 0
        self._frames_since_s = 0.0

    def start(self, early: bytes = b"") -> None:
        """Read from the next turn on. early: what arrived with the handshake."""
        if early:
            self._unread = bytearray(early)
        self._waits = True
        self._loop.call_soon(self._resume)

    # --- Reading ---------------------------------------------------------------------

    def _readable(self) -> None:
        if self._waits:  # only now: mostly nothing comes meanwhile
            self._stop_reading()
            return
        try:
            size = self._sock.recv_into(_received)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            size = 0
        if self._hold is not None:
            self._end_hold()
        if size == 0:
            self._lost()
        elif self.state == DRAINING:
            return
        elif self._unread is None:
            self._parse(bytes(_view[:size]))
        else:
            self._unread += _view[:size]
            if len(self._unread) >= self._needed_bytes:
                unread, self._unread = self._unread, None
                self._parse(unread)
            elif self._text_frame is not None:
                self._check_text(self._unread)

    def _parse(self, buffer: bytes | bytearray) -> None:
        """Handle the complete frames in the buffer and keep the rest."""
        position, self._needed_bytes = 0, 0
        begun, self._text_frame = self._text_frame, None
        turns = MAX_FRAMES_A_TURN
        try:
            while (
                turns
                and self.unsent_bytes <= FULL_BYTES
                and (found := self._find_frame(buffer, position))
            ):
                start, end = found
                if begun is None:
                    payload = unmask(
                        buffer[start:end], buffer[start - 4 : start], end - start
                    )
                else:
                    payload, begun = begun.payload(buffer, end), None
                wait = self._take(buffer[position], payload)
                position, turns = end, turns - 1
                if self.state >= DRAINING:
                    return
                if wait is not None and not wait.done():
                    self._pause()
                    wait.add_done_callback(self._resume)
                    break
        except ProtocolViolation as violation:
            self._fail(violation)
            return
        except Exception:
            logger.exception("a message could not be handled")
            self._fail(ProtocolViolation(INTERNAL_ERROR, "an error of the server"))
            return
        if position < len(buffer):
            self._unread = bytearray(buffer[position:])
            if self._text_frame is not None:
                self._check_text(self._unread)
                if self.state >= DRAINING:
                    return
        self._frame_count += MAX_FRAMES_A_TURN - turns
        if self._waits:
            return
        if self.unsent_bytes > FULL_BYTES:
            self._is_full = True
            self._pause()
        elif self._is_paced and self._frame_count >= MAX_FRAMES:
            self._slow_down()
        elif not turns:
            self._pause()
            self._loop.call_soon(self._resume)

    def _check_text(self, frame: bytearray) -> None:
        """The beginning of a frame: bad text is not waited for."""
        assert self._text_frame is not None
        try:
            self._text_frame.check(frame)
        except ProtocolViolation as violation:
            self._fail(violation)

    def _slow_down(self) -> None:
        """Too many frames: let the rest of the window pass before reading on."""
        now_s, end_s = self._loop.time(), self._frames_since_s + FRAMES_WINDOW_S
        self._frame_count = 0
        self._frames_since_s = max(now_s, end_s)
        self._pause()
        self._loop.call_at(self._frames_since_s, self._resume)

    def _find_frame(self, buffer: bytes | bytearray, at: int) -> tuple[int, int] | None:
        """Where the payload of the frame at `at` begins and ends, if it is complete.

        Its header is checked before its payload has arrived. Raises ProtocolViolation.
        """
        available = len(buffer) - at
        if available < 2:
            return None
        first, size = buffer[at], buffer[at + 1] - 0x80
        if first & 0x70 or size < 0:
            raise ProtocolViolation(PROTOCOL_ERROR, "reserved bits or no mask")
        if available < 6:  # two bytes and the mask
            return None
        start = at + 6
        if size >= 126:
            width = 2 if size == 126 else 8
            start += width
            if available < 6 + width:
                return None
            size = int.from_bytes(buffer[at + 2 : at + 2 + width], "big")
            if size < 126:
                raise ProtocolViolation(
                    PROTOCOL_ERROR, "length not in its shortest form"
                )
        if first & 0x08:
            if size > 125 or not first & FIN:
                raise ProtocolViolation(
                    PROTOCOL_ERROR, "control frame too long or in parts"
                )
        else:
            message = self._fragmented
            before = 0 if message is None else len(message.data)
            if before + size > self.max_message_bytes:
                raise ProtocolViolation(TOO_BIG, "message too big")
        end = start + size
        if end > len(buffer):
            self._needed_bytes = end - at
            self._text_frame = self._begin_text(first & 0x0F, start - at)
            return None
        return start, end

    def _begin_text(self, opcode: int, start: int) -> TextFrame | None:
        """For the frame that is arriving, if it is text."""
        message = self._fragmented
        if self.state != OPEN:
            return None
        if opcode == TEXT_OPCODE and message is None:
            return TextFrame(Utf8Check(), start)
        if opcode == CONTINUATION and message is not None and message.text is not None:
            return TextFrame(message.text.copy(), start)
        return None

    def _take(self, first: int, payload: bytes) -> "asyncio.Future[Any] | None":
        """One frame; returns what the handler wants to wait for, if anything."""
        if self.state != OPEN:
            if first == CLOSE:
                self._release()
            return None
        if first == TEXT and self._fragmented is None:
            return self.handler.on_text(decode(payload))
        if first == BINARY and self._fragmented is None:
            return self.handler.on_binary(payload)
        if first & 0x08:
            self._take_control(first, payload)
            return None
        return self._take_fragment(first & 0x0F, payload, bool(first & FIN))

    def _take_fragment(
        self, opcode: int, payload: bytes, is_last: bool
    ) -> "asyncio.Future[Any] | None":
        message = self._fragmented
        if opcode in (TEXT_OPCODE, BINARY & 0x0F) and message is None:
            message = self._fragmented = FragmentedMessage(opcode)
        elif opcode != CONTINUATION or message is None:
            raise ProtocolViolation(PROTOCOL_ERROR, "frame out of place")
        message.add(payload, is_last=is_last)
        if not is_last:
            return None
        self._fragmented = None
        if message.text is not None:
            return self.handler.on_text(message.data.decode())
        return self.handler.on_binary(bytes(message.data))

    def _take_control(self, first: int, payload: bytes) -> None:
        if first == CLOSE:
            self._take_close(payload)
            return
        self._count_control()
        if first == PING:
            self.send(frame(payload, PONG))
        elif first == PONG:
            self.handler.on_pong()
        else:
            raise ProtocolViolation(PROTOCOL_ERROR, "unknown control frame")

    def _count_control(self) -> None:
        self._control_count += 1
        if self._control_count <= MAX_CONTROL_FRAMES:
            return
        now, since = self._loop.time(), self._control_since
        if now - since < CONTROL_WINDOW_S:
            raise ProtocolViolation(POLICY, "too many control frames")
        self._control_count, self._control_since = 0, now

    def _take_close(self, payload: bytes) -> None:
        """Echo the code and end; the client may be waiting for our FIN."""
        code = int.from_bytes(payload[:2], "big") if payload else NO_CODE
        if payload and (len(payload) < 2 or not is_allowed_code(code)):
            raise ProtocolViolation(PROTOCOL_ERROR, "bad close code")
        decode(payload[2:])
        self.state = CLOSING
        self._write(frame(payload[:2], CLOSE))
        self.state = DRAINING
        if self._unsent is None:
            self._release()
        else:
            self._begin_linger()
        self.handler.on_closed(code)

    @property
    def has_hung_up(self) -> bool:
        """Whether the other side has closed, even with unread data before that."""
        if self.state == CLOSED:
            return True
        poll = select.poll()
        poll.register(self._fd, select.POLLRDHUP)  # errors and POLLHUP always
        return bool(poll.poll(0))

    def _pause(self) -> None:
        """The loop is told when something comes before `_resume`: telling it twice for
        each page is 15 us (benchmark `storm`)."""
        self._waits = True

    def _stop_reading(self) -> None:
        self._is_watched = False
        self._loop.remove_reader(self._fd)

    def _resume(self, _done: object = None) -> None:
        """Continue where the pause began, first with what was already received."""
        if self.state >= DRAINING or not self._waits or self._is_full:
            return
        self._waits = False
        unread, self._unread = self._unread, None
        if unread is not None:
            self._parse(unread)
        if self.state != CLOSED and not self._waits and not self._is_watched:
            self._is_watched = True
            self._loop.add_reader(self._fd, self._readable)

    # --- Writing ---------------------------------------------------------------------

    def send(self, frames: bytes) -> None:
        """Whole frames, straight to the kernel; nothing after a close frame."""
        if self.state == OPEN:
            self._write(frames)

    def hold(self) -> None:
        """Send nothing more until the client has had time to read what was sent.

        Its next frame, or HOLD_S, ends this. What comes meanwhile waits as it does for
        a slow reader.
        """
        if self.state == OPEN and self._unsent is None:
            self._unsent, self._progress_s = [], self._loop.time()
            self._hold = self._loop.call_later(HOLD_S, self._end_hold)

    def _end_hold(self) -> None:
        if self._hold is not None:
            self._hold.cancel()
            self._hold = None
            self._progress_s = self._loop.time()
            self._loop.add_writer(self._fd, self._writable)

    def _write(self, frames: bytes) -> None:
        if self._unsent is not None:
            self._unsent.append(frames)
            self.unsent_bytes += len(frames)
            if self.unsent_bytes > OWED_BYTES:
                self._check_stall(BUDGET_BYTES)
            return
        try:
            sent = self._sock.send(frames)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            self._loop.call_soon(self._lost)  # the caller is not ready for it
            return
        if sent < len(frames):
            self._unsent, self._sent_of_first = [frames], sent
            self._loop.add_writer(self._fd, self._writable)
            self.unsent_bytes = len(frames) - sent
            self._progress_s = self._loop.time()
            if self.unsent_bytes > OWED_BYTES:
                self._check_stall()

    def _check_stall(self, most_bytes: float = math.inf) -> None:
        """Much is unsent: a reader who is still reading gets a little time."""
        if self.state != OPEN:
            return
        until_s = self._progress_s + STALL_S
        if self.unsent_bytes > most_bytes or self._loop.time() >= until_s:
            self._give_up_slow_reader()
        elif self._stall_timer is None:
            self._stall_timer = self._loop.call_at(until_s, self._check_stall_again)

    def _check_stall_again(self) -> None:
        self._stall_timer = None
        if self.unsent_bytes > OWED_BYTES:
            self._check_stall()

    def _give_up_slow_reader(self) -> None:
        """Finish the current frame, then send 1013; the rest is dropped."""
        assert self._unsent is not None
        first, sent = self._unsent[0], self._sent_of_first
        rest = first[sent : frame_end(first, sent)]
        self._unsent, self._sent_of_first = [rest + close_frame(TRY_LATER)], 0
        self.unsent_bytes = len(self._unsent[0])
        self.state = CLOSING
        self._begin_linger()
        self._loop.call_soon(self.handler.on_closed, TRY_LATER)

    def _writable(self) -> None:
        while self._unsent:
            first = self._unsent[0]
            try:
                sent = self._sock.send(memoryview(first)[self._sent_of_first :])
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._lost()
                return
            self.unsent_bytes -= sent
            self._sent_of_first += sent
            self._progress_s = self._loop.time()
            if self._is_full and self.unsent_bytes <= FULL_BYTES:
                self._is_full = False
                self._loop.call_soon(self._resume)
            if self._sent_of_first < len(first):
                return
            del self._unsent[0]
            self._sent_of_first = 0
        self._unsent = None
        self._loop.remove_writer(self._fd)
        if self.state == DRAINING:
            self._finish_sending()

    # --- The end ---------------------------------------------------------------------

    def close(self, code: int = NORMAL, reason: str = "") -> None:
        """Send a close frame and wait a little for the other side's."""
        if self.state != OPEN:
            return
        self.state = CLOSING
        self._write(close_frame(code, reason))
        self._begin_linger()

    def drop(self) -> None:
        """End at once, without a close frame."""
        self._release()

    def _fail(self, violation: ProtocolViolation) -> None:
        """The other side's bytes cannot be trusted any more: send why and ignore the
        rest."""
        was_open = self.state == OPEN
        if was_open:
            self.close(violation.code, violation.reason)
        if self.state == CLOSED:
            return
        self.state = DRAINING
        if self._unsent is None:
            self._finish_sending()
        if was_open:
            self.handler.on_closed(violation.code)

    def _finish_sending(self) -> None:
        """Everything is sent: send FIN now, then read to the end, because a reset could
        discard it."""
        try:
            self._sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._release()

    def _begin_linger(self) -> None:
        if self._linger is None and self.state != CLOSED:
            self._linger = self._loop.call_later(LINGER_S, self._release)

    def _lost(self) -> None:
        """The connection is gone, or the other side has sent FIN."""
        was_open = self.state == OPEN
        self._release()
        if was_open:
            self.handler.on_closed(LOST)

    def _release(self) -> None:
        if self.state == CLOSED:
            return
        self.state = CLOSED
        self._wires.discard(self)
        for timer in (self._linger, self._stall_timer, self._hold):
            if timer is not None:
                timer.cancel()
        self._linger = self._stall_timer = self._hold = None
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._sock.close()
        self._unread = self._unsent = self._fragmented = self._text_frame = None
        self.unsent_bytes = 0
