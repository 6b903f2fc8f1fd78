"""Connections at the limit of file descriptors: they wait, none is lost."""

import asyncio

import pytest
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from hai.web.http import listener


class Hello(RequestHandler):
    def get(self):
        self.finish("hello")


async def ask(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
    except BaseException:
        writer.close()
        raise
    assert head.startswith(b"HTTP/1.1 200")
    return writer


@pytest.fixture
def limited(io_loop, monkeypatch):
    """A server that may open two more descriptors than there are."""
    monkeypatch.setattr(listener, "PAUSE_S", 0.01)

    async def serve():
        server = listener.Listener(Application([("/", Hello)]))
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        server.port = sockets[0].getsockname()[1]
        server._last_file = listener._next_file(sockets[0]) + 4
        return server

    server = io_loop.run_sync(serve)
    yield server
    server.stop()
    io_loop.run_sync(server.close_all_connections)


async def test_who_comes_at_the_limit_waits_and_is_served(limited, expect_log):
    """Each connection here takes two descriptors: both of its ends are in here."""
    expect_log("no more file descriptors")
    asking = [asyncio.ensure_future(ask(limited.port)) for _ in range(8)]
    while not limited._say_at or limited._handlers:
        await asyncio.sleep(0.01)
    while not any(one.done() for one in asking):
        await asyncio.sleep(0.01)
    await asyncio.sleep(0.1)
    served = [one for one in asking if one.done()]
    assert 0 < len(served) < 8
    assert not limited._handlers  # it rests until there are some again
    limited._last_file += 100
    for one in asking:
        (await one).close()


async def test_a_server_that_rests_can_be_stopped(limited, expect_log):
    expect_log("no more file descriptors")
    asking = [asyncio.ensure_future(ask(limited.port)) for _ in range(8)]
    while not limited._say_at or limited._handlers:
        await asyncio.sleep(0.01)
    limited.stop()
    await asyncio.sleep(0.05)
    assert not limited._handlers
    for one in asking:
        if one.done() and not one.exception():
            one.result().close()
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
