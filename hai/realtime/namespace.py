"""The namespaces: who may connect, and what clients may say there.

`connect` and `disconnect` come from the server alone, through `trigger_event`;
what clients emit comes through `take_event` and can never name a method.
"""

import asyncio
from typing import Any, Protocol

import socketio
from socketio.exceptions import ConnectionRefusedError

from hai import errors
from hai.ids import user_room
from hai.realtime.orders import OrderDesk, Reply
from hai.realtime.presence import Tabs
from hai.realtime.wire.engine import Engine, EngineSocket

Future = asyncio.Future[Any]


class NamespaceServer(Protocol):
    """What a namespace needs of the Socket.IO server that it is registered at."""

    eio: Engine
    manager: socketio.AsyncManager

    def sign_in(self, socket: EngineSocket, auth: Any) -> None: ...


class ClientNamespace(socketio.AsyncNamespace):
    """A namespace for signed-in users. Subclasses say what `take_event` does."""

    server: NamespaceServer

    async def trigger_event(self, event: str, *args: Any) -> Any:
        """Lifecycle events, from python-socketio; nothing else passes."""
        if event == "connect":
            return await self.on_connect(*args)
        if event == "disconnect":
            return await self.on_disconnect(*args)
        return None

    async def on_connect(self, sid: str, environ: Any, auth: Any) -> None:
        """Refuse whoever is not signed in, by session or by `auth: {token}`."""
        try:
            self.server.sign_in(self.socket_of(sid), auth)
        except errors.HaiError as error:
            raise ConnectionRefusedError(error.message, error.as_dict()) from None

    async def on_disconnect(self, sid: str, reason: str) -> None:
        """Must not raise: python-socketio would call it again."""

    def take_event(
        self, socket: EngineSocket, sid: str, name: Any, args: list[Any], reply: Reply
    ) -> Future | None:
        """One event of a client, begun before this returns.

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
    """`/`: orders in, facts out. The orders are core's table."""

    def __init__(self, desk: OrderDesk, tabs: Tabs) -> None:
        super().__init__("/")
        self.desk = desk
        self.tabs = tabs

    async def on_connect(self, sid: str, environ: Any, auth: Any) -> None:
        await super().on_connect(sid, environ, auth)
        identity = self.socket_of(sid).identity
        assert identity is not None
        await self.enter_room(sid, user_room(identity.user_id))

    def joined(self, socket: EngineSocket) -> None:
        """The CONNECT packet is on its way: from here on the tab hears facts."""
        assert socket.identity is not None
        socket.hears_facts = True
        self.tabs.enter(socket, socket.identity.user_id)

    async def on_disconnect(self, sid: str, reason: str) -> None:
        """Of the namespace alone; a whole session leaves as it ends."""
        eio_sid = self.server.manager.eio_sid_from_sid(sid, self.namespace)
        if found := self.server.eio.find(eio_sid):
            self.left(found)

    def left(self, socket: EngineSocket) -> None:
        """It hears nothing more. Harmless if it never did."""
        if socket.hears_facts and socket.identity is not None:
            socket.hears_facts = False
            self.tabs.leave(socket, socket.identity.user_id)
            self.desk.forget(socket)

    def take_event(
        self, socket: EngineSocket, sid: str, name: Any, args: list[Any], reply: Reply
    ) -> Future | None:
        return self.desk.start(socket, name, args, reply)
