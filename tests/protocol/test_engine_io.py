"""The cases of the Engine.IO protocol, version 4, from its document."""

import asyncio
import json
import socket as sockets
import struct
import time

import pytest

from hai.realtime.wire.transport import unacknowledged_bytes
from tests.protocol.conftest import PING_INTERVAL_S, PING_TIMEOUT_S

KEYS = {"sid", "upgrades", "pingInterval", "pingTimeout", "maxPayload"}


# --- Handshake -----------------------------------------------------------------------


@pytest.mark.parametrize("transport", ["polling", "websocket"])
async def test_a_handshake_says_all_that_a_client_must_know(either, transport):
    if transport == "polling":
        _, text = await either.fetch()
    else:
        text = await (await either.websocket()).text()
    assert text[0] == "0"
    handshake = json.loads(text[1:])
    assert handshake.keys() == KEYS
    assert isinstance(handshake["sid"], str)
    assert handshake["upgrades"] == (["websocket"] if transport == "polling" else [])
    assert handshake["pingInterval"] == PING_INTERVAL_S * 1000
    assert handshake["pingTimeout"] == PING_TIMEOUT_S * 1000
    assert handshake["maxPayload"] == 1_000_000


@pytest.mark.parametrize(
    "query",
    [
        "transport=polling",
        "EIO=abc&transport=polling",
        "EIO=2&transport=polling",
        "EIO=4",
        "EIO=4&transport=abc",
        "EIO=4&transport=websocket",
        "",
    ],
)
async def test_a_wrong_query_is_refused_with_400(either, query):
    assert (await either.fetch(query=query))[0] == 400


@pytest.mark.parametrize(
    "query",
    [
        "transport=websocket",
        "EIO=abc&transport=websocket",
        "EIO=4",
        "EIO=4&transport=abc",
    ],
)
async def test_a_wrong_query_opens_no_websocket(either, query):
    raw = await either.raw()
    assert await raw.upgrade(either.url(query=query)) == 400


@pytest.mark.parametrize(
    "method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD"]
)
async def test_a_session_begins_with_get(either, method):
    assert (await either.fetch(method, b""))[0] == 400


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_an_unknown_sid_is_refused(either, method):
    body = b"4hello" if method == "POST" else None
    assert (await either.fetch(method, body, sid="nobody"))[0] == 400


# --- Messages over polling -----------------------------------------------------------


@pytest.mark.parametrize(
    "payload", ["4hello", "4test1\x1e4test2\x1e4test3", "4hello\x1ebAQIDBA=="]
)
async def test_a_payload_comes_back_as_it_was_sent(engine_io, payload):
    sid = await engine_io.open_polling()
    assert await engine_io.post(sid, payload) == (200, "ok")
    assert await engine_io.poll(sid) == (200, payload)


@pytest.mark.parametrize("payload", ["abc", "", "4a\x1e", "bAQ", "0{}", "5", "2", "7"])
async def test_a_malformed_payload_ends_the_session(engine_io, payload):
    sid = await engine_io.open_polling()
    assert (await engine_io.post(sid, payload))[0] == 400
    assert (await engine_io.poll(sid))[0] == 400


async def test_a_second_poll_at_once_ends_the_session(either):
    sid = await either.open_polling()
    first = await either.polling(sid)
    assert (await either.poll(sid))[0] == 400
    assert await first == (200, "1")
    assert (await either.poll(sid))[0] == 400


async def test_a_poll_that_is_taken_back_ends_the_session(either):
    sid = await either.open_polling()
    raw = await either.raw()
    asking = asyncio.ensure_future(raw.request("GET", either.url(sid=sid)))
    await either.until(lambda: either.engine.find(sid).poll is not None)
    asking.cancel()
    raw.close()
    await either.until(lambda: not either.engine.find(sid))
    assert (await either.poll(sid))[0] == 400


def stamped(sid, stamp):
    """Where a request goes that has a `t`, as clients give each of theirs its own."""
    return {"sid": sid, "query": f"EIO=4&transport=polling&t={stamp}"}


