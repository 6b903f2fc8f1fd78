"""Hai behind a real Apache and a real nginx: everything goes through, nothing is
believed that a client only says of itself."""

import asyncio
import contextlib

import pytest
from tornado.netutil import bind_sockets

from hai.storage.models import Chunk
from tests.clients import Client, NativeSocket, Socket, encode_multipart
from tests.factories import make_user
from tests.pictures import big_png, file, picture

PATIENCE_S = 60
HANDSHAKE = {
    "Connection": "Upgrade",
    "Upgrade": "websocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
}


@pytest.fixture
def config_flags():
    return {"trusted_proxies": "127.0.0.1"}


@contextlib.asynccontextmanager
async def raw(port, path, headers, *, method="GET", source="127.0.0.1"):
    """Send the head of a request from an address; yield (status line, streams)."""
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", port, local_addr=(source, 0)
    )
    lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{port}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    writer.write("\r\n".join([*lines, "", ""]).encode())
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


async def status_of(reader):
    async with asyncio.timeout(PATIENCE_S):
        return int((await reader.readline()).split()[1])


@contextlib.asynccontextmanager
async def open_ws(port, person, *, source="127.0.0.1", **headers):
    """Ask for a socket on /ws from an address; yield the status of the answer."""
    headers = {"Authorization": f"Bearer {person.token}", **HANDSHAKE, **headers}
    async with raw(port, "/ws", headers, source=source) as (reader, _):
        yield await status_of(reader)


# ---- Everything goes through ----


async def test_pages_and_signing_in(core, proxy):
    await make_user(core, "ada", password="correct horse")
    browser = Client(proxy.url)
    assert (await browser.get("/")).location == "/sign_in"
    assert "<form" in (await browser.get("/sign_in")).text
    answer = await browser.post(
        "/sign_in",
        form={"name": "ada", "password": "correct horse"},
        headers={"Origin": proxy.url, "Sec-Fetch-Site": "same-origin"},
    )
    assert answer.status in (302, 303)
    assert (await browser.get("/settings")).status == 200
    browser.close()


async def test_a_foreign_site_is_still_foreign(cast, proxy):
    browser = Client(proxy.url, cookie=cast.ada.cookie)
    path = f"/rooms/{cast.lounge['id']}/hais"
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    answer = await browser.post(path, form={"text": "x"}, headers=headers)
    assert answer.status == 403
    browser.close()


@pytest.mark.parametrize("transports", [["websocket"], ["polling"], None])
async def test_socket_io_over_each_transport(cast, proxy, transports):
    ada, grace = Socket(), Socket()
    try:
        await ada.connect(proxy.url, cookie=cast.ada.cookie, transports=transports)
        await grace.connect(proxy.url, cookie=cast.grace.cookie, transports=transports)
        order = {"room_id": cast.lounge["id"], "text": "hi", "client_id": "c1"}
        ack = await ada.order("send_hai", order)
        fact = await grace.fact("hai_sent")
        assert fact["hai"]["id"] == ack["hai"]["id"]
    finally:
        await ada.close()
        await grace.close()


async def test_plain_websocket(cast, proxy):
    socket = await NativeSocket().connect(proxy.url, token=cast.ada.token)
    ack = await socket.order("get_hais", {"room_id": cast.lounge["id"]})
    assert ack == {"hais": [], "has_more": False}
    await socket.close()


async def test_the_101_comes_through_and_so_does_a_refusal(cast, proxy):
    path = "/socket.io/?EIO=4&transport=websocket"
    cookie = {"Cookie": f"hai_session={cast.ada.cookie}"}
    for origin, status in ((proxy.url, 101), ("https://evil.example", 403)):
        headers = HANDSHAKE | cookie | {"Origin": origin}
        async with raw(proxy.port, path, headers) as (reader, _):
            assert await status_of(reader) == status


async def test_pictures_go_up_and_come_down(cast, proxy):
    browser = Client(proxy.url, cookie=cast.ada.cookie)
    answer = await browser.post(
        f"/rooms/{cast.lounge['id']}/pictures",
        files=[file(picture())],
        headers={"Accept": "application/json", "Origin": proxy.url},
    )
    assert answer.status in (200, 201)
    (stored,) = answer.json["pictures"]
    whole = await browser.get(stored["url"])
    part = await browser.get(stored["url"], headers={"Range": "bytes=0-7"})
    assert (part.status, part.body) == (206, whole.body[:8])
    browser.close()


