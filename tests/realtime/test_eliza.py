"""`/eliza`: one answer per message, in kind, in order, for signed-in users."""

import asyncio

import pytest
import socketio
from socketio.exceptions import ConnectionError as Refused

from tests.clients import PATIENCE_S


@pytest.fixture
def eliza(io_loop, app, cast, transport):
    """A connected client of the namespace, with what Eliza said in `said`."""
    client = socketio.AsyncClient(reconnection=False)
    client.said = asyncio.Queue()
    client.on("message", client.said.put_nowait, namespace="/eliza")
    app.realtime.sio.namespace_handlers["/eliza"].reply = echo

    async def connect():
        headers = {"Cookie": f"hai_session={cast.ada.cookie}"}
        await client.connect(
            app.url, headers=headers, transports=[transport], namespaces=["/eliza"]
        )

    io_loop.run_sync(connect)
    yield client
    io_loop.run_sync(lambda: leave(client))


async def leave(client):
    await client.eio.disconnect(abort=True)
    await client.shutdown()


async def echo(user_key, text):
    await asyncio.sleep(0 if len(text) % 2 else 0.01)  # some answers take longer
    return f"{user_key} said {text}"


async def answer(client, *said):
    await client.emit("message", said, namespace="/eliza")
    return await asyncio.wait_for(client.said.get(), PATIENCE_S)


async def test_a_string_for_a_string(eliza, cast):
    assert await answer(eliza, "hello") == f"user:{cast.ada.id} said hello"
    assert await answer(eliza, "") == f"user:{cast.ada.id} said "


async def test_an_object_for_an_object(eliza, cast):
    said = await answer(eliza, {"text": "hello", "more": 1})
    assert said == {"text": f"user:{cast.ada.id} said hello"}


async def test_long_input_is_cut(eliza):
    assert len(await answer(eliza, "x" * 50_000)) < 10_100


@pytest.mark.parametrize(
    "said", [(7,), (None,), ([],), ({},), ({"text": 7},), (), ("a", "b"), (b"x",)]
)
async def test_an_error_for_anything_else(eliza, said):
    assert (await answer(eliza, *said))["error"]["code"] == "bad_request"
    assert eliza.said.empty()


async def test_answers_come_in_order_and_one_each(eliza):
    for number in range(60):
        await eliza.emit("message", "x" * number, namespace="/eliza")
    said = [await asyncio.wait_for(eliza.said.get(), PATIENCE_S) for _ in range(60)]
    assert [text.count("x") for text in said] == list(range(60))
    await asyncio.sleep(0.05)
    assert eliza.said.empty()


async def test_other_events_are_unknown(eliza):
    for name in ("connect", "disconnect", "on_message", "answer", "unknown"):
        ack = await eliza.call(name, "x", namespace="/eliza")
        assert ack["error"]["code"] == "unknown_order"


async def test_a_reply_that_fails_is_an_error(eliza, app, expect_log):
    async def fail(user_key, text):
        raise RuntimeError("broken")

    app.realtime.sio.namespace_handlers["/eliza"].reply = fail
    expect_log("Eliza failed")
    assert (await answer(eliza, "hello"))["error"]["code"] == "busy"


async def test_strangers_are_refused(app, cast, transport):
    client = socketio.AsyncClient(reconnection=False)
    with pytest.raises(Refused):
        await client.connect(
            app.url,
            transports=[transport],
            namespaces=["/eliza"],
            wait_timeout=PATIENCE_S,
        )
    await client.shutdown()


async def test_she_really_answers(app, cast, socket):
    """With the reply that app.py hands in."""
    app.bots.bots[0].threads.late_s = PATIENCE_S  # busy machines are no news here
    handler = app.realtime.sio.namespace_handlers["/eliza"]
    assert await handler.reply("user:1", "I need 100% of %1")
