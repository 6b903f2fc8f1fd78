"""What the published Engine.IO v4 and Socket.IO v5 suites expect of a server.

`python -m tests.protocol.server --port P --ping-interval 0.3 --ping-timeout 0.2`

Served on Hai's own server classes, without signing in. Engine.IO alone is at
`/engine.io/` and echoes each message. Socket.IO is at `/socket.io/`: `/` and
`/custom` answer a connection with an `auth` event that carries the client's auth
payload, `message` with `message-back`, `message-with-ack` with its ack.

The suites are files for mocha in the protocols' repositories, not npm packages: copy
`test-suite/` of socketio/engine.io-protocol (branch v4) or socketio/socket.io-protocol
(v5), run `npm install` in it, set `URL` (and `WS_URL`) in its `test-suite.js` to this
server, and `npm test`. Engine.IO's own asks at `/engine.io/`, so no path need change.
"""

import argparse
import asyncio
from types import SimpleNamespace

from tornado.netutil import bind_sockets
from tornado.web import Application

from hai import config as settings
from hai.realtime.directory import Directory
from hai.realtime.fanout import FanoutManager
from hai.realtime.orders import OrderRunner
from hai.realtime.socket_server import SocketServer, library_logger
from hai.realtime.wire.engine import Engine
from hai.realtime.wire.handshake import HandshakeChecks
from hai.realtime.wire.outbox import Flusher
from hai.realtime.wire.packets import AckCache
from hai.realtime.wire.transport import EngineHandler
from hai.web.http.listener import Listener


def make_engine(handshake, flusher, heartbeat):
    engine = Engine(
        handshake=handshake, flusher=flusher, logger=library_logger, **heartbeat
    )

    @engine.on("message")
    async def message(sid, data):
        await engine.send(sid, data)

    return engine


def make_socket_server(handshake, flusher, heartbeat):
    sio = SocketServer(
        handshake=handshake,
        manager=FanoutManager(Directory(), flusher),
        ack_cache=AckCache(),
        runner=OrderRunner(SimpleNamespace(config=handshake.config), run=None),
        **heartbeat,
    )
    for namespace in ("/", "/custom"):
        add_handlers(sio, namespace)
    return sio


def add_handlers(sio, namespace):
    async def connect(sid, environ, auth):
        asyncio.get_running_loop().call_soon(greet, sid, auth or {})

    def greet(sid, auth):
        sio.start_background_task(sio.emit, "auth", auth, to=sid, namespace=namespace)

    async def message(sid, *args):
        await sio.emit("message-back", args, to=sid, namespace=namespace)

    async def message_with_ack(sid, *args):
        return args

    sio.on("connect", connect, namespace=namespace)
    sio.on("message", message, namespace=namespace)
    sio.on("message-with-ack", message_with_ack, namespace=namespace)


def serve(port, ping_interval_s, ping_timeout_s):
    """Listen on loopback; returns what a test needs of it."""
    config = settings.load({"rate_limits": "off"}, {})
    heartbeat = {"ping_interval": ping_interval_s, "ping_timeout": ping_timeout_s}
    flusher = Flusher(asyncio.get_event_loop())
    handshake = HandshakeChecks(config, find=None)
    engine = make_engine(handshake, flusher, heartbeat)
    sio = make_socket_server(handshake, flusher, heartbeat)
    rules = [
        (r"/engine\.io/?", EngineHandler, {"engine": engine}),
        (r"/socket\.io/?", EngineHandler, {"engine": sio.eio}),
    ]
    application = Application(rules, log_function=lambda handler: None)
    http = Listener(application)
    sockets = bind_sockets(port, "127.0.0.1")
    http.add_sockets(sockets)
    return SimpleNamespace(
        engine=engine, sio=sio, http=http, port=sockets[0].getsockname()[1]
    )


async def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--port", type=int, default=3000)
    parser.add_argument("--ping-interval", type=float, default=0.3)
    parser.add_argument("--ping-timeout", type=float, default=0.2)
    flags = parser.parse_args()
    served = serve(flags.port, flags.ping_interval, flags.ping_timeout)
    print(f"http://127.0.0.1:{served.port}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
