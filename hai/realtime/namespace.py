"""The namespaces: who may connect, and what clients may send.

`connect` and `disconnect` come only from the server, through `trigger_event`; what
clients emit comes through `take_event` and can never name a method.
"""

import asyncio
from typing import Any, Protocol

import socketio
from socketio.exceptions import ConnectionRefusedError

from hai import errors
from hai.ids import user_room
from hai.realtime.orders import OrderRunner, Reply
from hai.realtime.presence import Tabs
from hai.realtime.wire.engine import Engine, EngineSocket

Future = asyncio.Future[Any]


class NamespaceServer(Protocol):
    """What a namespace needs from the Socket.IO server it is registered with."""

    eio: Engine
    manager: socketio.AsyncManager

    def sign_in(self, socket: EngineSocket, auth: Any) -> None: ...


class ClientNamespace(socketio.AsyncNamespace):
    """A namespace for signed-in users. Subclasses implement `take_event`."""

    server: NamespaceServer

    async def trigger_event(self, event: str, *args: Any) -> Any:
        """Lifecycle events from python-socketio; everything else is ignored."""
        if event == "connect":
            return await self.on_connect(*args)
        if event == "disconnect":
            return await self.on_disconnect(*args)
        return None

    async def on_connect(self, sid: str, environ: Any, auth: Any) -> None:
        """Refuse anyone who is not signed in, by session or by `auth: {token}`."""
        try:
            self.server.sign_in(self.socket_of(sid), auth)
        except errors.HaiError as error:
            raise ConnectionRefusedError(error.message, error.as_dict()) from None

    async def on_disconnect(self, sid: str, reason: str) -> None:
        """Must not raise: python-socketio would call it again."""

    def take_event(
        self, socket: EngineSocket, sid: str, name: Any, args: list[Any], reply: Reply
    ) -> Future | None:
        """One event of a client, started before this returns.

        Returns what to wait for before the client's next packet is read.
        """
        raise NotImplementedError

    def socket_of(self, sid: str) -> EngineSocket:
        eio_sid = self.server.manager.eio_sid_from_sid(sid, self.namespace)
        found = self.server.eio.find(eio_sid)
        if found is None:
            raise errors.Unauthorized()
        return found


class HaiNamespace(ClientNamespace):
    """`/`: orders in, facts out. The orders are those of core/orders.py."""

    def __init__(self, runner: OrderRunner, tabs: Tabs) -> None:
        super().__init__("/")
        self.runner = runner
        self.tabs = tabs

    async def on_connect(self, sid: str, environ: Any, auth: Any) -> None:
        await super().on_connect(sid, environ, auth)
        identity = self.socket_of(sid).identity
        assert identity is not None
        await self.enter_room(sid, user_room(identity.user_id))

    def joined(self, socket: EngineSocket) -> None:
        """The CONNECT packet is on its way: from now on the tab receives facts."""
        assert socket.identity is not None
        socket.hears_facts = True
        self.tabs.enter(socket, socket.identity.user_id)

    async def on_disconnect(self, sid: str, reason: str) -> None:
        """Leaves this namespace only; a whole session leaves when it ends."""
        eio_sid = self.server.manager.eio_sid_from_sid(sid, self.namespace)
        if found := self.server.eio.find(eio_sid):
            self.left(found)

    def left(self, socket: EngineSocket) -> None:
        """It receives no more facts. Harmless if it never received any."""
        if socket.hears_facts and socket.identity is not None:
            socket.hears_facts = False
            self.tabs.leave(socket, socket.identity.user_id)
            self.runner.forget(socket)

    def take_event(
        self, socket: EngineSocket, sid: str, name: Any, args: list[Any], reply: Reply
    ) -> Future | None:
        return self.runner.start(socket, name, args, reply)
