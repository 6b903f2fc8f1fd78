"""Frames: what is allowed, what ends the connection and with which code."""

import asyncio
import struct

import pytest

from hai.realtime.wire import frames, websocket
from tests.realtime.raw import BINARY, CLOSE, PING, PONG, TEXT, Raw, masked_frame


@pytest.fixture
def raw(io_loop, app, cast):
    """An open /ws of ada, by hand."""

    async def make():
        one = await Raw.open(app.port)
        headers = {"Authorization": f"Bearer {cast.ada.token}"}
        assert await one.upgrade("/ws", headers) == 101
        return one

    one = io_loop.run_sync(make)
    yield one
    one.close()


@pytest.mark.parametrize("path", ["/ws", "/socket.io/?EIO=4&transport=websocket"])
async def test_no_compression_is_agreed_on(app, cast, path):
    """Though it is offered: 230 KiB a connection."""
    one = await Raw.open(app.port)
    offer = "permessage-deflate; client_max_window_bits"
    headers = {"Sec-WebSocket-Extensions": offer}
    headers["Authorization"] = f"Bearer {cast.ada.token}"
    assert await one.upgrade(path, headers) == 101
    assert "sec-websocket-extensions" not in one.headers
    one.close()


async def assert_alive(raw):
    """The connection answers orders still."""
    raw.send('["unknown", {}, "alive"]')
    while '"alive"' not in (text := await raw.text()):
        pass
    assert "unknown_order" in text


@pytest.mark.parametrize("size", [0, 1, 125])
async def test_a_ping_is_answered_with_its_bytes(raw, size):
    raw.send(b"x" * size, opcode=PING)
    while (frame := await raw.frame())[0] != PONG:
        pass
    assert frame[1] == b"x" * size
    await assert_alive(raw)


async def test_an_unasked_pong_is_harmless(raw):
    raw.send(b"hello", opcode=PONG)
    await assert_alive(raw)


BROKEN = {  # the same names in each run, though masks are random
    "not masked": (masked_frame(b"{}", mask=False), 1002),
    "compressed": (masked_frame(b"{}", bits=0x40), 1002),
    "reserved bit": (masked_frame(b"{}", bits=0x10), 1002),
    "unknown opcode": (masked_frame(b"", 0x3), 1002),
    "unknown control opcode": (masked_frame(b"", 0xB), 1002),
    "ping in parts": (masked_frame(b"", PING, fin=False), 1002),
    "ping too long": (masked_frame(b"x" * 126, PING), 1002),
    "nothing to continue": (masked_frame(b"x", 0x0), 1002),
    "a message within another": (
        masked_frame(b"x", TEXT, fin=False) + masked_frame(b"x", TEXT),
        1002,
    ),
    "not UTF-8": (masked_frame(b"\xff"), 1007),
    "not UTF-8 across parts": (
        masked_frame("é".encode()[:1], fin=False) + masked_frame(b"x", 0x0, fin=False),
        1007,
    ),
    "two bytes of length for five": (b"\x81\xfe\x00\x05maskhello", 1002),
    "a terabyte": (b"\x81\xff" + struct.pack("!Q", 2**40) + b"mask", 1009),
    "a negative length": (b"\x81\xff" + struct.pack("!Q", 2**63) + b"mask", 1009),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_frame_ends_the_connection(raw, name):
    frames, code = BROKEN[name]
    raw.write(frames)
    assert await raw.close_code() == code
    assert await raw.is_ended()


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (b"", 0),  # no code, and none back
        (struct.pack("!H", 1000), 1000),
        (struct.pack("!H", 1001) + "até logo".encode(), 1001),
        (struct.pack("!H", 4999), 4999),
        (b"\x03", 1002),
        (struct.pack("!H", 999), 1002),
        (struct.pack("!H", 1005), 1002),
        (struct.pack("!H", 1006), 1002),
        (struct.pack("!H", 1015), 1002),
        (struct.pack("!H", 2999), 1002),
        (struct.pack("!H", 5000), 1002),
        (struct.pack("!H", 1000) + b"\xff", 1007),
    ],
)
async def test_a_close_is_answered(raw, payload, code):
    raw.send(payload, opcode=CLOSE)
    assert await raw.close_code() == code
    assert await raw.is_ended()


async def test_a_message_may_come_in_parts_with_pings_between(raw):
    text = '["unknown", {"text": "é\U0001f44b"}, 1]'.encode()
    raw.send(text[:20], opcode=TEXT, fin=False)
    raw.send(b"", opcode=PING)
    for index in range(20, len(text) - 1):
        raw.send(text[index : index + 1], opcode=0x0, fin=False)
    raw.send(text[-1:], opcode=0x0)
    frames = [await raw.frame() for _ in range(3)]
    assert (PONG, b"") in frames
    assert any(b'["ack",1' in payload for _, payload in frames)


