"""Builds the realtime edge: start reading here.

`SocketServer` is python-socketio's server with our Engine.IO below it and strict
dispatch of packets; `Realtime` is what app.py sees. An order goes transport -> engine
-> SocketServer.receive -> namespace -> OrderRunner -> core; a fact goes bus ->
broadcast -> outboxes -> one flush per turn.
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
from hai.realtime.orders import OrderRunner, RunOrder
from hai.realtime.presence import Tabs
from hai.realtime.socket_server import SocketServer
from hai.realtime.wire import frames
from hai.realtime.wire.engine import EngineSocket
from hai.realtime.wire.handshake import HandshakeChecks
from hai.realtime.wire.outbox import Flusher
from hai.realtime.wire.packets import AckCache
from hai.realtime.wire.transport import EngineHandler
from hai.storage import rooms

DRAIN_S = 15.0  # for orders in progress when the server stops
CLOSE_S = 1.0  # for the last polls, and for the clients' close frames


class Realtime:
    """The edge as a whole. Created on the loop it runs on."""

    def __init__(
        self, core: Core, run_order: RunOrder, eliza_reply: ElizaReply | None = None
    ) -> None:
        self.core = core
        loop = asyncio.get_running_loop()
        config = core.config
        self.flusher = Flusher(loop)
        self.ack_cache = AckCache()
        self.directory = Directory()
        self.tabs = Tabs(self.directory, core.presence)
        self.handshake = HandshakeChecks(config, partial(sessions.find, core))
        self.runner = OrderRunner(core, run_order)
        self.sio = SocketServer(
            handshake=self.handshake,
            manager=FanoutManager(self.directory, self.flusher),
            ack_cache=self.ack_cache,
            runner=self.runner,
            ping_interval=config.ping_interval_s,
            ping_timeout=config.ping_timeout_s,
        )
        self.sio.register_namespace(HaiNamespace(self.runner, self.tabs))
        self.eliza: ElizaNamespace | None = None
        if eliza_reply is not None:
            self.eliza = ElizaNamespace(eliza_reply, self.runner)
            self.sio.register_namespace(self.eliza)
        self.engine = self.sio.eio
        self.native = NativeServer(
            handshake=self.handshake,
            runner=self.runner,
            tabs=self.tabs,
            engine=self.engine,
            ack_cache=self.ack_cache,
        )
        self.broadcast = Broadcast(
            core.bus,
            directory=self.directory,
            tabs=self.tabs,
            flusher=self.flusher,
            ack_cache=self.ack_cache,
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
        """Answer the orders in progress, then close everything with 1012.

        Runs before the database stops, because an ack means that something was stored.
        """
        self.handshake.is_closed = self.runner.is_closed = True
        await _wait_until(self._has_answered, DRAIN_S)
        self.flusher.flush_now()
        await _wait_until(self._has_been_fetched, CLOSE_S)
        for found in self._all_sockets():
            found.hang_up(frames.RESTART)
        await self.engine.finish(CLOSE_S)

    def _has_answered(self) -> bool:
        is_busy = self.eliza is not None and self.eliza.is_busy
        return not self.runner.in_flight and not is_busy

    def _has_been_fetched(self) -> bool:
        """Whether polling clients have fetched everything (maybe in several polls)."""
        return all(found.is_fetched for found in self.engine.sockets.values())

    def _all_sockets(self) -> "list[EngineSocket | NativeSocket]":
        return [*self.engine.sockets.values(), *self.native.sockets]

    def _end_session(self, event: SessionEnded) -> None:
        """Its tabs are told, then closed; its other sockets are closed too."""
        self.handshake.session_ended(event.session_id)
        for found in self._all_sockets():
            identity = found.identity
            if identity is not None and identity.session_id == event.session_id:
                found.end_session()


async def _wait_until(is_done: Any, timeout_s: float) -> None:
    """Check every 10 ms; give up silently after the timeout."""
    loop = asyncio.get_running_loop()
    deadline_s = loop.time() + timeout_s
    while not is_done() and loop.time() < deadline_s:
        await asyncio.sleep(0.01)


def build(
    core: Core, run_order: RunOrder, eliza_reply: ElizaReply | None = None
) -> Realtime:
    """The realtime edge for app.py. `run_order` is `hai.core.orders.run`."""
    return Realtime(core, run_order, eliza_reply)
