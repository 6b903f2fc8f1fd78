"""Socket.IO: python-socketio's server, reading packets as they arrive.

Connecting, rooms, emits and acks are python-socketio's. What differs is how packets are
read: strictly, in the order received, and orders start without a task of their own. A
malformed packet ends the connection.
"""

import logging
from functools import partial
from typing import Any

import socketio
from socketio import packet as sio

from hai import errors
from hai.realtime.fanout import FanoutManager, facts_of
from hai.realtime.namespace import ClientNamespace, HaiNamespace
from hai.realtime.orders import BULK_CHARS, Ack, OrderRunner
from hai.realtime.wire.engine import (
    Engine,
    EngineSocket,
    Future,
)
from hai.realtime.wire.frames import POLICY
from hai.realtime.wire.handshake import HandshakeChecks
from hai.realtime.wire.outbox import Fact
from hai.realtime.wire.packets import (
    MSGPACK_PACKET,
    MSGPACK_REFUSAL,
    AckCache,
    Malformed,
    Packet,
    event_head,
    plain_event,
)

RESERVED = ("connect", "disconnect")  # events that only the server may name

# python-socketio's own log lines contain whole sids, so only its errors are logged.
library_logger = logging.getLogger("hai.realtime.library")
library_logger.setLevel(logging.ERROR)