async def test_a_poll_that_comes_again_ends_the_session(engine_io):
    """A browser repeats it by itself when its connection broke: what the first answer
    brought has been lost, and the client must hear of that."""
    sid = await engine_io.open_polling()
    await engine_io.post(sid, "4lost")
    assert await engine_io.fetch(**stamped(sid, "p1")) == (200, "4lost")
    await engine_io.post(sid, "4next")
    assert (await engine_io.fetch(**stamped(sid, "p1")))[0] == 400
    assert (await engine_io.poll(sid))[0] == 400


async def test_a_post_that_comes_again_is_not_taken_twice(engine_io):
    sid = await engine_io.open_polling()
    body = b"4once"
    assert await engine_io.fetch("POST", body, **stamped(sid, "p1")) == (200, "ok")
    assert await engine_io.poll(sid) == (200, "4once")
    assert (await engine_io.fetch("POST", body, **stamped(sid, "p1")))[0] == 400
    assert (await engine_io.poll(sid))[0] == 400


async def test_requests_with_a_t_of_their_own_or_none_go_on(engine_io):
    """A GET and a POST may have the same one: some clients take the time."""
    sid = await engine_io.open_polling()
    for stamp in ("p1", "p2", "p1", ""):
        for query in (stamped(sid, stamp), {"sid": sid}, {"sid": sid}):
            posted = await engine_io.fetch("POST", b"4hello", **query)
            assert posted == (200, "ok")
            assert await engine_io.fetch(**query) == (200, "4hello")


async def test_a_payload_over_the_limit_ends_the_session(engine_io):
    sid = await engine_io.open_polling()
    assert (await engine_io.post(sid, "4" + "x" * 1_000_000))[0] == 400
    assert (await engine_io.poll(sid))[0] == 400


@pytest.mark.parametrize("size", [1_000_001, 1_100_000, 8_000_000])
async def test_an_oversize_payload_is_answered_and_not_cut(engine_io, size):
    """Whoever sends it all first, and reads then, reads the answer: no reset."""
    sid = await engine_io.open_polling()
    status, _ = await engine_io.post(sid, "4" + "x" * (size - 1))
    assert status == 400
    assert (await engine_io.poll(sid))[0] == 400


async def test_a_payload_at_the_limit_is_taken_whole(engine_io):
    sid = await engine_io.open_polling()
    payload = "4" + "x" * 200_000
    assert await engine_io.post(sid, payload) == (200, "ok")
    assert await engine_io.poll(sid) == (200, payload)


async def test_a_payload_of_a_thousand_packets_loses_none(engine_io):
    sid = await engine_io.open_polling()
    payload = "\x1e".join(f"4{number}" for number in range(1000))
    assert await engine_io.post(sid, payload) == (200, "ok")
    heard = []
    while len(heard) < 1000:
        heard += (await engine_io.poll(sid))[1].split("\x1e")
    assert "\x1e".join(heard) == payload


@pytest.mark.parametrize(
    ("client", "counts"),
    [
        ("Python/3.11 aiohttp/3.9", [16, 4]),
        ("python-requests/2.31", [16, 4]),
        ("Mozilla/5.0", [20]),
        ("node-XMLHttpRequest", [20]),
    ],
)
async def test_a_poll_gives_no_more_than_its_client_takes(engine_io, client, counts):
    sid = await engine_io.open_polling()
    await engine_io.post(sid, "\x1e".join(["4x"] * 20))
    heard = [(await engine_io.poll(sid, client))[1].count("4x") for _ in counts]
    assert heard == counts


async def test_two_posts_at_once_end_the_session(engine_io):
    sid = await engine_io.open_polling()
    raw = await engine_io.raw()
    head = f"POST {engine_io.url(sid=sid)} HTTP/1.1\r\nHost: x\r\n"
    raw.write(f"{head}Content-Length: 10\r\n\r\n4begun".encode())
    await engine_io.until(lambda: engine_io.engine.find(sid).posting)
    assert (await engine_io.post(sid, "4x"))[0] == 400
    assert (await engine_io.poll(sid))[0] == 400


