"""A client that does not read costs 256 KiB at most, then it is closed."""

import asyncio
import json
import socket as sockets

import pytest

from hai.realtime.wire import websocket
from hai.realtime.wire.outbox import Fact
from tests.factories import make_hai
from tests.realtime.raw import CLOSE, Raw

BIG = "x" * 4000


@pytest.fixture
def config_flags():
    return {"rate_limits": "off"}


async def stalled(app, person, path, receive_bytes=4096):
    """A WebSocket with a small receive buffer that nobody reads."""
    sock = sockets.socket()
    sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, receive_bytes)
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", app.port))
    one = Raw(*await asyncio.open_connection(sock=sock, limit=1024))
    headers = {"Authorization": f"Bearer {person.token}"}
    assert await one.upgrade(path, headers) == 101
    if path != "/ws":
        one.send("40")
    while not app.realtime.tabs.of_user(person.id):
        await asyncio.sleep(0.01)
    return one


@pytest.mark.parametrize("path", ["/ws", "/socket.io/?EIO=4&transport=websocket"])
async def test_a_stalled_websocket_is_closed_with_1013(app, cast, core, socket, path):
    slow = await stalled(app, cast.grace, path)
    reader = await socket(cast.ada)
    await reader.settle()
    worst = 0
    for number in range(2000):
        await make_hai(core, cast.ada, cast.lab, BIG, client_id=f"c{number}")
        wires = list(app.realtime.engine.wires)
        worst = max([worst, *(wire.unsent_bytes for wire in wires)])
        if not app.realtime.tabs.of_user(cast.grace.id):
            break
    assert not app.realtime.tabs.of_user(cast.grace.id)
    assert worst <= websocket.BUDGET_BYTES
    assert await slow.close_code() == 1013
    slow.send(b"", opcode=CLOSE)
    assert await slow.is_ended()
    await reader.settle()
    assert len(reader.named("hai_sent")) == number + 1
    slow.close()


async def test_a_polling_session_that_does_not_poll_is_ended(app, cast, core, client):
    grace = client(cast.grace)
    path = "/socket.io/?EIO=4&transport=polling"
    answer = await grace.get(path)
    sid = json.loads(answer.text[1:])["sid"]
    await grace.post(f"{path}&sid={sid}", body=b"40")
    for number in range(200):
        await make_hai(core, cast.ada, cast.lab, BIG, client_id=f"c{number}")
        if app.realtime.socket_count == 0:
            break
    assert app.realtime.socket_count == 0
    assert number > 50
    assert (await grace.get(f"{path}&sid={sid}")).status == 400


@pytest.mark.parametrize("path", ["/ws", "/socket.io/?EIO=4&transport=websocket"])
async def test_a_reader_who_keeps_reading_is_not_closed(app, cast, core, path):
    """A steady line of a few MB/s, and bursts of three times the budget in all."""
    slow = await stalled(app, cast.grace, path, receive_bytes=32 * 1024)
    ada = await Raw.open(app.port)
    await ada.upgrade("/ws", {"Authorization": f"Bearer {cast.ada.token}"})
    drinking = asyncio.ensure_future(drain(ada))
    heard = b""
    for number in range(200):
        order = {"room_id": cast.lab["id"], "client_id": f"c{number}", "text": BIG}
        ada.send(json.dumps(["send_hai", order]))
        while number % 50 == 49 and heard.count(b'["hai_sent"') <= number:
            read = await slow.reader.read(16 * 1024)
            assert read
            heard += read
            await asyncio.sleep(0.004)
    assert len(app.realtime.tabs.of_user(cast.grace.id)) == 1
    assert len(app.realtime.tabs.of_user(cast.ada.id)) == 1  # the writer, too
    drinking.cancel()
    ada.close()
    slow.close()


async def drain(raw):
    while (await raw.frame())[0] is not None:
        pass


@pytest.mark.parametrize("path", ["/ws", "/socket.io/?EIO=4&transport=websocket"])
async def test_pages_in_a_row_come_one_by_one(app, cast, core, path):
    """As many as one likes: the next is made when the last one is being taken."""
    for number in range(40):
        await make_hai(core, cast.ada, cast.lab, BIG, client_id=f"c{number}")
    reader = await stalled(app, cast.grace, path)
    page = json.dumps(["get_hais", {"room_id": cast.lab["id"], "limit": 100}])
    for number in range(12):
        is_native = path == "/ws"
        reader.send(f"{page[:-1]},{number}]" if is_native else f"42{number}{page}")
    worst = acks = 0
    while acks < 12:
        acks += (await reader.text()).startswith(('["ack"', "43"))
        wires = list(app.realtime.engine.wires)
        worst = max([worst, *(wire.unsent_bytes for wire in wires)])
    assert worst <= websocket.BUDGET_BYTES
    reader.close()


async def test_who_stalls_over_half_of_the_budget_is_closed_in_time(
    app, cast, monkeypatch
):
    """Nothing more need be told for that."""
    monkeypatch.setattr(websocket, "STALL_S", 1.0)
    slow = await stalled(app, cast.grace, "/ws")
    [tab] = app.realtime.tabs.of_user(cast.grace.id)
    while tab.wire.unsent_bytes <= websocket.OWED_BYTES:
        tab.push(Fact(json.dumps(["n", "x" * 10_000]).encode()))
        tab.flush()
    assert app.realtime.tabs.of_user(cast.grace.id)
    while app.realtime.tabs.of_user(cast.grace.id):
        await asyncio.sleep(0.01)
    assert await slow.close_code() == 1013
    slow.close()


async def test_three_pages_in_one_post_are_all_fetched(app, cast, core, client):
    for number in range(40):
        await make_hai(core, cast.ada, cast.lab, BIG, client_id=f"c{number}")
    grace = client(cast.grace)
    path = "/socket.io/?EIO=4&transport=polling"
    sid = json.loads((await grace.get(path)).text[1:])["sid"]
    order = json.dumps(["get_hais", {"room_id": cast.lab["id"], "limit": 100}])
    orders = "\x1e".join(f"42{number}{order}" for number in range(3))
    assert (await grace.post(f"{path}&sid={sid}", body=b"40")).status == 200
    posted = await grace.post(f"{path}&sid={sid}", body=orders.encode())
    assert posted.status == 200
    packets = []
    while sum(packet.startswith("43") for packet in packets) < 3:
        answer = await grace.get(f"{path}&sid={sid}")
        assert answer.status == 200
        packets += answer.text.split("\x1e")


async def test_what_the_kernel_does_not_take_comes_later_and_whole(app, cast, io_loop):
    """Half of the budget to a slow reader: late, in order, complete."""
    slow = await stalled(app, cast.grace, "/ws")
    await asyncio.sleep(0.1)
    [tab] = app.realtime.tabs.of_user(cast.grace.id)
    sent = [json.dumps(["n", number, "x" * 1000]) for number in range(200)]
    for text in sent:
        tab.push(Fact(text.encode()))
        await asyncio.sleep(0)
    heard = []
    while len(heard) < len(sent):
        text = await slow.text()
        if text.startswith('["n"'):
            heard.append(text)
    assert heard == sent
    slow.close()
