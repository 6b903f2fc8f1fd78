"""HTTP in front of Engine.IO: polling, and the way to a WebSocket.

Everything that can be refused is refused in `prepare`: before the 101, before a session
exists and before a body is read. Protocol errors are answered with 400, a sid that
belongs to somebody else with 403. The sid is a secret and part of URLs, so this
handler's log lines leave it out.
"""

import asyncio
import base64
import fcntl
import hashlib
import http
import json
import logging
import socket
import sys
import termios
from typing import Any, ClassVar

from tornado.http1connection import HTTP1Connection
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler, stream_request_body

from hai import errors
from hai.realtime.wire import frames
from hai.realtime.wire.backlog import packets_for
from hai.realtime.wire.engine import NOOP, Engine, EngineSocket
from hai.realtime.wire.handshake import Requester
from hai.realtime.wire.packets import Malformed
from hai.realtime.wire.upgrade import Probe

ACCEPT_SALT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
KEY_BYTES = 16
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nServer: Hai\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n"
)
EARLY_BYTES = 64 * 1024  # frames that arrived together with the handshake
PAYLOAD_TYPE = "text/plain; charset=UTF-8"
# A polling response this long does not fit the first TCP packets of a connection.
WATCHED_BYTES = 16 * 1024
WATCH_S = 0.02  # between two checks

OLD_CLIENT = (
    "This is a client of Socket.IO 2 (Engine.IO 3): take socket.io-client 3 or newer,"
    " or a library for Socket.IO protocol 5."
)
# In Engine.IO 3: OPEN, Socket.IO's ERROR, and CLOSE; each with its length before it.
OLD_PAYLOAD = "".join(
    f"{len(packet)}:{packet}"
    for packet in (
        '0{"sid":"0","upgrades":[],"pingInterval":25000,"pingTimeout":20000}',
        f"44{json.dumps(OLD_CLIENT)}",
        "1",
    )
)

logger = logging.getLogger(__name__)


class OldClient(errors.BadRequest):
    """It speaks Engine.IO 3."""