async def test_a_post_that_breaks_off_ends_the_session(engine_io):
    sid = await engine_io.open_polling()
    raw = await engine_io.raw()
    head = f"POST {engine_io.url(sid=sid)} HTTP/1.1\r\nHost: x\r\n"
    raw.write(f"{head}Content-Length: 10\r\n\r\n4begun".encode())
    await engine_io.until(lambda: engine_io.engine.find(sid).posting)
    raw.close()
    await engine_io.until(lambda: not engine_io.engine.find(sid))
    assert (await engine_io.poll(sid))[0] == 400


# --- Messages over WebSocket ---------------------------------------------------------


@pytest.mark.parametrize("message", ["4hello", b"\1\2\3\4", "4" + "x" * 70_000])
async def test_a_message_comes_back_as_it_was_sent(engine_io, message):
    raw = await engine_io.open_websocket()
    raw.send(message)
    assert await raw.text() == message


@pytest.mark.parametrize("message", ["abc", "", "2", "2probe", "5", "0{}", "9"])
async def test_a_malformed_packet_ends_the_connection(engine_io, message):
    raw = await engine_io.open_websocket()
    raw.send(message)
    assert await raw.close_code() == 1002


async def test_what_follows_the_end_of_a_session_is_not_answered_with_200(engine_io):
    """The session ends within its POST: the packets left were not taken."""
    sid = await engine_io.open_polling()
    engine = engine_io.engine
    receive = engine.receiver

    def end_at_the_third(socket, message):
        if message == "3":
            socket.hang_up(1008)
            return None
        return receive(socket, message)

    engine.receiver = end_at_the_third
    assert (await engine_io.post(sid, "41\x1e42\x1e43\x1e44"))[0] == 400


async def test_what_follows_a_clients_own_end_is_its_own_affair(engine_io):
    sid = await engine_io.open_polling()
    assert await engine_io.post(sid, "41\x1e1\x1e42") == (200, "ok")


@pytest.mark.parametrize("header", [{}, {"Connection": "close"}])
@pytest.mark.parametrize("size", [60_000, 400_000])
async def test_who_closes_after_a_whole_answer_comes_back(engine_io, size, header):
    """One connection for each request, closed by either side: nothing was lost."""
    sid = await engine_io.open_polling()
    for _ in range(3):
        await engine_io.post(sid, "4" + "x" * size)
        raw = await engine_io.raw()
        assert await raw.request("GET", engine_io.url(sid=sid), header) == 200
        raw.close()
    await engine_io.post(sid, "4last")
    assert await engine_io.poll(sid) == (200, "4last")


