"""Connections that only wait: they go when descriptors are short; who asks stays."""

import asyncio
import socket
from contextlib import suppress

import pytest
from tornado.netutil import bind_sockets
from tornado.web import Application, RequestHandler

from hai.web.http import connection, listener

PATIENCE_S = 60  # a safety net: nothing here waits for it
ASK = b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"


class Hello(RequestHandler):
    def get(self):
        self.finish("hello")


class Busy(RequestHandler):
    """Answers at once, and does not come to an end until it may."""

    released = None

    async def get(self):
        self.write("hello")
        await self.flush()
        await Busy.released.wait()


class Line:
    """One connection, from an address of this machine."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    async def ask(self, path=b"/"):
        self.writer.write(ASK.replace(b"/ ", path + b" ", 1))
        async with asyncio.timeout(PATIENCE_S):
            answer = await self.reader.readuntil(b"hello")
        assert answer.lstrip().startswith(b"HTTP/1.1 200")

    async def has_ended(self):
        async with asyncio.timeout(PATIENCE_S):
            with suppress(ConnectionError):
                return await self.reader.read() == b""
        return True


async def dial(port, address="127.0.0.1"):
    local = (address, 0)
    return Line(*await asyncio.open_connection("127.0.0.1", port, local_addr=local))


async def ask(port, path):
    line = await dial(port)
    try:
        await line.ask(path)
    except BaseException:
        line.writer.close()
        raise
    return line


@pytest.fixture
def serve(io_loop, monkeypatch):
    """`await serve(share=...)`: a server; `line(address)`: a connection to it."""
    monkeypatch.setattr(listener, "PAUSE_S", 0.01)
    monkeypatch.setattr(Busy, "released", asyncio.Event())
    servers = []

    async def make(**options):
        rules = [("/", Hello), ("/busy", Busy)]
        server = listener.Listener(Application(rules), **options)
        sockets = bind_sockets(0, "127.0.0.1")
        server.add_sockets(sockets)
        server.port = sockets[0].getsockname()[1]
        servers.append(server)
        return server

    yield make
    for server in servers:
        server.stop()
        io_loop.run_sync(server.close_all_connections)


@pytest.fixture
def limited(io_loop, serve):
    """A server that may open four more descriptors than there are.

    Each connection here takes two: both of its ends are in here.
    """
    server = io_loop.run_sync(serve)
    server._last_file = next_file(server) + 4
    return server


def next_file(server):
    return listener._next_file(next(iter(server._sockets.values())))


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


# --- At the limit --------------------------------------------------------------------


async def test_who_comes_at_the_limit_waits_and_is_served(limited, expect_log):
    expect_log("no more file descriptors")
    asking = [asyncio.ensure_future(ask(limited.port, b"/busy")) for _ in range(8)]
    await until(lambda: limited._say_at and not limited._handlers)
    await until(lambda: any(one.done() for one in asking))
    await asyncio.sleep(0.1)
    served = [one for one in asking if one.done()]
    assert 0 < len(served) < 8
    assert not limited._handlers  # it rests until there are some again
    limited._last_file += 100
    for one in asking:
        (await one).writer.close()
    Busy.released.set()


async def test_a_server_that_rests_can_be_stopped(limited, expect_log):
    expect_log("no more file descriptors")
    asking = [asyncio.ensure_future(ask(limited.port, b"/busy")) for _ in range(8)]
    await until(lambda: limited._say_at and not limited._handlers)
    limited.stop()
    await asyncio.sleep(0.05)
    assert not limited._handlers
    for one in asking:
        if one.done() and not one.exception():
            one.result().writer.close()
        one.cancel()
    await asyncio.gather(*asking, return_exceptions=True)
    Busy.released.set()


@pytest.mark.parametrize("has_asked", [False, True])
async def test_at_the_limit_who_has_waited_longest_goes_for_who_asks(serve, has_asked):
    """Whether they have never asked anything, or nothing more."""
    server = await serve()
    waiting = []
    for _ in range(4):
        waiting.append(await dial(server.port))
        if has_asked:
            await waiting[-1].ask()
    found = server.quiet.idle if has_asked else server.quiet.silent
    await until(lambda: len(found) == 4)
    server._last_file = next_file(server) + 2  # one for each end of the next one
    late = await ask(server.port, b"/")
    assert await waiting[0].has_ended()
    await late.ask()
    for one in (*waiting, late):
        one.writer.close()


# --- Silence -------------------------------------------------------------------------


async def test_who_connects_and_asks_nothing_is_left_soon(serve, monkeypatch):
    """Who has asked something, and may ask more, is not."""
    monkeypatch.setattr(connection, "FIRST_HEAD_S", 0.1)
    server = await serve()
    idle = await dial(server.port)
    await idle.ask()
    await until(lambda: len(server.quiet.idle) == 1)
    silent, slow = await dial(server.port), await dial(server.port)
    slow.writer.write(ASK[:-2])
    assert await silent.has_ended() and await slow.has_ended()
    await idle.ask()
    await until(lambda: not len(server.quiet.silent))
    for one in (idle, silent, slow):
        one.writer.close()


async def test_a_trusted_proxy_may_connect_before_it_has_something_to_ask(
    serve, monkeypatch
):
    monkeypatch.setattr(connection, "FIRST_HEAD_S", 0.1)
    server = await serve(is_trusted={"127.0.0.2"}.__contains__)
    proxy = await dial(server.port, "127.0.0.2")
    other = await dial(server.port)
    assert await other.has_ended()
    await proxy.ask()
    for one in (proxy, other):
        one.writer.close()


async def test_whose_head_has_come_is_not_closed_for_another(serve):
    """Between its arrival and the beginning of its request, too."""
    server = await serve()
    one = await dial(server.port)
    await until(lambda: len(server.quiet.silent) == 1)
    (stream,) = server.quiet.silent
    one.writer.write(ASK)
    while not stream._searched_bytes:
        await asyncio.sleep(0)
    assert not server.quiet.make_room()
    assert await one.reader.readuntil(b"\r\n\r\n")
    one.writer.close()


async def test_an_address_has_a_share_of_silence_and_its_oldest_goes(
    serve, monkeypatch
):
    monkeypatch.setattr(listener, "FEW_SILENT", 2)
    monkeypatch.setattr(listener, "MOST_SILENT", 2)
    server = await serve(is_trusted={"127.0.0.3"}.__contains__)
    silent = server.quiet.silent
    neighbour = await dial(server.port, "127.0.0.2")
    proxies = [await dial(server.port, "127.0.0.3") for _ in range(4)]
    member = await dial(server.port)
    await member.ask()
    ours = []
    for count in range(1, 4):
        ours.append(await dial(server.port))
        await until(lambda count=count: len(silent) == 1 + min(count, 2))
    assert await ours[0].has_ended()
    for one in (neighbour, *proxies, member, *ours[1:]):
        await one.ask()
    assert len(silent) == 0
    for one in (neighbour, *proxies, member, *ours):
        one.writer.close()


async def test_who_asks_as_they_connect_is_never_counted(serve, monkeypatch):
    """However many come at once, as all tabs of a house do after a restart."""
    monkeypatch.setattr(listener, "FEW_SILENT", 2)
    monkeypatch.setattr(listener, "MOST_SILENT", 2)
    server = await serve()
    lines = []
    for _ in range(60):
        lines.append(socket.create_connection(("127.0.0.1", server.port)))
        lines[-1].sendall(ASK)
    for line in lines:
        reader, writer = await asyncio.open_connection(sock=line)
        async with asyncio.timeout(PATIENCE_S):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        writer.close()