class SocketHandler(RequestHandler):
    """What both endpoints need: refusals, and the WebSocket handshake."""

    is_refused = False
    refusal_status = 0  # overrides that of the error
    log_level = logging.DEBUG  # of requests that were not refused

    def set_default_headers(self) -> None:
        self.set_header("Server", "Hai")
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")

    def compute_etag(self) -> None:
        """Responses are never the same twice."""

    def _request_summary(self) -> str:
        """For the log: without the query, which contains a sid."""
        return f"{self.request.method} {self.request.path} ({self.request.remote_ip})"

    def log_exception(self, typ: Any, value: Any, tb: Any) -> None:
        """Tornado would log the whole request, and the sid with it."""
        if not isinstance(value, HTTPError):
            logger.error(
                "%s failed", self._request_summary(), exc_info=(typ, value, tb)
            )

    def refuse(self, error: errors.HaiError, status: int = 0) -> None:
        """Respond with an error before anything else has been done."""
        self.is_refused = True
        self.set_status(status or self.refusal_status or error.status)
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.finish(json.dumps({"error": error.as_dict()}))

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Errors raised by Tornado, and unexpected exceptions."""
        if status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:
            self.set_header("Allow", ", ".join(self.SUPPORTED_METHODS))
            self.refuse(errors.BadRequest("Wrong method."), status_code)
        elif status_code == errors.Forbidden.status:
            self.refuse(errors.Forbidden())
        else:
            self.refuse(errors.Busy(), status_code)

    @property
    def is_upgrade(self) -> bool:
        return self.request.headers.get("Upgrade", "").lower() == "websocket"

    def check_handshake(self) -> None:
        """Raises BadRequest unless it is a WebSocket handshake (version 13)."""
        headers = self.request.headers
        if self.request.version == "HTTP/1.0":
            raise errors.BadRequest("WebSockets need HTTP/1.1, also behind a proxy.")
        connection = headers.get("Connection", "").lower()
        if self.request.method != "GET" or not self.is_upgrade:
            raise errors.BadRequest("This is for WebSockets.")
        if "Transfer-Encoding" in headers or headers.get("Content-Length", "0") != "0":
            raise errors.BadRequest("A handshake has no body.")
        if "upgrade" not in [token.strip() for token in connection.split(",")]:
            raise errors.BadRequest("Connection must be Upgrade.")
        if headers.get("Sec-WebSocket-Version") != "13":
            self._require_upgrade()
            raise errors.BadRequest("Only WebSocket version 13.")
        try:
            key = base64.b64decode(headers.get("Sec-WebSocket-Key", ""), validate=True)
        except ValueError:  # also for what is not ASCII
            key = b""
        if len(key) != KEY_BYTES:
            raise errors.BadRequest("Sec-WebSocket-Key must be 16 bytes.")

    def _require_upgrade(self) -> None:
        """The refusal gets status 426 (RFC 6455, 4.4; RFC 9110, 15.5.22)."""
        self.refusal_status = http.HTTPStatus.UPGRADE_REQUIRED
        self.set_header("Sec-WebSocket-Version", "13")
        self.set_header("Upgrade", "websocket")
        self.set_header("Connection", "Upgrade")

    def accept(self) -> tuple[socket.socket, bytes] | None:
        """Send 101 and take over the socket from Tornado.

        Returns it with what the client has sent already; None if it is gone. Tornado's
        stream, request and handler are garbage after this: they are most of the memory
        of a connection.
        """
        self.set_status(101)
        stream = self.detach()
        try:
            early = stream.read_bytes(EARLY_BYTES, partial=True)
            assert isinstance(early, asyncio.Future)
            data = early.result() if early.done() else b""
        except StreamClosedError:  # lost since the request was read
            return None
        if stream.closed() or stream.writing():
            stream.close()
            return None
        stream.io_loop.remove_handler(stream.socket)
        family = stream.socket.family
        sock = socket.socket(family, socket.SOCK_STREAM, 0, stream.socket.detach())
        sock.setblocking(False)
        stream.close()
        self.application.log_request(self)
        return (sock, data) if self._send_101(sock) else None

    def take_early(self, sock: socket.socket, head_bytes: int) -> bool:
        """Open a WebSocket whose whole handshake waits in its socket, unread.

        False: it is left as it was. (Called instead of `prepare`, without a stream.)
        """
        raise NotImplementedError()

    def _answer_early(self, sock: socket.socket, head_bytes: int) -> bytes:
        """The 101, when the head is read."""
        sock.setblocking(False)
        sock.recv(head_bytes)
        self.set_status(101)
        self.application.log_request(self)
        return self._switching()

    def _switching(self) -> bytes:
        """Written by hand: Tornado's way takes a tenth of the cost of a connection."""
        key = self.request.headers["Sec-WebSocket-Key"].encode()
        digest = hashlib.sha1(key + ACCEPT_SALT).digest()
        hsts = getattr(self.request.connection, "hsts", "")
        more = f"Strict-Transport-Security: {hsts}\r\n".encode() if hsts else b""
        return SWITCHING % (base64.b64encode(digest), more)

    def _send_101(self, sock: socket.socket) -> bool:
        answer = self._switching()
        try:
            if sock.send(answer) == len(answer):
                return True
        except OSError:
            pass  # the client is gone
        sock.close()
        return False


def drop_early(sock: socket.socket) -> None:
    """A socket that was taken and is lost."""
    asyncio.get_running_loop().remove_reader(sock)
    sock.close()


def unacknowledged_bytes(sock: socket.socket) -> int:
    """How many of the bytes written the other side has not acknowledged."""
    answer = fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(4))
    return int.from_bytes(answer, sys.byteorder)