@pytest.mark.parametrize("size", [60_000, 400_000])
async def test_a_cut_answer_ends_the_session(engine_io, size):
    """Its packets are lost: a session that went on would hide that."""
    sid = await engine_io.open_polling()
    await engine_io.post(sid, "4" + "x" * size)
    sock = sockets.socket()
    sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", engine_io.served.port))
    sock.sendall(f"GET {engine_io.url(sid=sid)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    sock.setblocking(False)
    await asyncio.get_running_loop().sock_recv(sock, 1000)
    sock.close()
    while engine_io.engine.find(sid):
        await asyncio.sleep(0.01)
    assert (await engine_io.poll(sid))[0] == 400


async def test_thousands_of_small_packets_come_in_order(engine_io):
    """More than one answer holds; those of a client that does not poll wait."""
    sid = await engine_io.open_polling()
    packets = [f"4{number}" for number in range(2500)]
    posting = asyncio.ensure_future(engine_io.post(sid, "\x1e".join(packets)))
    heard = []
    while len(heard) < len(packets):
        heard += (await engine_io.poll(sid))[1].split("\x1e")
        assert engine_io.engine.find(sid).backlog.size_bytes < 512 * 1024
    assert heard == packets
    assert await posting == (200, "ok")


async def test_small_packets_count_for_what_they_cost(engine_io):
    """One that posts and does not poll has a budget, of objects too."""
    sid = await engine_io.open_polling()
    status, _ = await engine_io.post(sid, "\x1e".join(["4x"] * 5000))
    assert status == 400
    assert (await engine_io.poll(sid))[0] == 400


# --- Heartbeat -----------------------------------------------------------------------


async def test_polling_pings_are_answered(either):
    either.hurry()
    sid = await either.open_polling()
    for _ in range(3):
        assert await either.poll(sid) == (200, "2")
        assert await either.post(sid, "3") == (200, "ok")


async def test_websocket_pings_are_answered(either):
    either.hurry()
    raw = await either.open_websocket()
    for _ in range(3):
        assert await raw.frame() == (1, b"2")
        raw.send("3")


async def test_a_polling_session_that_answers_no_ping_ends(either):
    either.hurry(ping_timeout_s=0.2)
    sid = await either.open_polling()
    answers = []
    while (answer := await either.poll(sid))[0] == 200:
        answers.append(answer[1])
    assert answers in (["2", "1"], ["2"], [])  # the last: asked after its end
    assert answer[0] == 400


async def pinged_and_overdue(speaker):
    """The sid of a polling session whose pong is overdue, which no timer has seen."""
    speaker.hurry(ping_timeout_s=0.05)
    sid = await speaker.open_polling()
    assert await speaker.poll(sid) == (200, "2")
    speaker.engine.wheel.stop()
    loop, session = asyncio.get_running_loop(), speaker.engine.find(sid)
    await speaker.until(lambda: loop.time() >= session.pong_by_s)
    return sid


async def test_a_request_after_the_deadline_is_refused_before_any_timer(either):
    sid = await pinged_and_overdue(either)
    either.engine.wheel.tick_s = 3600  # none is missed
    assert (await either.post(sid, "3"))[0] == 400
    assert either.engine.find(sid) is None


async def test_a_pong_that_a_busy_server_reads_late_is_taken(either):
    sid = await pinged_and_overdue(either)
    either.engine.wheel.tick_s = 1e-9  # all are missed
    assert await either.post(sid, "3") == (200, "ok")
    assert not either.engine.find(sid).pong_by_s


async def test_a_websocket_that_answers_no_ping_ends(either):
    """Not before it had its time."""
    either.hurry(ping_timeout_s=0.2)
    began_s = asyncio.get_running_loop().time()
    raw = await either.open_websocket()
    assert await raw.close_code() == 1001
    took_s = asyncio.get_running_loop().time() - began_s
    assert took_s >= either.engine.ping_interval + either.engine.ping_timeout


async def test_there_is_one_ping_at_a_time_and_its_deadline_stays(either):
    """However long the timeout is: what does not answer is reaped by the first."""
    either.hurry(ping_timeout_s=0.5)
    raw = await either.open_websocket()
    heard = []
    while (frame := await raw.frame())[0] == 1:
        heard.append(frame[1])
    assert heard == [b"2"]
    assert frame == (8, struct.pack("!H", 1001))


async def test_a_late_pong_keeps_the_session_and_its_pings(either):
    either.hurry()
    raw = await either.open_websocket()
    for _ in range(3):
        assert await raw.frame() == (1, b"2")
        await asyncio.sleep(2 * either.engine.ping_interval)  # longer than the interval
        raw.send("3")


# --- Close ---------------------------------------------------------------------------


async def test_a_polling_client_closes(either):
    sid = await either.open_polling()
    polling = await either.polling(sid)
    assert await either.post(sid, "1") == (200, "ok")
    assert await polling == (200, "6")
    assert (await either.poll(sid))[0] == 400


def deliver(raw, request):
    """Into the server's hands, without a turn of the loop that it could read it in."""
    raw.write(request.encode())
    while unacknowledged_bytes(raw.writer.get_extra_info("socket")):
        time.sleep(0.001)


async def test_a_poll_that_its_clients_goodbye_overtakes_ends_like_a_waiting_one(
    either,
):
    sid = await either.open_polling()
    goodbye, poll = await either.raw(), await either.raw()
    for raw in (goodbye, poll):
        assert await raw.request("GET", either.url(transport="none")) == 400
    head = "HTTP/1.1\r\nHost: hai\r\nContent-Length: {}\r\n\r\n".format
    deliver(goodbye, f"POST {either.url(sid=sid)} {head(1)}1")
    deliver(poll, f"GET {either.url(sid=sid)} {head(0)}")
    assert (await poll.answer(), poll.body) == (200, b"6")
    assert (await goodbye.answer(), goodbye.body) == (200, b"ok")


async def test_a_websocket_client_closes(either):
    raw = await either.open_websocket()
    raw.send("1")
    assert await raw.close_code() == 1000


# --- Upgrade -------------------------------------------------------------------------


async def upgrade(speaker, sid):
    raw = await speaker.websocket(sid=sid)
    raw.send("2probe")
    assert await raw.text() == "3probe"
    raw.send("5")
    return raw


async def test_polling_upgrades_to_websocket(engine_io):
    sid = await engine_io.open_polling()
    raw = await engine_io.websocket(sid=sid)
    raw.send("2probe")
    assert await raw.text() == "3probe"
    assert await engine_io.poll(sid) == (200, "6")
    raw.send("5")
    raw.send("4hello")
    assert await raw.text() == "4hello"


async def test_a_poll_in_flight_ends_when_the_probe_comes(engine_io):
    sid = await engine_io.open_polling()
    polling = await engine_io.polling(sid)
    raw = await engine_io.websocket(sid=sid)
    raw.send("2probe")
    assert await polling == (200, "6")


async def test_what_was_pending_moves_over_in_order(engine_io):
    sid = await engine_io.open_polling()
    raw = await engine_io.websocket(sid=sid)
    raw.send("2probe")
    await engine_io.post(sid, "\x1e".join(f"4{number}" for number in range(20)))
    raw.send("5")
    raw.send("420")
    assert await raw.text() == "3probe"
    assert [await raw.text() for _ in range(21)] == [f"4{n}" for n in range(21)]


async def test_after_the_upgrade_http_is_refused_and_the_session_lives(either):
    either.hurry()
    sid = await either.open_polling()
    raw = await upgrade(either, sid)
    assert (await either.poll(sid))[0] == 400
    assert (await either.post(sid, "4x"))[0] == 400
    assert await raw.frame() == (1, b"2")


async def test_a_second_websocket_for_a_sid_is_closed_and_the_first_lives(engine_io):
    sid = await engine_io.open_polling()
    raw = await upgrade(engine_io, sid)
    second = await engine_io.websocket(sid=sid)
    assert await second.close_code() == 1008
    raw.send("4hello")
    assert await raw.text() == "4hello"


async def test_what_was_posted_comes_before_what_follows_the_upgrade(engine_io):
    """The POST is under way still when the WebSocket takes over."""
    sid = await engine_io.open_polling()
    raw = await engine_io.websocket(sid=sid)
    raw.send("2probe")
    assert await raw.text() == "3probe"
    posted = [f"4{number}" for number in range(400)]
    posting = asyncio.ensure_future(engine_io.post(sid, "\x1e".join(posted)))
    while not engine_io.engine.find(sid).posting:
        await asyncio.sleep(0)
    raw.send("5")
    raw.send("4last")
    heard = [await raw.text() for _ in range(401)]
    assert heard == [*posted, "4last"]
    assert await posting == (200, "ok")


async def test_polls_wait_until_the_probe_asks_them_to_end(engine_io):
    sid = await engine_io.open_polling()
    raw = await engine_io.websocket(sid=sid)
    polling = await engine_io.polling(sid)
    assert not polling.done()
    raw.send("2probe")
    assert await polling == (200, "6")


async def test_a_client_that_lingers_at_its_probe_does_not_spin(engine_io):
    sid = await engine_io.open_polling()
    raw = await engine_io.websocket(sid=sid)
    raw.send("2probe")
    await raw.text()
    loop = asyncio.get_running_loop()
    began_s, polls = loop.time(), 0
    while loop.time() < began_s + 0.35:
        assert (await engine_io.poll(sid)) == (200, "6")
        polls += 1
    assert polls <= 1 + (loop.time() - began_s) / 0.1


@pytest.mark.parametrize("message", ["4hello", "2", "5", "3probe", b"\1"])
async def test_a_failed_probe_leaves_the_session_polling(engine_io, message):
    sid = await engine_io.open_polling()
    raw = await engine_io.websocket(sid=sid)
    raw.send(message)
    assert await raw.close_code() == 1002
    assert await engine_io.post(sid, "4hello") == (200, "ok")
    assert await engine_io.poll(sid) == (200, "4hello")
