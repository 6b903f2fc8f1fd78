"""The cases of the Socket.IO protocol, version 5, from its document."""

import asyncio
import base64
import json

import pytest

from hai.realtime.wire import websocket
from tests.realtime.raw import BINARY, CLOSE, PING, PONG


async def test_connecting_gives_a_sid(socket_io):
    raw = await socket_io.open_websocket()
    raw.send("40")
    answer = await raw.text()
    assert answer[:2] == "40"
    assert json.loads(answer[2:]).keys() == {"sid"}
    assert await raw.text() == '42["auth",{}]'


async def test_connecting_may_carry_a_payload(socket_io):
    raw = await socket_io.open_websocket()
    raw.send('40{"token":"123"}')
    await raw.text()
    assert await raw.text() == '42["auth",{"token":"123"}]'


@pytest.mark.parametrize(
    ("packet", "auth"), [("40/custom,", "{}"), ('40/custom,{"a":"b"}', '{"a":"b"}')]
)
async def test_connecting_to_another_namespace(socket_io, packet, auth):
    raw = await socket_io.open_websocket()
    raw.send(packet)
    answer = await raw.text()
    assert answer.startswith("40/custom,")
    assert json.loads(answer[10:]).keys() == {"sid"}
    assert await raw.text() == f'42/custom,["auth",{auth}]'


@pytest.mark.parametrize("packet", ["40", "40/custom,"])
async def test_what_follows_the_answer_to_connect_comes_in_a_write_of_its_own(
    socket_io, packet
):
    """Some clients listen for events only when they have seen the answer."""
    raw = await socket_io.open_websocket()
    raw.send(packet)
    await raw.frame()
    assert not raw.is_more_here
    assert "auth" in await raw.text()


async def test_a_client_that_goes_on_waits_no_longer_for_what_follows(
    socket_io, monkeypatch
):
    monkeypatch.setattr(websocket, "HOLD_S", 3600)
    raw = await socket_io.open_websocket()
    raw.send("40")
    assert (await raw.text()).startswith("40")
    raw.send('42["message",1]')
    assert await raw.text() == '42["auth",{}]'
    assert await raw.text() == '42["message-back",1]'


async def test_a_client_that_leaves_meanwhile_is_let_go(socket_io, monkeypatch):
    monkeypatch.setattr(websocket, "HOLD_S", 3600)
    raw = await socket_io.open_websocket()
    raw.send("40")
    assert (await raw.text()).startswith("40")
    raw.send((1000).to_bytes(2, "big"), opcode=CLOSE)
    assert await raw.close_code() == 1000
    assert await raw.is_ended()


async def test_an_unknown_namespace_is_refused_and_the_connection_lives(socket_io):
    raw = await socket_io.open_websocket()
    raw.send("40/random")
    assert await raw.text() == '44/random,{"message":"Invalid namespace"}'
    raw.send("40")
    assert (await raw.text()).startswith("40")


async def test_connecting_twice_is_refused_and_the_first_stays(socket_io):
    raw = await socket_io.connect()
    raw.send("40")
    assert await raw.text() == '44{"message":"Already connected"}'
    raw.send('42["message",1]')
    assert await raw.text() == '42["message-back",1]'


async def test_leaving_the_main_namespace_keeps_the_connection(socket_io):
    socket_io.hurry()
    raw = await socket_io.connect()
    raw.send("41")
    assert await raw.frame() == (1, b"2")


async def test_leaving_one_namespace_keeps_the_other(socket_io):
    raw = await socket_io.connect()
    raw.send("40/custom")
    assert (await raw.text()).startswith("40/custom")
    assert (await raw.text()).startswith("42/custom")
    raw.send("41/custom")
    raw.send('42["message","to main"]')
    assert await raw.text() == '42["message-back","to main"]'


async def test_a_message_with_several_arguments(socket_io):
    raw = await socket_io.connect()
    raw.send('42["message",1,"2",{"3":[true]}]')
    assert await raw.text() == '42["message-back",1,"2",{"3":[true]}]'


