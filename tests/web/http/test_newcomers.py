"""A handshake gets the same answer whether its handler or Tornado reads it."""

import asyncio
import socket

import pytest

from hai.realtime.wire.handshake import BAD_TOKENS_BURST
from hai.web.http.connection import Peer
from hai.web.http.newcomers import take
from tests.realtime.raw import Raw, masked_frame

SOCKET_IO = "/socket.io/?EIO=4&transport=websocket"
NEW = {
    "Host": "127.0.0.1",
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "WebSocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
}


def head(path, headers, first="GET {} HTTP/1.1"):
    lines = [f"{name}: {value}" for name, value in (NEW | headers).items() if value]
    return "\r\n".join([first.format(path), *lines, "", ""]).encode()


def accepted(ada):
    cookie = {"Cookie": f"theme=dark; hai_session={ada.cookie}"}
    bearer = {"Authorization": f"Bearer {ada.token}"}
    return {
        "a cookie": head(SOCKET_IO, cookie),
        "a bearer": head(SOCKET_IO, bearer),
        "both": head(SOCKET_IO, cookie | bearer),
        "neither": head(SOCKET_IO, {}),
        "another order": head("/socket.io?transport=websocket&EIO=4&t=Pq1", cookie),
        "its own origin": head(SOCKET_IO, cookie | {"Origin": "http://127.0.0.1"}),
        "/ws": head("/ws", bearer),
    }


def refused(ada):
    cookie = {"Cookie": f"hai_session={ada.cookie}"}
    bad = {"Authorization": "Bearer nonsense"}
    return {
        "a bad cookie": head(SOCKET_IO, {"Cookie": "hai_session=nonsense"}),
        "a bad bearer": head(SOCKET_IO, cookie | bad),
        "another origin": head(SOCKET_IO, cookie | {"Origin": "http://evil.example"}),
        "another site": head(SOCKET_IO, cookie | {"Sec-Fetch-Site": "cross-site"}),
        "no version": head(SOCKET_IO, {"Sec-WebSocket-Version": None}),
        "another version": head(SOCKET_IO, {"Sec-WebSocket-Version": "8"}),
        "a short key": head(SOCKET_IO, {"Sec-WebSocket-Key": "AAAA"}),
        "no upgrade": head(SOCKET_IO, {"Upgrade": None}),
        "Engine.IO 3": head("/socket.io/?EIO=3&transport=websocket", cookie),
        "an unknown transport": head("/socket.io/?EIO=4&transport=pigeon", cookie),
        "an unknown sid": head(f"{SOCKET_IO}&sid=nobody", cookie),
        "polling": head("/socket.io/?EIO=4&transport=polling", {"Upgrade": None}),
        "another method": head(SOCKET_IO, cookie, "POST {} HTTP/1.1"),
        "HTTP/1.0": head(SOCKET_IO, cookie, "GET {} HTTP/1.0"),
        "a body": head(SOCKET_IO, cookie | {"Content-Length": "4"}) + b"body",
        "no host": head(SOCKET_IO, cookie | {"Host": None}),
        "a bad host": head(SOCKET_IO, cookie | {"Host": "one, two"}),
        "a header without a colon": head(SOCKET_IO, {"Origin\r\n": " "}),
        "/ws for nobody": head("/ws", {}),
        "another path": head("/socket.io/more?EIO=4&transport=websocket", cookie),
    }


async def answer(app, data, *, at_once):
    """What comes for it: the head, without what is never the same, and whether it is a
    WebSocket's."""
    raw = await Raw.open(app.port)
    begun = 0 if at_once else 10
    raw.write(data[:begun])
    await asyncio.sleep(0 if at_once else 0.05)
    raw.write(data[begun:])
    async with asyncio.timeout(30):
        said = await raw.reader.readuntil(b"\r\n\r\n")
    lines = [line for line in said.split(b"\r\n") if not line.startswith(b"Date:")]
    opcode = (await raw.frame())[0] if b" 101 " in said and b"ws" not in data else None
    raw.close()
    return lines, opcode