class SocketServer(socketio.AsyncServer):
    """python-socketio, reading packets as they arrive: no task per message."""

    eio: Engine
    manager: FanoutManager

    def __init__(
        self,
        *,
        handshake: HandshakeChecks,
        manager: FanoutManager,
        ack_cache: AckCache,
        runner: OrderRunner,
        **engine: Any,
    ) -> None:
        super().__init__(
            client_manager=manager,
            serializer=Packet,
            logger=library_logger,
            engineio_logger=library_logger,
            async_handlers=False,
            handshake=handshake,
            flusher=manager.flusher,
            **engine,
        )
        self.handshake = handshake
        self.ack_cache = ack_cache
        self.runner = runner
        self.eio.receiver = self.receive
        self.eio.on_end = self._session_ended

    def _engineio_server_class(self) -> type[Engine]:
        return Engine

    # --- Packets ---------------------------------------------------------------------

    def receive(self, socket: EngineSocket, message: str | bytes) -> Future | None:
        """One Engine.IO message. Returns what the next one must wait for, if anything.

        Raises Malformed.
        """
        if len(message) > BULK_CHARS and not self._admits_bulk(socket, message):
            return None
        may_be_order = socket.hears_facts and socket.partial is None
        if may_be_order and (event := plain_event(message)):
            ack_id, (name, *arguments) = event
            reply = partial(self._ack, socket, "/", ack_id)
            return self.runner.start(socket, name, arguments, reply, len(message))
        packet = self._whole_packet(socket, message)
        if packet is None:
            return None
        kind, sid = packet.packet_type, socket.sid
        if kind in (sio.EVENT, sio.BINARY_EVENT):
            return self._take_event(socket, packet)
        if kind in (sio.CONNECT, sio.DISCONNECT) and not self._admits(socket):
            return None
        if kind == sio.CONNECT:
            return self.eio.run_now(
                self._handle_connect(sid, packet.namespace, packet.data)
            )
        if kind == sio.DISCONNECT:
            return self.eio.run(self._handle_disconnect(sid, packet.namespace))
        return self.eio.run(
            self._handle_ack(sid, packet.namespace, packet.id, packet.data)
        )

    def _whole_packet(
        self, socket: EngineSocket, message: str | bytes
    ) -> Packet | None:
        """The packet with its attachments; None while some are still to come."""
        packet: Packet = socket.partial
        if isinstance(message, bytes):
            if packet is None and MSGPACK_PACKET.match(message):
                socket.push(Fact(MSGPACK_REFUSAL, is_binary=True))
                socket.hang_up(POLICY)
                return None
            if packet is None:
                raise Malformed("unexpected attachment")
            if not packet.add_attachment(message):
                return None
            socket.partial = None
            return packet
        if packet is not None or not message:
            raise Malformed("text where an attachment belongs, or nothing")
        packet = Packet(encoded_packet=message)
        if packet.attachment_count:
            socket.partial = packet
            return None
        return packet

    def _admits_bulk(self, socket: EngineSocket, message: str | bytes) -> bool:
        """Whether so long a packet may be parsed. If not, and it is an order, it is
        acked without being parsed. Attachments, which are not parsed, count too."""
        try:
            self.runner.admit_bulk(socket, len(message))
        except errors.RateLimited as error:
            if isinstance(message, bytes) or (head := event_head(message)) is None:
                socket.hang_up(POLICY)
            else:
                self._ack(socket, "/", head[0], {"error": error.as_dict()})
            return False
        return True

    def _admits(self, socket: EngineSocket) -> bool:
        """Whether a namespace may be joined or left. No client of ours does that all
        the time."""
        try:
            self.runner.admit_namespace(socket)
        except errors.RateLimited:
            socket.hang_up(POLICY)
            return False
        return True

    def _take_event(self, socket: EngineSocket, packet: Packet) -> Future | None:
        namespace = packet.namespace or "/"
        sid = self.manager.sid_from_eio_sid(socket.sid, namespace)
        if sid is None or not self.manager.is_connected(sid, namespace):
            raise Malformed("an event before its CONNECT")
        handler = self.namespace_handlers.get(namespace)
        name, *args = packet.data
        if isinstance(handler, ClientNamespace):
            reply = partial(self._ack, socket, namespace, packet.id)
            return handler.take_event(socket, sid, name, args, reply)
        if name in RESERVED:
            raise Malformed("a reserved event")
        return self.eio.run(
            self._handle_event(socket.sid, namespace, packet.id, packet.data)
        )

    def _ack(
        self, socket: EngineSocket, namespace: str, ack_id: int | None, ack: Ack
    ) -> None:
        if ack_id is None or socket.closed:
            return
        place = "" if namespace == "/" else f"{namespace},"
        socket.push(Fact(f"43{place}{ack_id}[{self.ack_cache.dumps(ack)}]".encode()))

    # --- Connections -----------------------------------------------------------------

    async def _handle_connect(
        self, eio_sid: str, namespace: str | None, data: Any
    ) -> None:
        """As in python-socketio, but with the error messages that the protocol
        prescribes."""
        namespace = namespace or "/"
        socket = self.eio.find(eio_sid)
        if socket is None:
            return
        if namespace not in self.handlers and namespace not in self.namespace_handlers:
            _refuse_connect(socket, namespace, "Invalid namespace")
            socket.refused_connect()
            return
        if self.manager.sid_from_eio_sid(eio_sid, namespace):
            _refuse_connect(socket, namespace, "Already connected")
            return
        await super()._handle_connect(eio_sid, namespace, data)
        sid = self.manager.sid_from_eio_sid(eio_sid, namespace)
        if sid is None or not self.manager.is_connected(sid, namespace):
            socket.refused_connect()
            return
        socket.joined_namespace()
        if socket.wire is not None:
            # Some clients listen for events only when they have seen the answer: what
            # they read together with it is lost to them.
            socket.flush()
            socket.wire.hold()
        handler = self.namespace_handlers.get(namespace)
        if isinstance(handler, HaiNamespace) and not socket.closed:
            handler.joined(socket)

    def sign_in(self, socket: EngineSocket, auth: Any) -> None:
        """By the session that opened the socket, or by a token in CONNECT.

        A socket belongs to one identity: a second one is refused. Raises HaiError.
        """
        token = auth.get("token") if isinstance(auth, dict) else None
        if token is None and socket.identity is None:
            raise errors.Unauthorized()
        if token is None:
            return
        identity = self.handshake.find_identity(token, socket.address)
        if socket.identity is None:
            socket.authenticate(identity)
        elif socket.identity.session_id != identity.session_id:
            raise errors.Forbidden("This connection is somebody else's.")

    def _session_ended(self, socket: EngineSocket) -> None:
        handler = self.namespace_handlers.get("/")
        if isinstance(handler, HaiNamespace):
            handler.left(socket)


def _refuse_connect(socket: EngineSocket, namespace: str, message: str) -> None:
    packet = Packet(sio.CONNECT_ERROR, data={"message": message}, namespace=namespace)
    for fact in facts_of(packet):
        socket.push(fact)
