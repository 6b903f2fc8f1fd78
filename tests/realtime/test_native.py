"""/ws: what is peculiar to it; orders and facts are tested on all transports."""

import asyncio
import contextlib

import pytest
from tornado.websocket import WebSocketClosedError


@pytest.mark.parametrize(
    "garbage",
    [
        "",
        "x",
        "{}",
        "[]",
        "7",
        '["send_hai"]',
        '["send_hai",{},1,2]',
        "[7,{},1]",
        '["send_hai",{},{}]',
        '["send_hai",{},true]',
        '["send_hai",{},1.5]',
        '["send_hai",{},"' + "x" * 65 + '"]',
        "[" * 50_000,
        b"\0\1",
    ],
)
async def test_garbage_is_answered_and_others_are_unaffected(cast, ws, garbage):
    ada, grace = await ws(cast.ada), await ws(cast.grace)
    await ada.send(garbage)
    assert (await ada.fact("error"))["code"] == "bad_request"
    await ada.settle()
    await grace.settle()


async def test_garbage_again_and_again_ends_the_connection(cast, ws):
    ada = await ws(cast.ada)
    with contextlib.suppress(WebSocketClosedError):
        for _ in range(20):
            await ada.send("garbage")
    await ada.closed.wait()
    assert ada.close_code == 1008
    assert len(ada.named("error")) == 10


@pytest.mark.parametrize("order_id", [0, 1, -1, "seven", 2**53])
async def test_the_ack_carries_the_id_as_it_was(cast, ws, order_id):
    ada = await ws(cast.ada)
    ada.acks[order_id] = future = asyncio.get_running_loop().create_future()
    await ada.send(["unknown", {}, order_id])
    assert (await future)["error"]["code"] == "unknown_order"


async def test_pings_keep_it_and_silence_ends_it(app, cast, ws, monkeypatch):
    monkeypatch.setattr("hai.realtime.native.PING_INTERVAL_S", 0.05)
    ada = await ws(cast.ada)
    [tab] = app.realtime.native.sockets
    now_s = app.realtime.flusher.loop.time()
    assert tab.on_due(now_s) == pytest.approx(now_s + 0.05)
    await ada.settle()
    assert not tab.has_ping_out
    tab.on_due(now_s)
    tab.on_due(now_s)
    await ada.closed.wait()
    assert ada.close_code == 1001
