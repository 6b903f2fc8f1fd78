"""Connections that only wait: they go when descriptors are short; who asks stays."""

import asyncio
import gc
import socket
import weakref
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
        rules = [("/", Hello), ("/busy", Busy), ("/healthz", Hello)]
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
    gc.collect()
    gc.disable()  # no descriptor of an earlier test is freed meanwhile
    server = io_loop.run_sync(serve)
    server._last_file = next_file(server) + 4
    server._end_file = server._last_file + listener.SPARE_FILES
    yield server
    gc.enable()


def next_file(server):
    return listener._next_file(next(iter(server._sockets.values())))


async def until(condition):
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.01)


# --- At the limit --------------------------------------------------------------------


async def fill(limited):
    """All descriptors but the spare ones, with requests that are being answered."""
    busy = []
    while next_file(limited) < limited._last_file:
        busy.append(await ask(limited.port, b"/busy"))
    return busy


async def answer_at_the_limit(limited, path):
    """(status line, headers) of an answer that closes the connection."""
    line = await dial(limited.port)
    line.writer.write(ASK.replace(b"/ ", path + b" ", 1))
    async with asyncio.timeout(PATIENCE_S):
        head = await line.reader.readuntil(b"\r\n\r\n")
        await line.reader.read()
    line.writer.close()
    assert b"connection: close" in head.lower()
    return head.split(b"\r\n")[0]


async def test_at_the_limit_the_operator_is_answered_and_others_are_refused(
    limited, expect_log
):
    expect_log("no more file descriptors")
    busy = await fill(limited)
    for _ in range(3 * listener.SPARE_FILES):
        assert b"503" in await answer_at_the_limit(limited, b"/")
        assert b"200" in await answer_at_the_limit(limited, b"/healthz?deep")
    Busy.released.set()
    for one in busy:
        one.writer.close()
    await until(lambda: next_file(limited) < limited._last_file - 1)
    (await ask(limited.port, b"/")).writer.close()


async def test_silence_at_the_limit_does_not_keep_the_operator_out(limited, expect_log):
    expect_log("no more file descriptors")
    busy = await fill(limited)
    silent = [await dial(limited.port) for _ in range(3 * listener.SPARE_FILES)]
    assert b"200" in await answer_at_the_limit(limited, b"/healthz")
    Busy.released.set()
    for one in (*busy, *silent):
        one.writer.close()


@pytest.fixture
def none_left(limited):
    """Not even spare ones: what was closed lingers, or a child has many files."""
    limited._end_file = limited._last_file
    limited._last_file += 100
    return limited


async def test_who_comes_when_even_spare_ones_are_used_up_waits(none_left, expect_log):
    expect_log("no more file descriptors")
    asking = [asyncio.ensure_future(ask(none_left.port, b"/busy")) for _ in range(8)]
    await until(lambda: none_left._say_at and not none_left._handlers)
    await until(lambda: any(one.done() for one in asking))
    await asyncio.sleep(0.1)
    served = [one for one in asking if one.done()]
    assert 0 < len(served) < 8
    assert not none_left._handlers  # it rests until there are some again
    none_left._end_file += 100
    for one in asking:
        (await one).writer.close()
    Busy.released.set()


async def test_a_server_that_rests_can_be_stopped(none_left, expect_log):
    expect_log("no more file descriptors")
    asking = [asyncio.ensure_future(ask(none_left.port, b"/busy")) for _ in range(8)]
    await until(lambda: none_left._say_at and not none_left._handlers)
    none_left.stop()
    await asyncio.sleep(0.05)
    assert not none_left._handlers
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
    server._last_file = next_file(server) + 1  # for the other end of the next one
    late = await ask(server.port, b"/")
    assert await waiting[0].has_ended()
    await late.ask()
    for one in (*waiting, late):
        one.writer.close()


def accepted(server):
    return len(server._connections) + len(server._newcomers)


async def test_a_crowd_at_the_door_comes_in_a_few_at_a_time(serve):
    """Who is inside is served between them."""
    server = await serve()
    inside = await dial(server.port)
    await inside.ask()
    crowd = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(100)]
    before, most = accepted(server), 0
    while accepted(server) < 101:
        await asyncio.sleep(0)
        most = max(most, accepted(server) - before)
        before = accepted(server)
    assert most == listener.ACCEPTED_A_TURN
    await inside.ask()
    for one in crowd:
        one.close()
    inside.writer.close()


# --- Memory --------------------------------------------------------------------------


class Knot:
    """Garbage that only the collector finds."""

    def __init__(self):
        self.knot = self


@pytest.mark.parametrize("worth_bytes", [-(2**40), 2**40])
async def test_what_many_connections_leave_is_given_back_if_it_is_much(
    serve, monkeypatch, worth_bytes
):
    monkeypatch.setattr(listener, "TIDY_BYTES", worth_bytes)
    monkeypatch.setattr(listener, "TIDY_S", 0.01)
    monkeypatch.setattr(listener, "TIDY_AFTER", 4)
    server = await serve()
    gc.disable()
    try:
        knot = weakref.ref(Knot())
        for _ in range(3):
            (await ask(server.port, b"/")).writer.close()
        await until(lambda: server._ended_count == 3)
        assert knot()
        (await ask(server.port, b"/")).writer.close()
        await until(lambda: server._ended_count == 0)  # it has been looked at
        assert (knot() is None) == (worth_bytes < 0)
    finally:
        gc.enable()


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
    assert not server._make_room()
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