@stream_request_body
class EngineHandler(SocketHandler):
    """`/socket.io/`: one request of an Engine.IO client."""

    TRANSPORTS: ClassVar = ("polling", "websocket")

    def initialize(self, engine: Engine) -> None:
        self.engine = engine
        self.requester: Requester
        self.socket: EngineSocket | None = None
        self.body: list[bytes] = []
        self.body_bytes = 0
        self.is_polling = False  # this request is the session's waiting GET
        self.is_posting = False  # or its POST

    # --- Checks ----------------------------------------------------------------------

    def prepare(self) -> None:
        try:
            self._check_protocol()
            self.requester = self.engine.handshake.check(self.request)
            self._find_session()
            if self.request.method == "POST":
                self._expect_body()
        except OldClient as error:
            self._refuse_old_client(error)
        except errors.HaiError as error:
            self.refuse(error)

    def _refuse_old_client(self, error: errors.HaiError) -> None:
        """A Socket.IO 2 client shows of a refusal its status at most, so over polling
        it gets a session of its own version that says why and ends."""
        if self.request.method != "GET" or self._query("transport") != "polling":
            self.refuse(error)
            return
        self.is_refused = True
        self.set_header("Content-Type", PAYLOAD_TYPE)
        self.finish(OLD_PAYLOAD)

    def _query(self, name: str) -> str | None:
        values = self.request.query_arguments.get(name)
        return values[-1].decode("latin1") if values else None

    def _check_protocol(self) -> None:
        transport, sid = self._query("transport"), self._query("sid")
        version = self._query("EIO")
        if transport not in self.TRANSPORTS:
            raise errors.BadRequest("Unknown transport.")
        if version == "3":
            raise OldClient(OLD_CLIENT)
        if version != "4" and (sid is None or version is not None):
            raise errors.BadRequest("Only Engine.IO version 4.")
        if transport == "websocket" or self.is_upgrade:
            if transport != "websocket":
                raise errors.BadRequest("Polling needs no upgrade.")
            self.check_handshake()
        elif self.request.method not in ("GET", "POST"):
            raise errors.BadRequest("Wrong method.")
        elif self.request.method == "POST" and sid is None:
            raise errors.BadRequest("A session begins with GET.")

    def _find_session(self) -> None:
        sid = self._query("sid")
        if sid is None:
            return
        found = self.engine.find(sid)
        if found is not None:
            found.check_heart()
        if found is None or found.closed:
            raise errors.BadRequest("Unknown session.")
        # The Python client sends its headers with the first request only. A client that
        # sends the cookie or token again, as browsers do, must do so from then on, so
        # that knowing its sid alone is useless.
        session_id = self.requester.session_id
        if session_id != found.session_id and (session_id or found.shows_again):
            raise errors.Forbidden("That is somebody else's.")
        found.shows_again = found.shows_again or session_id != 0
        if found.wire is not None and not self.is_upgrade:
            raise errors.BadRequest("This session has a WebSocket.")
        self.socket = found
        if not self.is_upgrade:
            self._refuse_repeated(found)

    def _refuse_repeated(self, found: EngineSocket) -> None:
        """A request that is here for the second time ends its session.

        When a kept connection breaks before the answer begins, browsers, libraries and
        proxies send the request again by themselves, POSTs too, and the client does not
        hear of it. The first answer is lost, and with it the packets that it had.
        """
        method = self.request.method or ""
        if found.is_repeated(method, self._query("t")):
            raise self._broken("This request has come before: its answer was lost.")

    def _expect_body(self) -> None:
        """A body that is too large ends the session before it is read."""
        assert self.socket is not None
        length = self.request.headers.get("Content-Length", "0")
        if not length.isdigit() or int(length) > self.socket.max_message_bytes:
            raise self._broken("The payload is too large.")
        if self.socket.posting is not None:
            raise self._broken("One POST at a time.")
        self.socket.posting = asyncio.get_running_loop().create_future()
        self.is_posting = True

    def _broken(self, message: str) -> errors.BadRequest:
        """What to raise when a request ends its session."""
        if self.socket is not None:
            reason = self.engine.reason.TRANSPORT_ERROR
            self.socket.end(reason, frames.PROTOCOL_ERROR)
        return errors.BadRequest(message)

    # --- Polling ---------------------------------------------------------------------

    def data_received(self, chunk: bytes) -> None:
        self.body_bytes += len(chunk)
        if self.is_refused or self.socket is None:
            return
        if self.body_bytes > self.socket.max_message_bytes:
            self.body.clear()
            self.refuse(self._broken("The payload is too large."))
        else:
            self.body.append(chunk)

    async def post(self) -> None:
        assert self.socket is not None
        body, self.body = b"".join(self.body), []
        try:
            await self.socket.take_payload(body)
        except Malformed as error:
            self.refuse(self._broken(f"Malformed payload: {error}."))
            return
        self.set_header("Content-Type", "text/html")  # as the reference does
        self.finish(b"ok")

    async def get(self) -> None:
        if self.is_upgrade:
            await self._open_websocket()
        elif self.socket is None:
            await self._open_polling()
        else:
            await self._poll(self.socket)

    async def _open_polling(self) -> None:
        if found := await self._open_session(["websocket"]):
            await self._poll(found)

    async def _open_session(self, upgrades: list[str]) -> EngineSocket | None:
        """A new session, or None if it was refused."""
        try:
            found = self.engine.open_session(self.requester)
        except errors.HaiError as error:
            self.refuse(error)
            return None
        found.push(self.engine.open_packet(found.sid, upgrades))
        await self.engine.announce(found)
        if found.closed:
            self.refuse(errors.Unauthorized())
            return None
        return found

    async def _poll(self, found: EngineSocket) -> None:
        """Respond with what is pending, or wait for it."""
        if found.closed:  # since `prepare` found it: it would wait forever
            self._answer_closed(found)
            return
        if found.poll is not None:
            self.socket = found
            self.refuse(self._broken("One GET at a time."))
            return
        self.socket, self.is_polling = found, True
        try:
            user_agent = self.request.headers.get("User-Agent", "")
            payload = await found.wait_poll(packets_for(user_agent))
        finally:
            found.poll, self.is_polling = None, False
        self.set_header("Content-Type", PAYLOAD_TYPE)
        await self._send_payload(found, payload)

    def _answer_closed(self, found: EngineSocket) -> None:
        """A client that leaves polls at the same time; that GET ends as if it had been
        waiting."""
        if found.is_left:
            self.set_header("Content-Type", PAYLOAD_TYPE)
            self.finish(NOOP.packet)
        else:
            self.refuse(errors.BadRequest("Unknown session."))

    async def _send_payload(self, found: EngineSocket, payload: bytes) -> None:
        """A response that was cut short ends the session, because its packets are lost.

        Bytes that the kernel has accepted may still be lost, so a long response is
        watched until the client has acknowledged it. (Closing a connection with unread
        bytes resets it.)
        """
        connection = self.request.connection
        assert isinstance(connection, HTTP1Connection)
        stream = connection.stream
        try:
            await self.finish(payload)
            while (
                len(payload) > WATCHED_BYTES
                and not (stream.closed() or found.closed)
                and unacknowledged_bytes(stream.socket)
            ):
                await asyncio.sleep(WATCH_S)
            if stream.error is not None:
                raise StreamClosedError(stream.error)
        except StreamClosedError:
            found.end(self.engine.reason.TRANSPORT_ERROR, frames.LOST, say=False)

    def on_connection_close(self) -> None:
        """The client aborted its request: the session ends, so that nothing is lost in
        a poll that nobody reads or a body that never arrived."""
        super().on_connection_close()
        if (self.is_polling or self.is_posting) and self.socket is not None:
            reason = self.engine.reason.TRANSPORT_ERROR
            self.socket.end(reason, frames.LOST, say=False)

    def on_finish(self) -> None:
        if self.is_posting and self.socket is not None and self.socket.posting:
            self.socket.posting.set_result(None)
            self.socket.posting, self.is_posting = None, False

    # --- WebSocket -------------------------------------------------------------------

    def take_early(self, sock: socket.socket, head_bytes: int) -> bool:
        try:
            self._check_protocol()
            if not self.is_upgrade or self._query("sid") is not None:
                return False
            requester = self.engine.handshake.check(self.request, counts=False)
            found = self.engine.open_session(requester)
        except errors.HaiError:
            return False
        self.engine.announce_now(found)
        if found.closed:
            return False
        try:
            answer = self._answer_early(sock, head_bytes)
            wire = self.engine.wire(sock, found, found.max_message_bytes)
        except OSError:  # lost at this moment
            found.end(self.engine.reason.TRANSPORT_CLOSE, frames.LOST, say=False)
            drop_early(sock)
            return True
        found.open_wire(wire)
        wire.send(answer + self.engine.open_packet(found.sid, []).frame)
        wire.start()
        return True

    async def _open_websocket(self) -> None:
        if self.socket is not None:
            self._upgrade(self.socket)
            return
        found = await self._open_session([])
        if found is None:
            return
        accepted = self.accept()
        if accepted is None:
            found.end(self.engine.reason.TRANSPORT_CLOSE, frames.LOST)
            return
        sock, early = accepted
        wire = self.engine.wire(sock, found, found.max_message_bytes)
        found.open_wire(wire)
        found.flush()
        wire.start(early)

    def _upgrade(self, found: EngineSocket) -> None:
        """A WebSocket for a polling session. One that comes too late is accepted and
        closed, because clients take a refused handshake for a broken server."""
        is_late = found.wire is not None or found.probe is not None
        accepted = self.accept()
        if accepted is None:
            return
        sock, early = accepted
        probe = Probe(found)
        wire = self.engine.wire(sock, probe, found.max_message_bytes)
        if is_late:
            probe.wire = wire
            wire.close(frames.POLICY)
        else:
            probe.start(wire)
        wire.start(early)