async def test_frames_may_come_byte_by_byte_or_all_at_once(raw):
    frames = masked_frame(b'["unknown", {}, 1]') * 100
    for index in range(len(frames) // 100):
        raw.write(frames[index : index + 1])
        await asyncio.sleep(0)
    raw.write(frames[len(frames) // 100 :])
    acks = 0
    while acks < 100:
        acks += '"ack"' in await raw.text()


async def test_empty_parts_are_bounded(raw):
    raw.send("x", fin=False)
    raw.write(masked_frame(b"", 0x0, fin=False) * 2000)
    assert await raw.close_code() == 1008


async def test_a_message_may_have_as_many_parts_as_bytes(raw):
    order = b'["unknown", {"text": "' + "né".encode() * 1500 + b'"}, 1]'
    frames = [masked_frame(order[:1], fin=False)]
    frames += [masked_frame(bytes([one]), 0x0, fin=False) for one in order[1:]]
    raw.write(b"".join(frames) + masked_frame(b"", 0x0))
    while '"ack"' not in (text := await raw.text()):
        pass
    assert "unknown_order" in text


def beginning(data, *, of, opcode=TEXT, fin=True):
    """What has arrived of a frame of so many bytes."""
    frame = masked_frame(data.ljust(of), opcode, fin=fin)
    return frame[: len(frame) - of + len(data)]


HALF = "é".encode()[:1]
UNFINISHED = {  # what arrives, in which pieces; the rest never does
    "at the beginning": [beginning(b"\xff", of=100)],
    "later": [beginning(b"fine \xff", of=70_000)],
    "byte by byte": [bytes([one]) for one in beginning(b"\xce\xba\xf4\x90", of=50)],
    "in a further frame": [
        masked_frame(b"x", fin=False),
        beginning(b"yz\xf5", of=200, opcode=0x0),
    ],
    "across two frames": [
        masked_frame(HALF, fin=False),
        beginning(b"x", of=200, opcode=0x0),
    ],
}


@pytest.mark.parametrize("name", UNFINISHED)
async def test_bad_text_ends_the_connection_before_its_frame_is_here(raw, name):
    for piece in UNFINISHED[name]:
        raw.write(piece)
        await asyncio.sleep(0.01)
    assert await raw.close_code() == 1007


async def test_good_text_and_any_bytes_are_waited_for(raw):
    text = '["unknown", {"text": "né"}, 1]'.encode()
    frames = masked_frame(text[:24], fin=False) + masked_frame(text[24:], 0x0)
    for index in range(len(frames)):
        raw.write(frames[index : index + 1])
        await asyncio.sleep(0)
    while '"ack"' not in await raw.text():
        pass
    ping = masked_frame(b"\xff\xff", PING)
    raw.write(ping[:-1])
    await asyncio.sleep(0.01)
    raw.write(ping[-1:])
    while (frame := await raw.frame())[0] != PONG:
        pass
    assert frame[1] == b"\xff\xff"


async def test_the_bytes_of_a_message_are_bounded(raw):
    raw.send("x", fin=False)
    part = masked_frame(b"x" * 60_000, 0x0, fin=False)
    raw.write(part * 17)
    assert await raw.close_code() == 1009


async def test_control_frames_are_bounded(app, raw):
    raw.write(masked_frame(b"", PING) * 1000)
    assert await raw.close_code() == 1008


FLOODS = {
    "orders": masked_frame(b'["unknown",{}]') * 9000,
    "messages of many parts": (
        masked_frame(b'["unknown",{}]', fin=False)
        + masked_frame(b"", 0x0, fin=False) * 900
        + masked_frame(b"", 0x0)
    )
    * 10,
}


@pytest.mark.parametrize("name", FLOODS)
async def test_a_flood_of_frames_is_slowed_down(raw, name, monkeypatch):
    """Each of them is allowed; so many of them have to wait, and wait unread."""
    counts = []
    slow_down = websocket.WebSocket._slow_down

    def watch(wire):
        counts.append(wire._frame_count)
        slow_down(wire)
        assert wire._waits

    monkeypatch.setattr(websocket.WebSocket, "_slow_down", watch)
    monkeypatch.setattr(websocket, "FRAMES_WINDOW_S", 0.2)
    raw.write(FLOODS[name])
    while len(counts) < 4:
        await asyncio.sleep(0.01)
    assert all(count < websocket.MAX_FRAMES + 64 for count in counts)


async def test_a_flood_of_frames_leaves_others_their_turn(
    app, cast, socket, raw, monkeypatch
):
    """Somebody's order is answered while most of the flood is still to be read."""
    monkeypatch.setattr(websocket, "MAX_FRAMES", 100_000)
    monkeypatch.setattr("hai.realtime.orders.MAX_REFUSED", 100_000)
    grace = await socket(cast.grace)
    [tab] = app.realtime.native.sockets
    raw.write(masked_frame(b'["start_typing", {}]') * 4000)
    while not tab.wire._frame_count:
        await asyncio.sleep(0)
    await grace.order("unknown", {})
    assert tab.wire._frame_count < 3000
    raw.send('["unknown", {}, "alive"]')
    while '"alive"' not in await raw.text():
        pass


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 125, 126, 65535, 65536])
def test_frames_of_all_sizes(size):
    payload = bytes(range(256)) * (size // 256) + bytes(size % 256)
    frame = frames.frame(payload, 0x80 | BINARY)
    assert frame.endswith(payload)
    assert frames.frame_end(frame + frame, 1) == len(frame)
    assert frames.frame_end(frame + frame, len(frame) + 1) == 2 * len(frame)
    key = b"\1\2\3\4"
    pad = (key * (size // 4 + 1))[:size]
    masked = bytes(a ^ b for a, b in zip(payload, pad, strict=True))
    assert frames.unmask(masked, key, size) == payload


async def test_a_bug_in_a_handler_ends_the_connection_and_is_logged(
    app, raw, expect_log
):
    [tab] = app.realtime.native.sockets
    tab.wire.handler.on_text = None
    expect_log("a message could not be handled")
    raw.send("[]")
    assert await raw.close_code() == 1011
