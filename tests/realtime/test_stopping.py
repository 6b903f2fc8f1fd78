"""A server that stops answers what it has begun, then closes with 1012."""

import asyncio
import json
import logging

import pytest

from tests.realtime.raw import Raw
from tests.realtime.test_orders import hai_order


@pytest.mark.parametrize("path", ["/ws", "/socket.io/?EIO=4&transport=websocket"])
async def test_sockets_close_with_1012(app, cast, path):
    raw = await Raw.open(app.port)
    headers = {"Authorization": f"Bearer {cast.ada.token}"}
    await raw.upgrade(path, headers)
    stopping = asyncio.ensure_future(app.realtime.stop())
    assert await raw.close_code() == 1012
    raw.close()
    await stopping
    assert app.realtime.socket_count == 0
    assert not app.realtime.engine.wires


async def test_a_waiting_poll_is_answered(app, cast, client):
    ada = client(cast.ada)
    path = "/socket.io/?EIO=4&transport=polling"
    sid = (await ada.get(path)).text[1:].split('"')[3]
    polling = asyncio.ensure_future(ada.get(f"{path}&sid={sid}"))
    while not (found := app.realtime.engine.find(sid)) or found.poll is None:
        await asyncio.sleep(0.01)
    await app.realtime.stop()
    assert (await polling).text == "1"


async def test_a_poll_that_was_answered_is_no_error_in_the_log(app, cast, caplog):
    """With nobody else to wait for, connections are closed at once."""
    caplog.set_level(logging.INFO)
    raw = await Raw.open(app.port)
    path = "/socket.io/?EIO=4&transport=polling"
    headers = {"Authorization": f"Bearer {cast.ada.token}"}
    await raw.request("GET", path, headers)
    sid = json.loads(raw.body[1:])["sid"]
    polling = asyncio.ensure_future(raw.request("GET", f"{path}&sid={sid}", headers))
    while not (found := app.realtime.engine.find(sid)) or found.poll is None:
        await asyncio.sleep(0.01)
    await app.realtime.stop()
    await app.http.close_all_connections()
    assert await polling == 200
    assert raw.body == b"1"
    raw.close()
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


async def test_who_speaks_to_eliza_is_answered_before_the_end(app, cast):
    """Hers take longer than an order: her own process answers."""
    let_her = asyncio.Event()

    async def reply(who, text):
        await let_her.wait()
        return "I see"

    app.realtime.eliza.reply = reply
    raw = await Raw.open(app.port)
    headers = {"Authorization": f"Bearer {cast.ada.token}"}
    await raw.upgrade("/socket.io/?EIO=4&transport=websocket", headers)
    raw.send("40/eliza,")
    raw.send('42/eliza,["message","hello"]')
    while not app.realtime.eliza.is_busy:
        await asyncio.sleep(0.01)
    stopping = asyncio.ensure_future(app.realtime.stop())
    await asyncio.sleep(0)
    let_her.set()
    while '"message"' not in (text := await raw.text()):
        pass
    assert text == '42/eliza,["message","I see"]'
    assert await raw.close_code() == 1012
    raw.close()
    await stopping


async def test_acks_of_orders_under_way_are_out_before_the_end(app, cast, any_socket):
    ada = await any_socket(cast.ada)
    orders = [
        asyncio.ensure_future(ada.order("send_hai", hai_order(cast.lab, number)))
        for number in range(16)
    ]
    while not (under_way := app.realtime.runner.in_flight):
        await asyncio.sleep(0)
    await app.realtime.stop()
    async with asyncio.timeout(60):
        while sum(order.done() for order in orders) < under_way:
            await asyncio.sleep(0.01)
    acks = [order.result() for order in orders if order.done()]
    assert all("hai" in ack or ack["error"]["code"] == "busy" for ack in acks)
    assert any("hai" in ack for ack in acks)
    for order in orders:  # what was not read any more has no ack, and is sent again
        order.cancel()
    await asyncio.gather(*orders, return_exceptions=True)


async def test_sigterm_closes_with_1012(io_loop, serve):
    server = serve()
    token = server.add_user("ada", role="owner")
    raw = await Raw.open(int(server.url.rpartition(":")[2]))
    await raw.upgrade("/ws", {"Authorization": f"Bearer {token}"})
    server.process.terminate()
    assert await raw.close_code() == 1012
    raw.close()
    await asyncio.to_thread(server.process.wait, 60)
    log = server.log
    assert "WARNING" not in log
    assert "ERROR" not in log
