"""Builds the realtime edge: start reading here.

`SocketServer` is python-socketio's server with our Engine.IO under it and the
strict dispatch of packets in it; `Realtime` is what app.py sees. The way of an
order: transport -> engine -> SocketServer.receive -> namespace -> OrderDesk ->
core; of a fact: bus -> broadcast -> outboxes -> one flush a turn.
"""

import asyncio
from functools import partial
from typing import Any

from hai.core.context import Core
from hai.core.identity import sessions
from hai.events import SessionEnded
from hai.realtime.broadcast import Broadcast
from hai.realtime.directory import Directory
from hai.realtime.eliza import ElizaNamespace
from hai.realtime.eliza import Reply as ElizaReply
from hai.realtime.fanout import FanoutManager
from hai.realtime.namespace import HaiNamespace
from hai.realtime.native import NativeHandler, NativeServer, NativeSocket
from hai.realtime.orders import OrderDesk, RunOrder
from hai.realtime.presence import Tabs
from hai.realtime.socket_server import SocketServer
from hai.realtime.wire import frames
from hai.realtime.wire.engine import EngineSocket
from hai.realtime.wire.handshake import Door
from hai.realtime.wire.outbox import Flusher
from hai.realtime.wire.packets import Memory
from hai.realtime.wire.transport import EngineHandler
from hai.storage import rooms

DRAIN_S = 15.0  # for orders under way when the server stops
GOODBYE_S = 1.0  # for the last polls, and for the clients' close frames


class Realtime:
    """The edge as a whole. Made on the loop that it runs on."""

    def __init__(
        self, core: Core, run_order: RunOrder, eliza_reply: ElizaReply | None = None
    ) -> None:
        self.core = core
        loop = asyncio.get_running_loop()
        config = core.config
        self.flusher = Flusher(loop)
        self.memory = Memory()
        self.directory = Directory()
        self.tabs = Tabs(self.directory, core.presence)
        self.door = Door(config, partial(sessions.find, core))
        self.desk = OrderDesk(core, run_order)
        self.sio = SocketServer(
            door=self.door,
            manager=FanoutManager(self.directory, self.flusher),
            memory=self.memory,
            desk=self.desk,
            ping_interval=config.ping_interval_s,
            ping_timeout=config.ping_timeout_s,
        )
        self.sio.register_namespace(HaiNamespace(self.desk, self.tabs))
        self.eliza: ElizaNamespace | None = None
        if eliza_reply is not None:
            self.eliza = ElizaNamespace(eliza_reply, self.desk)
            self.sio.register_namespace(self.eliza)
        self.engine = self.sio.eio
        self.native = NativeServer(
            door=self.door,
            desk=self.desk,
            tabs=self.tabs,
            engine=self.engine,
            memory=self.memory,
        )
        self.broadcast = Broadcast(
            core.bus,
            directory=self.directory,
            tabs=self.tabs,
            flusher=self.flusher,
            memory=self.memory,
        )
        core.bus.subscribe(SessionEnded, self._end_session)

    def url_specs(self) -> list[tuple[str, type, dict[str, Any]]]:
        """Rules for Tornado's URL table."""
        return [
            (r"/socket\.io/?", EngineHandler, {"engine": self.engine}),
            (r"/ws", NativeHandler, {"server": self.native}),
        ]

    @property
    def socket_count(self) -> int:
        return len(self.engine.sockets) + len(self.native.sockets)

    async def start(self) -> None:
        """Before the server accepts connections."""
        self.directory.load(await self.core.db.read(rooms.all_memberships))

    async def stop(self) -> None:
        """Answer the orders under way, then close everything with 1012.

        Before the database stops: acks are for what is stored.
        """
        self.door.is_closed = self.desk.is_closed = True
        await _wait_until(self._has_answered, DRAIN_S)
        self.flusher.flush_now()
        await _wait_until(self._has_been_fetched, GOODBYE_S)
        for found in self._all_sockets():
            found.hang_up(frames.RESTART)
        await self.engine.finish(GOODBYE_S)

    def _has_answered(self) -> bool:
        is_busy = self.eliza is not None and self.eliza.is_busy
        return not self.desk.in_flight and not is_busy

    def _has_been_fetched(self) -> bool:
        """Whether those who poll have everything: it may take several answers."""
        return all(found.is_fetched for found in self.engine.sockets.values())

    def _all_sockets(self) -> "list[EngineSocket | NativeSocket]":
        return [*self.engine.sockets.values(), *self.native.sockets]

    def _end_session(self, event: SessionEnded) -> None:
        """Its tabs hear it, and close; so do its sockets that are no tabs yet."""
        self.door.end(event.session_id)
        for found in self._all_sockets():
            identity = found.identity
            if identity is not None and identity.session_id == event.session_id:
                found.end_session()


async def _wait_until(is_done: Any, timeout_s: float) -> None:
    """Look every 10 ms; give up quietly."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    while not is_done() and loop.time() < deadline_s:
        await asyncio.sleep(0.01)


def build(
    core: Core, run_order: RunOrder, eliza_reply: ElizaReply | None = None
) -> Realtime:
    """The realtime edge for app.py. `run_order` is `hai.core.orders.run`."""
    return Realtime(core, run_order, eliza_reply)
