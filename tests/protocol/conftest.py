"""The suites' server on the test's loop, and clients for both transports."""

import asyncio
import json

import pytest
from tornado.httpclient import AsyncHTTPClient, HTTPRequest

from tests.protocol.server import serve
from tests.realtime.raw import Raw

PATIENCE_S = 60  # above the interval of the pings
PING_INTERVAL_S, PING_TIMEOUT_S = 30, 20  # a busy machine shall end no session
TICK_S = 0.01  # of the wheel, for pings that come soon


class Speaker:
    """Opens sessions at one path of the server."""

    def __init__(self, served, path):
        self.served, self.path = served, path
        self.http = AsyncHTTPClient(force_instance=True)
        self.raws = []

    def url(self, transport="polling", sid=None, query=None):
        query = f"EIO=4&transport={transport}" if query is None else query
        return f"{self.path}?{query}" + (f"&sid={sid}" if sid else "")

    @property
    def engine(self):
        is_alone = self.path == "/engine.io/"
        return self.served.engine if is_alone else self.served.sio.eio

    async def fetch(self, method="GET", body=None, *, user_agent=None, **place):
        """(status, text) of a request over HTTP."""
        request = HTTPRequest(
            f"http://127.0.0.1:{self.served.port}{self.url(**place)}",
            method=method,
            body=body,
            user_agent=user_agent,
            allow_nonstandard_methods=True,
            request_timeout=PATIENCE_S,
        )
        response = await self.http.fetch(request, raise_error=False)
        return response.code, (response.body or b"").decode()

    async def post(self, sid, body):
        return await self.fetch("POST", body.encode(), sid=sid)

    async def poll(self, sid, user_agent=None):
        return await self.fetch(sid=sid, user_agent=user_agent)

    async def polling(self, sid):
        """A poll, as a task, that the server holds already."""
        task = asyncio.ensure_future(self.poll(sid))
        await self.until(lambda: self.engine.find(sid).poll is not None)
        return task

    async def until(self, is_so):
        async with asyncio.timeout(PATIENCE_S):
            while not is_so():
                await asyncio.sleep(0.001)

    async def open_polling(self):
        """The sid of a new polling session."""
        status, text = await self.fetch()
        assert status == 200
        return json.loads(text[1:])["sid"]

    async def raw(self):
        self.raws.append(await Raw.open(self.served.port))
        return self.raws[-1]

    async def websocket(self, **place):
        """An open WebSocket whose handshake packet has not been read."""
        raw = await self.raw()
        place = {"transport": "websocket"} | place
        assert await raw.upgrade(self.url(**place)) == 101
        return raw

    async def open_websocket(self):
        """A WebSocket session, with its OPEN packet read."""
        raw = await self.websocket()
        assert (await raw.text())[0] == "0"
        return raw

    async def connect(self, packet="40"):
        """A Socket.IO connection, with the server's greetings read."""
        raw = await self.open_websocket()
        raw.send(packet)
        assert (await raw.text()).startswith("40")
        assert "auth" in await raw.text()
        return raw

    def hurry(self, ping_timeout_s=PING_TIMEOUT_S):
        """Pings soon, in the sessions that begin from now on."""
        self.engine.ping_interval, self.engine.ping_timeout = 0.05, ping_timeout_s
        self.engine.wheel.tick_s = TICK_S

    def close(self):
        self.http.close()
        for raw in self.raws:
            raw.close()


@pytest.fixture
def suite_server(io_loop):
    async def start():
        return serve(0, PING_INTERVAL_S, PING_TIMEOUT_S)

    served = io_loop.run_sync(start)
    yield served
    io_loop.run_sync(lambda: stop(served))


async def stop(served):
    served.http.stop()
    for engine in (served.engine, served.sio.eio):
        await engine.disconnect()
        await engine.finish(0)
    await served.http.close_all_connections()


@pytest.fixture
def engine_io(suite_server):
    speaker = Speaker(suite_server, "/engine.io/")
    yield speaker
    speaker.close()


@pytest.fixture
def socket_io(suite_server):
    speaker = Speaker(suite_server, "/socket.io/")
    yield speaker
    speaker.close()


@pytest.fixture(params=["/engine.io/", "/socket.io/"])
def either(request, suite_server):
    """The transport's rules hold with and without Socket.IO on top."""
    speaker = Speaker(suite_server, request.param)
    yield speaker
    speaker.close()