async def test_a_message_with_attachments(socket_io):
    raw = await socket_io.connect()
    places = ',{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    raw.send('452-["message"' + places)
    raw.send(b"\1\2\3")
    raw.send(b"\4\5\6")
    assert await raw.text() == '452-["message-back"' + places
    assert [await raw.text(), await raw.text()] == [b"\1\2\3", b"\4\5\6"]


async def test_a_message_with_an_ack(socket_io):
    raw = await socket_io.connect()
    raw.send('42456["message-with-ack",1,"2",{"3":[false]}]')
    assert await raw.text() == '43456[1,"2",{"3":[false]}]'


async def test_an_ack_with_attachments(socket_io):
    raw = await socket_io.connect()
    places = '{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]'
    raw.send('452-789["message-with-ack",' + places)
    raw.send(b"\1\2\3")
    raw.send(b"\4\5\6")
    assert await raw.text() == "462-789[" + places
    assert [await raw.text(), await raw.text()] == [b"\1\2\3", b"\4\5\6"]


@pytest.mark.parametrize(
    "packet",
    [
        "4abc",  # no packet type
        "4",
        "47",
        "42",  # no payload
        "42{}",
        "42[]",
        "42[null]",
        '42["x"',
        "42[NaN]",
        '42["message",' + "[" * 40 + "]" * 40 + "]",
        '42["message",' + "[" * 100_000,
        "42abc",
        '42abc["message-with-ack"]',
        '421e9["message-with-ack"]',
        "43[]",  # an ack without an id
        '431{"a":1}',
        '40"token"',
        "41[]",
        '44{"message":"x"}',  # only servers say that
        '45["message"',
        '4517-["message"]',  # more attachments than 16
        '459999999-["message"]',
        '421-["message"]',  # attachments where none belong
        '42["connect"]',
        '42["disconnect"]',
    ],
)
async def test_a_malformed_packet_ends_the_connection_at_once(socket_io, packet):
    """And another's pings are answered meanwhile."""
    raw, other = await socket_io.connect(), await socket_io.connect()
    other.send(b"before", opcode=PING)
    raw.send(packet)
    other.send(b"meanwhile", opcode=PING)
    ended = asyncio.ensure_future(raw.close_code())
    for said in (b"before", b"meanwhile"):
        assert await other.frame() == (PONG, said)
    assert await ended == 1002


@pytest.mark.parametrize("packet", ['42["message"]', "4abc", '42/custom,["x"]', b"\1"])
async def test_an_event_before_its_connect_ends_the_connection(socket_io, packet):
    raw = await socket_io.open_websocket()
    raw.send(packet)
    assert await raw.close_code() == 1002


@pytest.mark.parametrize(
    "follower", ['42["message"]', b"\1" * 1_000_001, "4", "41"], ids=range(4)
)
async def test_only_an_attachment_may_follow_its_packet(socket_io, follower):
    raw = await socket_io.connect()
    raw.send('451-["message",{"_placeholder":true,"num":0}]')
    raw.send(follower)
    assert await raw.close_code() in (1002, 1009)


@pytest.mark.parametrize(
    "place", ['{"_placeholder":true,"num":7}', '{"_placeholder":true,"num":"x"}']
)
async def test_a_placeholder_without_its_attachment_ends_the_connection(
    socket_io, place
):
    raw = await socket_io.connect()
    raw.send(f'451-["message",{place}]')
    raw.send(b"\1")
    assert await raw.close_code() == 1002


async def test_a_lone_attachment_ends_the_connection(socket_io):
    raw = await socket_io.connect()
    raw.send(b"\1")
    assert await raw.close_code() == 1002


async def test_an_unknown_ack_is_harmless(socket_io):
    raw = await socket_io.connect()
    raw.send("4399[1]")
    raw.send('42["message","still here"]')
    assert await raw.text() == '42["message-back","still here"]'


async def test_a_lone_surrogate_becomes_a_replacement_character(socket_io):
    raw = await socket_io.connect()
    raw.send('42["message","a\\ud800b \\ud83d\\ude00"]')
    assert await raw.text() == '42["message-back","a\ufffdb \U0001f600"]'


async def test_malformed_packets_over_polling_end_the_session(socket_io):
    sid = await socket_io.open_polling()
    assert (await socket_io.post(sid, "40\x1e4abc"))[0] == 400
    assert (await socket_io.poll(sid))[0] == 400


async def test_events_and_attachments_over_polling(socket_io):
    sid = await socket_io.open_polling()
    place = '{"_placeholder":true,"num":0}'
    body = f'40\x1e451-7["message-with-ack",{place}]\x1ebAQID\x1e42["message",1]'
    assert await socket_io.post(sid, body) == (200, "ok")
    heard = ""
    while "message-back" not in heard:
        heard += "\x1e" + (await socket_io.poll(sid))[1]
    packets = heard.split("\x1e")
    at = packets.index(f"461-7[{place}]")
    assert packets[at + 1] == "bAQID"
    assert '42["message-back",1]' in packets[at:]


# --- Clients that speak something else -----------------------------------------------

# As socket.io-msgpack-parser writes it: {type: 0, nsp: "/"}.
MSGPACK_CONNECT = b"\x82\xa4type\x00\xa3nsp\xa1/"
MSGPACK_ERROR = b"\x83\xa4type\x04\xa3nsp\xa1/\xa4data\x81\xa7message"


async def test_a_client_with_the_msgpack_parser_is_told_so_in_its_own_words(socket_io):
    raw = await socket_io.open_websocket()
    raw.send(MSGPACK_CONNECT)
    opcode, answer = await raw.frame()
    assert opcode == BINARY
    assert answer.startswith(MSGPACK_ERROR)
    assert b"msgpack" in answer[len(MSGPACK_ERROR) + 2 :]
    assert answer[len(MSGPACK_ERROR) :][:2] == bytes(
        (0xD9, len(answer) - len(MSGPACK_ERROR) - 2)
    )
    assert await raw.close_code() == 1008


async def test_a_client_with_the_msgpack_parser_is_told_so_while_polling(socket_io):
    sid = await socket_io.open_polling()
    polling = await socket_io.polling(sid)
    packet = base64.b64encode(MSGPACK_CONNECT).decode()
    assert await socket_io.post(sid, f"b{packet}") == (200, "ok")
    status, payload = await polling
    assert status == 200
    answer, close = payload.split("\x1e")
    assert base64.b64decode(answer[1:]).startswith(MSGPACK_ERROR)
    assert close == "1"


async def test_a_client_of_version_2_is_told_so_in_its_own_words(socket_io):
    """Engine.IO 3: each packet has its length before it."""
    status, payload = await socket_io.fetch(query="EIO=3&transport=polling&b64=1")
    assert status == 200
    kinds, words = [], ""
    while payload:
        length, _, rest = payload.partition(":")
        packet, payload = rest[: int(length)], rest[int(length) :]
        kinds.append(packet[:2] if packet[0] == "4" else packet[0])
        words = words or (json.loads(packet[2:]) if kinds[-1] == "44" else "")
    assert kinds == ["0", "44", "1"]
    assert "Socket.IO 2" in words
    assert not socket_io.engine.sockets


async def test_other_requests_of_version_2_are_refused_in_words(socket_io):
    raw = await socket_io.raw()
    assert await raw.upgrade(socket_io.url(query="EIO=3&transport=websocket")) == 400
    assert "Socket.IO 2" in raw.json["error"]["message"]
    path = socket_io.url(query="EIO=3&transport=polling&sid=0")
    raw = await socket_io.raw()
    assert await raw.request("POST", path, body=b"1:1") == 400
