"""From polling to WebSocket: the probe, and the upgrade itself.

The client opens a WebSocket for its sid and sends `2probe`; the reply is `3probe`, and
from then on waiting polls end with a NOOP. At `5` the session's outbox moves over, in
order. Until then the session continues polling.
"""

import asyncio

from hai.realtime.wire import frames
from hai.realtime.wire.engine import EngineSocket
from hai.realtime.wire.outbox import Fact
from hai.realtime.wire.websocket import WebSocket

PROBE_S = 10.0  # from the handshake to the upgrade packet
PROBE_ANSWER = Fact(b"3probe")


class Probe:
    """A WebSocket that may take over a polling session.

    `2probe` is answered with `3probe`; `5` completes the upgrade; anything else ends
    only this WebSocket, and the session continues polling.
    """

    def __init__(self, socket: EngineSocket) -> None:
        self.socket = socket
        self.wire: WebSocket
        self.timer: asyncio.TimerHandle | None = None

    def start(self, wire: WebSocket) -> None:
        self.wire = wire
        self.socket.probe = wire
        loop = self.socket.flusher.loop
        self.timer = loop.call_later(PROBE_S, self._give_up)

    def on_text(self, text: str) -> "asyncio.Future[None] | None":
        """After `5` nothing is read here until the POST in progress is done, because
        its packets were sent first."""
        if text == "2probe" and not self.socket.has_probed:
            self.socket.has_probed = True
            self.wire.send(PROBE_ANSWER.frame)
            self.socket.release_poll()
        elif text == "5" and self.socket.has_probed:
            self._stop()
            self.wire.handler = self.socket
            self.socket.open_wire(self.wire)
            return self.socket.posting
        else:
            self._give_up()
        return None

    def on_binary(self, data: bytes) -> None:
        self._give_up()

    def on_pong(self) -> None:
        """Nothing: the session's heartbeat is Engine.IO's own."""

    def on_closed(self, code: int) -> None:
        self._stop()

    def _give_up(self) -> None:
        self._stop()
        self.wire.close(frames.PROTOCOL_ERROR)

    def _stop(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        if self.socket.probe is self.wire:
            self.socket.probe, self.socket.has_probed = None, False
