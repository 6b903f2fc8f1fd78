"""When a connection goes on, and when it ends: said, meant, and the same for proxies.

Each answer here is followed by a hai in the same bytes. It is stored where the answer
left the connection open, and never where it did not.
"""

import asyncio
import contextlib
import json
import time
from socket import IPPROTO_TCP, TCP_NODELAY, socketpair

import pytest

from hai.storage.models import Hai
from hai.web.http import bodies, connection
from hai.web.http.connection import DRAINED_BYTES, HEAD_END, QuietConnections, Stream

PATIENCE_S = 30  # a safety net: nothing here waits for it
MIB = 1024 * 1024
HEAD_BYTES = 16 * 1024
TOKEN = "x" * 43
CROSS_SITE = {"Sec-Fetch-Site": "cross-site"}
TUS = {"Tus-Resumable": "1.0.0"}
WEBSOCKET = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class Line:
    """One TCP connection of ada's; status, headers and body are of the last answer."""

    def __init__(self, app, cast, reader, writer):
        self.app, self.token = app, cast.ada.token
        self.room_path = f"/rooms/{cast.lounge['id']}/hais"
        self.reader, self.writer = reader, writer

    def head(self, method, path, headers=None, version="1.1"):
        lines = {"Host": "hai", "Authorization": f"Bearer {self.token}"}
        lines |= {"Accept": "application/json"} | (headers or {})
        shown = [f"{name}: {value}" for name, value in lines.items() if value]
        return "\r\n".join([f"{method} {path} HTTP/{version}", *shown, "", ""]).encode()

    def hai(self):
        """A request that stores one."""
        body = b'{"text": "behind"}'
        lines = {"Content-Type": "application/json", "Content-Length": len(body)}
        return self.head("POST", self.room_path, lines) + body

    def send(self, *parts):
        self.writer.write(b"".join(parts))

    async def answer(self, method="GET"):
        """Read one answer, whole; None when the connection has ended."""
        async with asyncio.timeout(PATIENCE_S):
            head = await self.reader.readuntil(b"\r\n\r\n")
            first, *lines = head.decode().strip().split("\r\n")
            self.status = int(first.split()[1])
            pairs = (line.split(": ", 1) for line in lines)
            self.headers = {name.lower(): value for name, value in pairs}
            has_body = method != "HEAD" and self.status not in (100, 204, 304)
            length = int(self.headers["content-length"]) if has_body else 0
            self.body = await self.reader.readexactly(length)
        return self.status

    @property
    def says_close(self):
        return "close" in self.headers.get("connection", "").lower()

    @property
    def code(self):
        return json.loads(self.body)["error"]["code"]

    async def has_ended(self):
        """That nothing more comes: neither an answer nor a reset."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.reader.read() == b""


@pytest.fixture
def line(io_loop, app, cast):
    """`async with line() as one`: a new connection."""

    @contextlib.asynccontextmanager
    async def connect():
        reader, writer = await asyncio.open_connection("127.0.0.1", app.port)
        try:
            yield Line(app, cast, reader, writer)
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    return connect


@pytest.fixture
def hai_count(core):
    return lambda: core.db.read(Hai.select().count)


# --- Refusals ------------------------------------------------------------------------


def sized(size):
    return {"Content-Length": size}, bytes(size)


BODIES = {
    "none": ({}, b""),
    "empty": sized(0),
    "small": sized(100),
    "the longest that is read": sized(DRAINED_BYTES),
    "a byte longer": sized(DRAINED_BYTES + 1),
    "large": sized(3 * MIB),
    "small in chunks": (
        {"Transfer-Encoding": "chunked"},
        b"5\r\nabcde\r\n0\r\n\r\n",
    ),
    "large in chunks": (
        {"Transfer-Encoding": "chunked"},
        b"10000\r\n%b\r\n" % bytes(0x10000) * 48 + b"0\r\n\r\n",
    ),
    "awaited": ({"Content-Length": 100, "Expect": "100-continue"}, b""),
    "large and awaited": ({"Content-Length": 3 * MIB, "Expect": "100-Continue"}, b""),
}
STAYS = {"none", "empty", "small", "the longest that is read"}

NOBODY = {"Authorization": None}
POLLING = "/socket.io/?EIO=4&transport=polling"
REFUSALS = [
    ("POST", "/nowhere", {}, {404}),
    ("GET", "/nowhere", {}, {404}),
    ("HEAD", "/nowhere", {}, {404}),
    ("POST", "/rooms", NOBODY, {401}),
    ("GET", "/rooms", NOBODY, {401, 413}),
    ("GET", "/rooms", NOBODY | {"Accept": "text/html"}, {302, 413}),
    ("POST", "/rooms", {"Authorization": "Bearer no"}, {401}),
    ("POST", "/rooms", CROSS_SITE, {403}),
    ("POST", "/rooms/999999/pictures", {}, {404, 413}),
    ("PUT", "/rooms", {}, {405}),
    ("POST", "/healthz", {}, {405}),
    ("POST", "/share", {}, {503}),
    ("POST", "/rooms/{lounge}/pictures", {}, {400, 413}),
    ("POST", "/rooms/{lounge}/uploads", {}, {412}),
    ("POST", "/rooms/{lounge}/uploads", TUS, {400}),
    ("POST", "/rooms/{lounge}/uploads", TUS | {"Upload-Length": "1"}, {201, 415}),
    ("PATCH", f"/uploads/{TOKEN}", {}, {412}),
    ("PATCH", f"/uploads/{TOKEN}", TUS, {404}),
    ("PUT", f"/uploads/{TOKEN}", {}, {405}),
    ("POST", POLLING, {}, {400}),
    ("POST", f"{POLLING}&sid=nobody", {}, {400}),
    ("POST", POLLING, CROSS_SITE, {403}),
    ("GET", POLLING, {"Origin": "http://evil.example"}, {403}),
    ("GET", "/socket.io/?EIO=5&transport=polling", {}, {400}),
    ("POST", "/ws", {}, {405}),
    ("GET", "/ws", {}, {400}),
    ("POST", "/static/css/base.css", {}, {405, 413}),
]


@pytest.mark.parametrize(("method", "path", "headers", "statuses"), REFUSALS)
async def test_a_refusal_ends_the_connection_only_where_it_says_so(
    line, cast, hai_count, method, path, headers, statuses
):
    path = path.format(lounge=cast.lounge["id"])
    stored = 0
    for name, (sizes, body) in BODIES.items():
        async with line() as one:
            one.send(one.head(method, path, headers | sizes), body, one.hai())
            if await one.answer(method) == 100:
                continue  # it is read first, and then refused
            assert one.status in statuses, name
            if one.says_close:
                assert name not in STAYS
                assert await one.has_ended(), name
            else:
                assert await one.answer() == 201, name
                stored += 1
        assert await hai_count() == stored, name


@pytest.mark.parametrize("name", BODIES)
async def test_a_picture_that_is_none_is_refused_while_it_comes(
    line, cast, hai_count, name
):
    """The first bytes tell; the rest may still be on its way."""
    sizes, body = BODIES[name]
    if not body:
        return
    async with line() as one:
        length = {"Upload-Length": str(4 * MIB)}
        one.send(one.head("POST", f"/rooms/{cast.lounge['id']}/uploads", TUS | length))
        await one.answer()
        path = one.headers["location"]
        kind = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}
        one.send(one.head("PATCH", path, TUS | kind | sizes), body, one.hai())
        assert await one.answer() == 415 or len(body) < 1000
        if one.says_close:
            assert await one.has_ended()
            assert await hai_count() == 0
        else:
            assert await one.answer() == 201


async def test_a_refused_upgrade_is_the_last_on_its_connection(line, hai_count):
    """What comes behind may be frames already."""
    for path, headers in (
        ("/ws", WEBSOCKET | {"Authorization": "Bearer no"}),
        ("/ws", WEBSOCKET | {"Sec-WebSocket-Version": "8"}),
        ("/ws", WEBSOCKET | {"Content-Length": "2"}),
        ("/socket.io/?EIO=4&transport=websocket&sid=no", WEBSOCKET),
        ("/nowhere", WEBSOCKET),
    ):
        async with line() as one:
            one.send(one.head("GET", path, headers), one.hai())
            assert await one.answer() >= 400
            assert one.says_close and await one.has_ended()
    assert await hai_count() == 0


@pytest.mark.parametrize("path", ["/ws", "/socket.io/?EIO=4&transport=websocket"])
async def test_what_comes_behind_an_upgrade_is_no_http(line, hai_count, path):
    async with line() as one:
        one.send(one.head("GET", path, WEBSOCKET), one.hai() * 20)
        async with asyncio.timeout(PATIENCE_S):
            assert b" 101 " in await one.reader.readuntil(b"\r\n\r\n")
            assert b"HTTP/1.1" not in await one.reader.read()
    assert await hai_count() == 0


# --- Nothing behind a close ----------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "said"),
    [
        ("1.1", "close"),
        ("1.1", "Close"),
        ("1.1", "x, close"),
        ("1.1", "keep-alive, close"),
        ("1.0", None),
        ("1.0", "x"),
        ("1.0", "close"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
async def test_what_comes_behind_the_last_request_is_not_carried_out(
    line, hai_count, method, version, said
):
    async with line() as one:
        headers = {"Connection": said, "Content-Length": "0"}
        path = "/sign_out" if method == "POST" else "/healthz"
        one.send(one.head(method, path, headers, version), one.hai() * 200)
        assert await one.answer(method) == 200
        assert one.says_close and await one.has_ended()
    assert await hai_count() == 0


async def test_who_asks_by_http_1_0_may_stay(line):
    async with line() as one:
        for _ in range(3):
            stay = {"Connection": "keep-alive"}
            one.send(one.head("GET", "/healthz", stay, "1.0"))
            assert await one.answer() == 200
            assert one.headers["connection"].lower() == "keep-alive"


async def test_who_asks_by_http_1_0_is_told_when_they_may_not(line, hai_count):
    async with line() as one:
        headers = {"Connection": "keep-alive", "Content-Length": 3 * MIB}
        one.send(one.head("POST", "/nowhere", headers, "1.0"), bytes(3 * MIB))
        one.send(one.hai())
        assert await one.answer() == 404
        assert one.headers["connection"] == "close" and await one.has_ended()
    assert await hai_count() == 0


async def test_http_1_0_knows_no_100(line):
    async with line() as one:
        headers = {"Expect": "100-continue", "Content-Length": "4"}
        one.send(one.head("POST", "/rooms", headers, "1.0"), b"nono")
        assert await one.answer() == 400


async def test_pipelined_requests_are_answered_in_their_order(line, hai_count):
    async with line() as one:
        one.send(one.hai(), one.head("GET", "/healthz"), one.hai())
        assert [await one.answer() for _ in range(3)] == [201, 200, 201]
    assert await hai_count() == 2


async def test_an_unchanged_file_leaves_the_connection_open(line):
    async with line() as one:
        one.send(one.head("GET", "/static/css/fonts.css"))
        await one.answer()
        one.send(one.head("GET", "/manifest.webmanifest"))
        await one.answer()
        tag = {"If-None-Match": one.headers["etag"]}
        one.send(one.head("GET", "/manifest.webmanifest", tag))
        assert await one.answer("HEAD") == 304
        one.send(one.hai())
        assert await one.answer() == 201


# --- What is no HTTP -----------------------------------------------------------------

GET, HOST = b"GET /healthz HTTP/1.1\r\n", b"Host: hai\r\n"
MALFORMED = [
    b"GET /healthz HTTP/1.1\nHost: hai\r\n\r\n",
    GET + b"Host: hai\nX: y\r\n\r\n",
    GET + b"Host: hai\n\r\n",
    GET + b"Host: hai\r\n\n",
    GET + b"Host: hai\n\n",
    GET + HOST + b"X: a\rb\r\n\r\n",
    GET + HOST + b"X: y\r\r\n\r\n",
    GET + HOST + b"X: a\0b\r\n\r\n",
    GET + HOST + b"X: y\r\n folded\r\n\r\n",
    GET + HOST + b"X: y\r\n\tfolded: z\r\n\r\n",
    GET + HOST + b" X: y\r\n\r\n",
    GET + HOST + b"X : y\r\n\r\n",
    GET + HOST + b"X\t: y\r\n\r\n",
    GET + HOST + b": y\r\n\r\n",
    GET + HOST + b"no colon\r\n\r\n",
    GET + b"\r\n",
    GET + HOST + HOST + b"\r\n",
    GET + b"Host: a b\r\n\r\n",
    b"\n" + GET + HOST + b"\r\n",
    b"\r\n\r\n" + GET + HOST + b"\r\n",
    b"GET  /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /healthz\r\n" + HOST + b"\r\n",
    b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    b"GET /healthz HTTP/2.0\r\n" + HOST + b"\r\n",
    b"GET /healthz http/1.1\r\n" + HOST + b"\r\n",
    b"G\x00T /healthz HTTP/1.1\r\n" + HOST + b"\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",  # TLS
]


@pytest.mark.parametrize("data", MALFORMED)
async def test_what_is_no_http_is_refused_and_the_connection_ends(
    line, hai_count, data
):
    async with line() as one:
        one.send(data, one.hai())
        assert (await one.answer(), one.code) == (400, "bad_request")
        assert one.says_close and await one.has_ended()
    assert await hai_count() == 0


async def test_one_empty_line_before_a_request_is_passed_over(line):
    """RFC 9112, 2.2: old clients send one behind a form."""
    async with line() as one:
        one.send(b"\r\n", one.hai())
        assert await one.answer() == 201


FRAMINGS = [
    ["Content-Length: 5", "Content-Length: 5"],
    ["Content-Length: 5", "Content-Length: 6"],
    ["Content-Length: 5, 5"],
    ["Content-Length: 5,6"],
    ["Content-Length: +5"],
    ["Content-Length: -5"],
    ["Content-Length: 0x5"],
    ["Content-Length: 5 5"],
    ["Content-Length: "],
    ["Content-Length: \xb2"],
    ["Content-Length: " + "9" * 5000],
    ["Content-Length: 5", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: chunked", "Content-Length: 5"],
    ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked"],
    ["Transfer-Encoding: gzip, chunked"],
    ["Transfer-Encoding: chunked, identity"],
    ["Transfer-Encoding: identity"],
    ["Transfer-Encoding: xchunked"],
    ["Transfer-Encoding: "],
]


@pytest.mark.parametrize("lines", FRAMINGS, ids=repr)
@pytest.mark.parametrize("path", ["/rooms/{lounge}/hais", "/nowhere", "/ws"])
async def test_who_leaves_open_where_a_body_ends_is_refused(
    line, cast, hai_count, path, lines
):
    """Before anything of it is done, and whatever is at that address."""
    async with line() as one:
        head = one.head("POST", path.format(lounge=cast.lounge["id"]))
        framing = "".join(f"{text}\r\n" for text in lines).encode("latin1")
        one.send(head[:-2], framing, b"\r\n", b"5\r\nabcde\r\n0\r\n\r\n", one.hai())
        assert (await one.answer(), one.code) == (400, "bad_request")
        assert one.says_close and await one.has_ended()
    assert await hai_count() == 0


async def test_chunks_are_no_part_of_http_1_0(line, hai_count):
    async with line() as one:
        chunked = {"Transfer-Encoding": "chunked", "Connection": "keep-alive"}
        one.send(one.head("POST", "/rooms", chunked, "1.0"), b"0\r\n\r\n", one.hai())
        assert await one.answer() == 400
        assert one.says_close and await one.has_ended()
    assert await hai_count() == 0


CHUNKS = [
    b"5\nabcde\r\n0\r\n\r\n",
    b"5\r\nabcde\n0\r\n\r\n",
    b"5\r\nabcde\r\n0\n\r\n\r\n",
    b"5\r\nabcde\r\n0\r\n\n\r\n",
    b"5\r\nabcdefg\r\n0\r\n\r\n",
    b"5\r\nabc\r\n0\r\n\r\n\r\n",
    b"5;name=value\r\nabcde\r\n0\r\n\r\n",
    b"5 \r\nabcde\r\n0\r\n\r\n",
    b" 5\r\nabcde\r\n0\r\n\r\n",
    b"+5\r\nabcde\r\n0\r\n\r\n",
    b"0x5\r\nabcde\r\n0\r\n\r\n",
    b"-5\r\nabcde\r\n0\r\n\r\n",
    b"5_0\r\nabcde\r\n0\r\n\r\n",
    b"\r\nabcde\r\n0\r\n\r\n",
    b"5\r\nabcde\r\n0\r\nTrailer: x\r\n\r\n",
    b"1" * 100,
]


@pytest.mark.parametrize("data", CHUNKS)
async def test_chunks_are_read_to_the_letter(line, hai_count, data):
    async with line() as one:
        chunked = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
        one.send(one.head("POST", one.room_path, chunked), data, one.hai())
        assert (await one.answer(), one.code) == (400, "bad_request")
        assert one.says_close and await one.has_ended()
    assert await hai_count() == 0


async def test_a_hai_in_good_chunks_is_stored(line, hai_count):
    async with line() as one:
        chunked = {"Transfer-Encoding": "chunked", "Content-Type": "application/json"}
        body = b'2\r\n{"\r\nE\r\ntext": "chunks\r\n2\r\n"}\r\n0\r\n\r\n'
        one.send(one.head("POST", one.room_path, chunked), body, one.hai())
        assert [await one.answer(), await one.answer()] == [201, 201]
    assert await hai_count() == 2


# --- Too long, or never there --------------------------------------------------------


@pytest.mark.parametrize("length", [MIB + 1, 40 * MIB])
async def test_a_body_that_no_handler_streams_is_bounded(line, hai_count, length):
    async with line() as one:
        one.send(one.head("POST", "/static/x", {"Content-Length": length}))
        one.send(bytes(length), one.hai())
        assert (await one.answer(), one.code) == (413, "too_large")
        assert one.says_close and await one.has_ended()
    assert await hai_count() == 0


async def test_a_body_that_grows_too_long_is_refused(line, hai_count):
    async with line() as one:
        one.send(one.head("POST", "/rooms", {"Transfer-Encoding": "chunked"}))
        one.send(b"10000\r\n%b\r\n" % bytes(0x10000) * 40, b"0\r\n\r\n", one.hai())
        assert (await one.answer(), one.code) == (413, "too_large")
        assert one.says_close and await one.has_ended()
    assert await hai_count() == 0


def long_head(one, size):
    """A request whose head has so many bytes."""
    short = one.head("GET", "/healthz", {"X": "x"})
    return short.replace(b"X: x", b"X: x" + b"x" * (size - len(short)))


@pytest.mark.parametrize("has_more", [False, True])
async def test_a_head_above_16_kib_is_refused_before_it_is_whole(line, has_more):
    async with line() as one:
        one.send(long_head(one, HEAD_BYTES))
        assert await one.answer() == 200
        one.send(long_head(one, HEAD_BYTES + 1)[: None if has_more else -2], b"xx")
        assert (await one.answer(), one.code) == (431, "too_large")
        assert one.says_close and await one.has_ended()


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
async def test_a_head_may_come_in_pieces_of_any_size(line, size):
    """Wherever its end is cut, also with the next request in the last piece."""
    async with line() as one:
        head = one.head("GET", "/healthz", {"X": "x" * 20})
        one.writer.get_extra_info("socket").setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)
        pieces = head + head
        for begin in range(0, len(pieces), size):
            one.send(pieces[begin : begin + size])
            await one.writer.drain()
            await asyncio.sleep(0)
        assert [await one.answer(), await one.answer()] == [200, 200]


async def cpu_of_reading(begin_reading, piece, count):
    """Seconds of CPU time until so many pieces are there, one after the other."""
    ours, theirs = socketpair()
    stream = Stream(ours, QuietConnections(8), "127.0.0.1")
    coming = begin_reading(stream)
    began_s = time.thread_time()
    for number in range(1, count + 1):
        theirs.sendall(piece if number < count else piece[:-4] + b"\r\n\r\n")
        while stream._read_buffer_size < number * len(piece) and not coming.done():
            await asyncio.sleep(0)
    await coming
    spent_s = time.thread_time() - began_s
    stream.close()
    theirs.close()
    return spent_s


async def test_a_head_in_small_pieces_is_searched_once(app):
    """It costs little more than to receive it; 300 times as much, if all that is there
    were searched for each piece."""
    piece, count = b"a: bcd\r\n" * 128, 512
    size = len(piece) * count
    heads, bytes_only = [], []
    for _ in range(3):
        heads.append(
            await cpu_of_reading(
                lambda stream: stream.read_until_regex(HEAD_END, max_bytes=size),
                *(piece, count),
            )
        )
        bytes_only.append(
            await cpu_of_reading(
                lambda stream: stream.read_bytes(size), *(piece, count)
            )
        )
    assert min(heads) < 4 * min(bytes_only)


async def test_a_head_that_is_too_long_is_answered_while_more_comes(line, hai_count):
    async with line() as one:
        one.send(one.head("GET", "/rooms", {"X": "x" * 4 * MIB}), one.hai())
        assert (await one.answer(), one.code) == (431, "too_large")
        assert one.says_close and await one.has_ended()
    assert await hai_count() == 0


@pytest.mark.parametrize("path", ["/rooms", "/static/x"])
async def test_who_never_sends_the_body_is_told(app, line, monkeypatch, path):
    monkeypatch.setattr(bodies, "BODY_TIMEOUT_S", 0.1)
    app.http.conn_params.body_timeout = 0.1
    async with line() as one:
        one.send(one.head("POST", path, {"Content-Length": 10}), b"12345")
        assert (await one.answer(), one.code) == (408, "bad_request")
        assert one.says_close and await one.has_ended()


async def test_who_was_refused_and_never_sends_the_body_is_left(line, monkeypatch):
    monkeypatch.setattr(connection, "DRAIN_S", 0.1)
    async with line() as one:
        one.send(one.head("POST", "/nowhere", {"Content-Length": 10}), b"12345")
        assert await one.answer() == 404
        assert await one.has_ended()


async def test_who_never_stops_sending_is_left(line, monkeypatch):
    monkeypatch.setattr(connection, "LINGER_BYTES", 8 * MIB)
    async with line() as one:
        one.send(one.head("POST", "/nowhere", {"Content-Length": 1000 * MIB}))
        assert await one.answer() == 404
        assert one.says_close
        with pytest.raises(ConnectionError):
            async with asyncio.timeout(PATIENCE_S):
                while True:
                    one.send(bytes(MIB))
                    await one.writer.drain()


async def test_who_says_nothing_more_is_left(line, monkeypatch):
    monkeypatch.setattr(connection, "SILENT_S", 0.1)
    async with line() as one:
        one.send(one.head("POST", "/nowhere", {"Content-Length": 1000 * MIB}))
        assert await one.answer() == 404
        assert await one.has_ended()
        async with asyncio.timeout(PATIENCE_S):
            while one.app.http.quiet.lingering:
                await asyncio.sleep(0.01)


async def test_a_server_that_stops_waits_for_nobody(line, app, monkeypatch):
    monkeypatch.setattr(connection, "SILENT_S", PATIENCE_S)
    async with line() as one:
        one.send(one.head("POST", "/nowhere", {"Content-Length": 1000 * MIB}))
        assert await one.answer() == 404
        assert await one.has_ended()
        assert app.http.quiet.lingering
        app.http.stop()
        await app.http.close_all_connections()
        assert not app.http.quiet.lingering


# --- Methods -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/rooms", "GET, HEAD, POST"),
        ("PUT", "/admin", "GET, HEAD"),
        ("DELETE", "/rooms/1/hais", "POST"),
        ("GET", "/rooms/1/uploads", "POST, OPTIONS"),
        ("PUT", f"/uploads/{TOKEN}", "GET, HEAD, DELETE, PATCH, OPTIONS"),
        ("PUT", f"/api/v1/uploads/{TOKEN}", "GET, HEAD, DELETE, PATCH, OPTIONS"),
        ("PUT", "/api/v1/rooms", "GET, HEAD, POST"),
        ("POST", "/healthz", "GET, HEAD"),
        ("POST", "/ws", "GET"),
        ("PUT", "/static/css/base.css", "GET, HEAD"),
        ("BREW", "/rooms", "GET, HEAD, POST"),
    ],
)
@pytest.mark.parametrize("headers", [{}, CROSS_SITE, NOBODY])
async def test_a_method_that_there_is_not_is_told_before_all_else(
    line, method, path, allowed, headers
):
    async with line() as one:
        one.send(one.head(method, path, headers | {"Content-Length": "2"}), b"{}")
        assert (await one.answer(), one.code) == (405, "bad_request")
        assert set(one.headers["allow"].split(", ")) == set(allowed.split(", "))
        one.send(one.hai())
        assert await one.answer() == 201