async def test_an_upload_goes_through_as_it_comes(core, cast, proxy):
    """What has been sent is stored by Hai while the rest is still on its way."""
    room_path = f"/rooms/{cast.lounge['id']}/pictures"
    body, kind = encode_multipart({}, [file(big_png(3 * 1024 * 1024))])
    headers = {
        "Authorization": f"Bearer {cast.ada.token}",
        "Accept": "application/json",
        "Content-Type": kind,
        "Content-Length": len(body),
    }
    async with raw(proxy.port, room_path, headers, method="POST") as (reader, writer):
        half = len(body) // 2
        writer.write(body[:half])
        await writer.drain()
        async with asyncio.timeout(PATIENCE_S):
            while not await core.db.read(Chunk.select().count):
                await asyncio.sleep(0.02)
        writer.write(body[half:])
        assert await status_of(reader) in (200, 201)


async def test_what_a_cut_upload_brought_is_kept(app, cast, proxy):
    """Of an upload that is cut before the proxy, Hai has what the proxy was sent."""
    tus = {"Authorization": f"Bearer {cast.ada.token}", "Tus-Resumable": "1.0.0"}
    data, browser = big_png(3 * 1024 * 1024), Client(proxy.url, token=cast.ada.token)
    length = {"Upload-Length": str(len(data)), "Tus-Resumable": "1.0.0"}
    path = f"/rooms/{cast.lounge['id']}/uploads"
    path = (await browser.post(path, headers=length)).location
    kind = {"Content-Type": "application/offset+octet-stream"}
    half = len(data) // 2
    sizes = {"Upload-Offset": "0", "Content-Length": len(data)}
    headers = tus | kind | sizes
    async with raw(proxy.port, path, headers, method="PATCH") as (_, writer):
        writer.write(data[:half])
        await writer.drain()
        async with asyncio.timeout(PATIENCE_S):
            while not has_received(app, half):
                await asyncio.sleep(0.02)
        writer.transport.abort()
    head = await browser.request("HEAD", path, headers={"Tus-Resumable": "1.0.0"})
    assert head.headers["Upload-Offset"] == str(half)
    rest = kind | {"Upload-Offset": str(half), "Tus-Resumable": "1.0.0"}
    done = await browser.request("PATCH", path, headers=rest, body=data[half:])
    whole = await browser.get(f"/pictures/{done.headers['Hai-Picture']}")
    assert whole.body == data
    browser.close()


def has_received(app, count):
    uploads = [handler.upload for handler in app.web.receiving.values()]
    return any(upload and upload.received_bytes == count for upload in uploads)


# ---- Who is believed ----


@pytest.fixture
def one_socket_each(app):
    """An address may have one socket, which shows whom Hai takes somebody for."""
    object.__setattr__(app.core.config, "max_sockets_per_address", 1)


async def test_addresses_behind_the_proxy_are_told_apart(one_socket_each, cast, proxy):
    async with open_ws(proxy.port, cast.ada, source="127.0.0.2") as first:
        async with open_ws(proxy.port, cast.ada, source="127.0.0.2") as second:
            async with open_ws(proxy.port, cast.ada, source="127.0.0.3") as other:
                assert (first, second, other) == (101, 429, 101)


async def test_a_client_cannot_say_it_is_somebody_else(one_socket_each, cast, proxy):
    claim = {"X-Forwarded-For": "10.9.9.9"}
    here = {"source": "127.0.0.2"}
    async with open_ws(proxy.port, cast.ada, **here) as first:
        async with open_ws(proxy.port, cast.ada, **here, **claim) as second:
            assert (first, second) == (101, 429)


async def test_a_peer_that_is_no_proxy_is_not_believed(one_socket_each, app, cast):
    """127.0.0.2 talks to Hai itself, past the proxy, and claims to be one."""
    claim = {"X-Forwarded-For": "10.9.9.9"}
    here = {"source": "127.0.0.2"}
    async with open_ws(app.port, cast.ada, **here) as first:
        async with open_ws(app.port, cast.ada, **here, **claim) as second:
            assert (first, second) == (101, 429)


async def test_the_proxy_itself_is_believed(one_socket_each, app, cast):
    async with open_ws(app.port, cast.ada, **{"X-Forwarded-For": "10.0.0.1"}) as first:
        async with open_ws(
            app.port, cast.ada, **{"X-Forwarded-For": "10.0.0.2"}
        ) as second:
            assert (first, second) == (101, 101)


