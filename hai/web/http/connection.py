"""HTTP/1.1 on one connection: strict about request framing, and explicit about when the
connection ends (RFC 9112).

Tornado's connection reads and writes; this class decides whether it may continue.
Anything that a proxy could parse differently is refused: a bare LF, a second length, a
length together with chunks. A response may be sent before the body has arrived: a short
body is then read and the connection continues, otherwise the response says `Connection:
close`. After that, nothing that follows on the connection is executed. Before closing,
incoming bytes are read and discarded for a while, because closing with unread bytes
resets the connection and the client may never see the response.
"""

import asyncio
import contextlib
import http
import json
import logging
import re
import socket
import sys
from typing import Any, NamedTuple

from tornado.http1connection import (
    HTTP1Connection,
    HTTP1ServerConnection,
    is_transfer_encoding_chunked,
    parse_int,
)
from tornado.httputil import (
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
    parse_request_start_line,
)
from tornado.iostream import IOStream, StreamClosedError, UnsatisfiableReadError

from hai.errors import BadRequest, Busy, HaiError, TooLarge
from hai.web.http.waiting import Waiting

logger = logging.getLogger(__name__)

# Also with bare LFs, so that they are refused at once.
HEAD_END = re.compile(rb"\r?\n\r?\n")
HEAD_END_BYTES = 4  # at most
# For the first head, to its last byte: whoever connects has something to ask.
FIRST_HEAD_S = 15.0
# An unwanted body up to this size is read, and the connection continues.
DRAINED_BYTES = 64 * 1024
DRAIN_S = 5.0
LINGER_BYTES = 64 * 1024 * 1024  # discarded before closing: a browser's upload
LINGER_S = 30.0  # in all, and
SILENT_S = 5.0  # without any bytes, as in nginx
LONGEST_S = 24 * 3600.0  # where no other limit is set
NO_HEADERS = HTTPHeaders()
SINK = memoryview(bytearray(64 * 1024))  # for discarded bytes
# What is answered when descriptors are used up: the operator asks for these.
OPERATORS_PATHS = ("/healthz", "/metrics")
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