async def test_whoever_is_refused_hears_the_same(app, cast):
    for what, data in refused(cast.ada).items():
        early = await answer(app, data, at_once=True)
        assert early == await answer(app, data, at_once=False), what
        assert b" 101 " not in early[0][0], what


async def test_whoever_may_connect_hears_the_same(app, cast):
    for what, data in accepted(cast.ada).items():
        early = await answer(app, data, at_once=True)
        assert early == await answer(app, data, at_once=False), what
        assert b" 101 " in early[0][0], what


def taken(app, data):
    """Whether a handler takes this from its socket, and what it has left there."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        theirs.sendall(data)
        if take(app.web, ours, Peer("127.0.0.1")):
            return True, theirs.recv(65536)
        with ours:
            return False, ours.recv(65536)


@pytest.fixture
def inet(monkeypatch):
    """Pairs of TCP sockets: a WebSocket sets options of TCP."""

    def socketpair():
        with socket.create_server(("127.0.0.1", 0)) as listening:
            ours = socket.create_connection(listening.getsockname())
            theirs, _ = listening.accept()
        return theirs, ours

    monkeypatch.setattr(socket, "socketpair", socketpair)


async def test_what_is_refused_or_incomplete_is_not_touched(app, cast, inet):
    whole = head(SOCKET_IO, {"Cookie": f"hai_session={cast.ada.cookie}"})
    others = [*refused(cast.ada).values(), whole[:-1], b"", b"GET / HTTP/1.1\r\n\r\n"]
    for data in filter(None, others):
        assert taken(app, data) == (False, data)
    assert app.realtime.socket_count == 0


async def test_every_usual_handshake_is_taken(app, cast, inet):
    for what, data in accepted(cast.ada).items():
        is_taken, said = taken(app, data)
        assert is_taken and said.startswith(b"HTTP/1.1 101 "), what


@pytest.mark.parametrize("what", ["a cookie", "/ws"])
async def test_one_that_is_lost_at_that_moment_leaves_nothing(app, cast, what):
    """A socket that is not TCP's cannot become a WebSocket's."""
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.sendall(accepted(cast.ada)[what])
        assert take(app.web, ours, Peer("127.0.0.1"))
        assert theirs.recv(1) == b""
    assert ours.fileno() < 0
    assert app.realtime.socket_count == len(app.realtime.engine.wires) == 0
    assert not app.realtime.handshake._by_session


async def test_a_bad_token_counts_once(app, cast):
    await answer(app, refused(cast.ada)["a bad cookie"], at_once=True)
    ((left, _),) = app.realtime.handshake._bad_tokens._filled.values()
    assert left == BAD_TOKENS_BURST - 1


async def test_frames_that_come_with_the_handshake_are_heard(app, cast):
    data = head(SOCKET_IO, {"Cookie": f"hai_session={cast.ada.cookie}"})
    raw = await Raw.open(app.port)
    raw.write(data + masked_frame(b"40") + masked_frame(b'421["no_such_order",{}]'))
    assert await raw.answer() == 101
    heard = [await raw.text() for _ in range(3)]
    assert heard[0].startswith("0{") and heard[1].startswith("40{")
    while not heard[-1].startswith("431"):
        heard.append(await raw.text())
    assert "unknown_order" in heard[-1]
    raw.close()


async def test_who_connects_and_waits_before_asking_is_served_as_well(app, cast):
    raw = await Raw.open(app.port)
    while app.http._newcomers:  # longer than it waits for the first byte
        await asyncio.sleep(0.05)
    assert await raw.request("GET", "/healthz") == 200
    raw.close()


async def test_a_server_that_stops_closes_those_who_have_said_nothing(app):
    raw = await Raw.open(app.port)
    while not app.http._newcomers:
        await asyncio.sleep(0.01)
    app.http.stop()
    await app.http.close_all_connections()
    assert await raw.is_ended()
    raw.close()