async def test_a_visitor_by_proxy_is_not_the_operator(app, proxy):
    """Over loopback the first owner needs no token; behind a proxy all are there."""
    direct, proxied = Client(app.url), Client(proxy.url)
    assert 'name="token"' not in (await direct.get("/setup")).text
    assert 'name="token"' in (await proxied.get("/setup")).text
    direct.close()
    proxied.close()


# ---- When Hai restarts ----


async def test_after_a_restart_hai_is_asked_at_once(app, cast, proxy):
    browser = Client(proxy.url, cookie=cast.ada.cookie)
    app.http.stop()
    await app.http.close_all_connections()
    for _ in range(3):  # first on a connection that was kept, then on new ones
        assert (await browser.get("/rooms")).status in (502, 503)
    app.http.add_sockets(bind_sockets(app.port, "127.0.0.1"))
    if not proxy.asks_again_at_once:
        async with asyncio.timeout(PATIENCE_S):
            while (await browser.get("/rooms")).status != 200:
                await asyncio.sleep(0.1)
    assert (await browser.get("/rooms")).status == 200
    browser.close()


# ---- One person's refusals are nobody else's ----

MANY = 40
TUS = {"Tus-Resumable": "1.0.0"}
BYTES = {"Content-Type": "application/offset+octet-stream", "Upload-Offset": "0"}


async def refused_in_many_ways(browser, room_id):
    """One request of each kind that is refused before its body was read."""
    rooms, nowhere = f"/rooms/{room_id}", "/uploads/" + "x" * 43
    foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    for path, method, headers, body in (
        (nowhere, "PATCH", TUS | BYTES, b"x" * 100),
        (nowhere, "PATCH", BYTES, b"x" * 100_000),
        (f"{rooms}/uploads", "POST", TUS | {"Upload-Length": "9"}, b"x" * 9),
        (f"{rooms}/pictures", "POST", {}, b"x" * 300_000),
        (f"{rooms}/hais", "POST", foreign, b"x" * 1000),
        ("/nowhere", "POST", {}, b"x"),
        ("/nowhere", "GET", {}, None),
        ("/socket.io/?EIO=4&transport=polling&sid=x", "POST", {}, b"x" * 10),
        ("/socket.io/?EIO=5&transport=polling", "GET", {}, None),
        ("/ws", "POST", {}, b"x" * 70_000),
    ):
        yield (await browser.request(method, path, headers=headers, body=body)).status


async def test_refusals_of_one_are_no_failures_of_another(cast, proxy):
    """The proxy keeps its connections to Hai, and whoever comes next is given one."""
    linus = Client(proxy.url, token=cast.linus.token)
    ada = Client(proxy.url, token=cast.ada.token)
    lounge = cast.lounge["id"]
    refused, sent = [], []
    while len(sent) < MANY:
        async for status in refused_in_many_ways(linus, lounge):
            refused.append(status)
            hai = {"text": f"number {len(sent)}"}
            answer = await ada.post(f"/api/v1/rooms/{lounge}/hais", json=hai)
            sent.append(answer.status)
    assert len(sent) == len(refused) == MANY
    assert set(sent) == {201}
    assert set(refused) <= {400, 403, 404, 405, 412, 413, 415}
    linus.close()
    ada.close()


async def test_many_are_refused_beside_many_who_are_not(cast, proxy):
    """All at once, so that a connection is given away as soon as it is free; and who is
    refused with a long body hears it, too."""
    is_over = False
    path, refused = f"/rooms/{cast.lounge['id']}/hais", []

    async def be_refused(number):
        browser = Client(proxy.url, token=cast.linus.token)
        foreign = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        body = b"x" * (100, 200_000)[number % 2]
        while not is_over:
            answer = await browser.post(path, headers=foreign, body=body)
            refused.append((answer.status, 403))
            refused.append(((await browser.get("/nowhere")).status, 404))
        browser.close()

    async def send_hais():
        browser = Client(proxy.url, token=cast.ada.token)
        answers = [await browser.post(path, json={"text": "x"}) for _ in range(10)]
        browser.close()
        return [answer.status for answer in answers]

    refusing = [asyncio.ensure_future(be_refused(number)) for number in range(24)]
    sent = await asyncio.gather(*[send_hais() for _ in range(8)])
    is_over = True
    await asyncio.gather(*refusing)
    assert sent == [[201] * 10] * 8
    assert len(refused) > MANY
    assert all(status == expected for status, expected in refused)