def _last_answer(status: int, error: HaiError) -> bytes:
    """A complete response for when there is no handler to send one."""
    body = json.dumps({"error": error.as_dict()})
    head = (
        f"HTTP/1.1 {status} {http.HTTPStatus(status).phrase}",
        "Content-Type: application/json",
        "X-Content-Type-Options: nosniff",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    return "\r\n".join((*head, "", body)).encode()


MALFORMED = _last_answer(400, BadRequest("That is not valid HTTP."))
TIMED_OUT = _last_answer(408, BadRequest("The rest of this request did not come."))
LONG_BODY = _last_answer(413, TooLarge())
FULL = _last_answer(503, Busy("All connections of this Hai are taken. Try again soon."))
LONG_HEAD = _last_answer(431, TooLarge("The headers of this request are too long."))


class BodyTooLong(HTTPInputError):
    """More than this request may send."""


class _Full(Exception):
    """There is no descriptor for this connection but a spare one."""


class _Answered(Exception):
    """The response is sent, and the rest of the body is not wanted."""


class Peer(NamedTuple):
    """The other end of the connection, as Tornado's requests need it."""

    remote_ip: str
    protocol: str = "http"

    def __str__(self) -> str:
        return self.remote_ip


class QuietConnections:
    """The connections of one server on which nothing happens.

    silent: their first head has not come; idle: their next one has not; lingering:
    tasks, of those on which all is said. Those without an address (trusted proxies,
    who bring many people) are nowhere counted, and none of them is closed for another.
    """

    def __init__(self, share: int) -> None:
        self.silent: Waiting[Stream] = Waiting(Stream.close, share)
        self.idle: Waiting[Stream] = Waiting(Stream.close)
        self.lingering: Waiting[asyncio.Task[None]] = Waiting(asyncio.Task.cancel)

    def discard(self, stream: "Stream") -> None:
        """A whole head has come: from this moment, not when its request is begun, or
        it would be closed for another one that is accepted in between."""
        self.silent.discard(stream)
        self.idle.discard(stream)

    def linger(self, sock: socket.socket) -> None:
        task = asyncio.ensure_future(linger(sock))
        self.lingering.add(task)
        task.add_done_callback(self.lingering.discard)

    def end_lingering(self) -> None:
        """Soon; all of them: they have had their answers."""
        while self.lingering.close_oldest():
            pass


class Stream(IOStream):
    """One connection's bytes. address: of the other end; "": exempt, as said above."""

    is_new = True  # no whole head has come yet
    is_spare = False  # its descriptor is kept for the operator
    _is_in_head = False
    _searched_bytes = 0

    def __init__(
        self, sock: socket.socket, quiet: QuietConnections, address: str, **sizes: Any
    ) -> None:
        self.quiet, self.address = quiet, address
        super().__init__(sock, **sizes)

    def read_until_regex(self, *args: Any, **kwargs: Any) -> Any:
        self._is_in_head = True  # only heads are read in this way
        self._searched_bytes = 0
        return super().read_until_regex(*args, **kwargs)

    def _find_read_pos(self) -> int | None:
        """A head that comes in small pieces is not searched anew for each of them."""
        if self._read_regex is None:
            return super()._find_read_pos()
        begin = max(0, self._searched_bytes - HEAD_END_BYTES + 1)
        found = HEAD_END.search(self._read_buffer, begin)
        self._searched_bytes = found.end() if found else len(self._read_buffer)
        if found:
            self.quiet.discard(self)
        self._check_max_bytes(HEAD_END, self._searched_bytes)
        return found.end() if found else None

    def read_until(self, *args: Any, **kwargs: Any) -> Any:
        self._is_in_head = False  # the length of a chunk of a body
        return super().read_until(*args, **kwargs)

    @property
    def has_more(self) -> bool:
        """Whether bytes have arrived that nobody has read."""
        return self._read_buffer_size > 0

    def close(self, exc_info: Any = False) -> None:
        """Tornado closes without a response when a line or a head has no end."""
        if isinstance(exc_info, UnsatisfiableReadError):
            self.leave(LONG_HEAD if self._is_in_head else MALFORMED, exc_info)
        else:
            super().close(exc_info)

    def leave(self, answer: bytes = b"", exc_info: Any = False) -> None:
        """Close, but so that what was written arrives, followed by `answer`."""
        if self.closed():
            return
        sock: socket.socket | None = None
        with contextlib.suppress(OSError):  # the client is gone, or out of descriptors
            if answer and not self.writing():
                self.socket.send(answer)
            sock = self.socket.dup()
        super().close(exc_info)
        if sock is not None:
            self.quiet.linger(sock)


async def linger(sock: socket.socket) -> None:
    """Send FIN, and discard what the other side still sends."""
    loop, left = asyncio.get_running_loop(), LINGER_BYTES
    try:
        sock.shutdown(socket.SHUT_WR)
        async with asyncio.timeout(LINGER_S):
            while left > 0:
                async with asyncio.timeout(SILENT_S):
                    count = await loop.sock_recv_into(sock, SINK)
                if count == 0:
                    return
                left -= count
                await asyncio.sleep(
                    0
                )  # let others run: bytes may arrive without a pause
    except (OSError, TimeoutError):
        pass
    finally:
        sock.close()


def parse_head(data: bytes) -> tuple[RequestStartLine, HTTPHeaders]:
    """The request line and the headers. Raises HTTPInputError.

    Lines end with CRLF: a single CR or LF would remain within a line, where neither is
    allowed. A name may not begin or end with a space either, so lines cannot be folded.
    """
    text = data.decode("latin1").removeprefix("\r\n")  # RFC 9112, 2.2
    first, *lines = text.removesuffix("\r\n\r\n").split("\r\n")
    headers = HTTPHeaders()
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon:
            raise HTTPInputError("no colon in header line")
        headers.add(name, value.strip(" \t"))
    return parse_request_start_line(first), headers


def length_of(start_line: RequestStartLine, headers: HTTPHeaders) -> int | None:
    """How many bytes the body has; None: it comes in chunks. Raises HTTPInputError."""
    if is_transfer_encoding_chunked(headers):
        if start_line.version == "HTTP/1.0":
            raise HTTPInputError("chunks in HTTP/1.0")
        return None
    try:
        return parse_int(headers.get("Content-Length", "0"))
    except ValueError:  # two of them are joined by a comma
        raise HTTPInputError("Content-Length must be one number") from None


def asks_to_end(start_line: RequestStartLine, headers: HTTPHeaders) -> bool:
    """Whether the client wants no more on this connection (RFC 9112, 9.3)."""
    said = headers.get("Connection", "").lower()
    if start_line.version == "HTTP/1.0":
        return said != "keep-alive"
    return "close" in said and "close" in map(str.strip, said.split(","))


class Connection(HTTP1Connection):
    """One request and its response."""

    stream: Stream
    _length: int | None = 0  # of the body; None: it comes in chunks
    _received_bytes = 0
    _expects_continue = False  # the client waits for 100 Continue
    _asks_to_end = False
    hsts = ""  # for the answer: Strict-Transport-Security

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._limit_bytes, self._max_body_size = self._max_body_size, sys.maxsize

    def set_max_body_size(self, max_body_size: int) -> None:
        self._limit_bytes = max_body_size

    # --- The request -----------------------------------------------------------------

    async def read_response(self, delegate: HTTPMessageDelegate) -> bool:
        """Serve one request (so it is called in Tornado, for a server too).

        Returns whether another one may follow. Raises StreamClosedError.
        """
        try:
            await self._serve(delegate)
        except HTTPInputError as error:
            logger.info("malformed request from %s: %s", self.context, error)
            self._end_with(LONG_BODY if isinstance(error, BodyTooLong) else MALFORMED)
        except _Full:
            self._end_with(FULL)
        finally:
            self._clear_callbacks()
        return self._goes_on()

    async def _serve(self, delegate: HTTPMessageDelegate) -> None:
        start_line, headers = parse_head(await self._read_head())
        is_operators = start_line.path.partition("?")[0] in OPERATORS_PATHS
        if self.stream.is_spare and not is_operators:
            raise _Full
        self._length = length_of(start_line, headers)
        self._request_start_line, self._request_headers = start_line, headers
        self._asks_to_end = self.stream.is_spare or asks_to_end(start_line, headers)
        self._disconnect_on_finish = self._asks_to_end
        self._expects_continue = (
            "Expect" in headers
            and headers["Expect"].lower() == "100-continue"
            and start_line.version != "HTTP/1.0"
        )
        has_ended = False
        try:
            prepared = delegate.headers_received(start_line, headers)
            if prepared is not None:
                await prepared
            has_ended = await self._receive(delegate)
        finally:
            if not has_ended:
                delegate.on_connection_close()
        await self._wait_for_answer()

    async def _read_head(self) -> bytes:
        coming: asyncio.Future[bytes] = self.stream.read_until_regex(
            HEAD_END, max_bytes=self.params.max_header_size
        )
        if not coming.done():
            await self._wait_for_head(coming)
        self.stream.is_new = False
        return await coming

    async def _wait_for_head(self, coming: "asyncio.Future[bytes]") -> None:
        stream = self.stream
        seconds = self.params.header_timeout or LONGEST_S
        if stream.is_new and stream.address:
            seconds = min(seconds, FIRST_HEAD_S)
        timer = asyncio.get_running_loop().call_later(seconds, stream.close)
        waiting = stream.quiet.silent if stream.is_new else stream.quiet.idle
        if stream.address:
            waiting.add(stream, stream.address)
        try:
            await coming
        finally:
            timer.cancel()
            waiting.discard(stream)

    async def _receive(self, delegate: HTTPMessageDelegate) -> bool:
        """The body, to its end; False if the response was sent before that."""
        try:
            if self._length != 0:
                await self._receive_body(delegate)
        except _Answered:
            return False
        self._read_finished = True
        if self._write_finished:
            return False
        delegate.finish()
        return True

    async def _receive_body(self, delegate: HTTPMessageDelegate) -> None:
        seconds = self._body_timeout or LONGEST_S
        if self._write_finished:
            self._leave_body()
            seconds = DRAIN_S
        elif (self._length or 0) > self._limit_bytes:
            raise BodyTooLong("the body is too long")
        elif self._expects_continue:
            self._expects_continue = False
            self.stream.write(CONTINUE)
        loop = asyncio.get_running_loop()
        timer = loop.call_later(seconds, self._end_with, TIMED_OUT)
        try:
            if self._length is None:
                await self._read_chunked_body(delegate)
            else:
                await self._read_fixed_body(self._length, delegate)
        finally:
            timer.cancel()

    async def _deliver_body(self, delegate: HTTPMessageDelegate, data: bytes) -> None:
        if self._write_finished:
            return
        self._received_bytes += len(data)
        if self._received_bytes > self._limit_bytes:
            raise BodyTooLong("the body is too long")
        received = delegate.data_received(data)
        if received is not None:
            await received
        self._leave_body()

    def _leave_body(self) -> None:
        """Raises _Answered if everything is sent and nothing more is to be read."""
        if self._write_finished and self._disconnect_on_finish:
            raise _Answered

    # --- The answer ------------------------------------------------------------------

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> "asyncio.Future[None]":
        """Adds `Connection: close` if the connection ends. Decided here, once."""
        assert isinstance(start_line, ResponseStartLine)
        if self.hsts:
            headers["Strict-Transport-Security"] = self.hsts
        ends = self._disconnect_on_finish or self._must_end(start_line, headers)
        if ends:
            self._say_close(headers)
        self._disconnect_on_finish = False  # or Tornado would add its own header
        written = super().write_headers(start_line, headers, chunk)
        self._disconnect_on_finish = ends
        return written

    def write_ready(self, status: ResponseStartLine, head: str, body: bytes) -> bool:
        """A whole response in one piece; then call `finish`. head: its header lines.

        False, and nothing is written, where the head must also say something about the
        connection. (`write_headers` takes 20 us more: benchmark `pages`.)
        """
        assert self._request_start_line is not None
        request: Any = self._request_start_line
        if self._disconnect_on_finish or request.version != "HTTP/1.1":
            return False
        self._response_start_line = status
        first = f"HTTP/1.1 {status.code} {status.reason}\r\n"
        self.write(f"{first}{head}\r\n".encode("latin1") + body)
        return True

    def _must_end(self, start_line: ResponseStartLine, headers: HTTPHeaders) -> bool:
        assert self._request_headers is not None
        if not self._read_finished and self._is_body_long():
            return True
        if start_line.code >= 400 and "Upgrade" in self._request_headers:
            return True  # what follows may belong to the other protocol
        return "Connection" in headers and "close" in headers["Connection"].lower()

    def _is_body_long(self) -> bool:
        """Whether closing is better than reading the rest of the body."""
        if self._length == 0:
            return False
        return self._expects_continue or (self._length or sys.maxsize) > DRAINED_BYTES

    def _say_close(self, headers: HTTPHeaders) -> None:
        said = headers.get("Connection", "")
        if "close" not in said.lower():
            headers["Connection"] = f"{said}, close" if said else "close"
        # Or Tornado would answer an HTTP/1.0 client with keep-alive.
        self._request_headers = NO_HEADERS

    def finish(self) -> None:
        """Tornado would close every connection whose body has not been read."""
        is_read, self._read_finished = self._read_finished, True
        super().finish()
        self._read_finished = is_read

    def _finish_request(self, future: "asyncio.Future[None] | None") -> None:
        """Everything is written. `read_response` closes the connection, not Tornado."""
        ends, self._disconnect_on_finish = self._disconnect_on_finish, False
        super()._finish_request(future)
        self._disconnect_on_finish = ends

    async def _wait_for_answer(self) -> None:
        if self._finish_future.done() or self.stream is None:
            return
        if self.stream.closed():  # the end came together with the request
            self._on_connection_close()
            return
        self.stream.set_close_callback(self._on_connection_close)
        await self._finish_future

    # --- The end ---------------------------------------------------------------------

    def _goes_on(self) -> bool:
        if self.stream is None:  # it belongs to a WebSocket now
            return False
        if self._disconnect_on_finish:
            self._end()
        return not self.stream.closed()

    def _end(self) -> None:
        """At once if the client asked for it and nothing more has arrived."""
        if self._asks_to_end and self._read_finished and not self.stream.has_more:
            self.stream.close()
        else:
            self.stream.leave()

    def _end_with(self, answer: bytes) -> None:
        """It cannot continue; `answer` says why, unless a response was already sent."""
        if self.stream is not None:
            self.stream.leave(b"" if self._response_start_line else answer)


class ServerConnection(HTTP1ServerConnection):
    """A connection's requests, one after another."""

    stream: Stream

    async def _server_request_loop(
        self, delegate: HTTPServerConnectionDelegate
    ) -> None:
        try:
            while await self._serve_one(delegate):
                await asyncio.sleep(0)
        except (StreamClosedError, UnsatisfiableReadError, asyncio.CancelledError):
            pass
        except Exception:
            logger.exception("a request failed")
            self.stream.close()
        finally:
            delegate.on_close(self)

    async def _serve_one(self, delegate: HTTPServerConnectionDelegate) -> bool:
        connection = Connection(self.stream, False, self.params, self.context)
        return await connection.read_response(delegate.start_request(self, connection))
