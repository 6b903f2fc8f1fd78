"""Who is refused, and that it happens before the 101 and before a session."""

import asyncio
import json
import logging

import pytest

from hai import errors
from hai.core.identity import sessions
from hai.realtime.wire.engine import EngineSocket
from hai.realtime.wire.handshake import (
    BAD_TOKENS_BURST,
    HandshakeChecks,
    Requester,
)
from tests.realtime.raw import Raw

ENGINE = "/socket.io/?EIO=4&transport="
BAD = {"Cookie": "hai_session=nonsense"}


@pytest.fixture
def raw(io_loop, app):
    opened = []

    async def make():
        opened.append(await Raw.open(app.port))
        return opened[-1]

    yield make
    for one in opened:
        one.close()


def cookie(person):
    return {"Cookie": f"hai_session={person.cookie}"}


def bearer(person):
    return {"Authorization": f"Bearer {person.token}"}


async def refused(app, raw, path, headers, status, **options):
    """The answer is no 101, a connection that might become a WebSocket ends, and no
    session came of it."""
    one = await raw()
    if path.endswith("polling"):
        assert await one.request("GET", path, headers) == status
    else:
        assert await one.upgrade(path, headers, **options) == status
    code = one.json["error"]["code"]
    if path.endswith("polling") or headers.get("Upgrade", "") is None:
        assert "connection" not in one.headers
        assert await one.request("GET", "/healthz") == 200
    else:
        assert "close" in one.headers["connection"]
        assert await one.is_ended()
    assert app.realtime.socket_count == 0
    return code


PATHS = [ENGINE + "websocket", ENGINE + "polling", "/ws"]


@pytest.mark.parametrize("path", PATHS)
class TestRefusals:
    async def test_a_foreign_origin(self, app, cast, raw, path):
        for origin in ("http://evil.example", "null", "http://127.0.0.1:1", "x"):
            headers = {**cookie(cast.ada), "Origin": origin}
            assert await refused(app, raw, path, headers, 403) == "forbidden"

    async def test_another_sites_page(self, app, cast, raw, path):
        headers = {**cookie(cast.ada), "Sec-Fetch-Site": "cross-site"}
        assert await refused(app, raw, path, headers, 403) == "forbidden"

    async def test_a_bad_cookie(self, app, cast, raw, path):
        assert await refused(app, raw, path, BAD, 401) == "unauthorized"

    async def test_a_bad_bearer(self, app, cast, raw, path):
        headers = {"Authorization": "Bearer nonsense"}
        assert await refused(app, raw, path, headers, 401) == "unauthorized"

    async def test_a_bad_cookie_beside_a_good_bearer(self, app, cast, raw, path):
        assert await refused(app, raw, path, BAD | bearer(cast.ada), 401)

    async def test_an_ended_session(self, app, cast, core, raw, path):
        identity = sessions.find(core, cast.ada.cookie)
        await sessions.end(core, identity.user_id, identity.session_id)
        assert await refused(app, raw, path, cookie(cast.ada), 401) == "unauthorized"

    async def test_one_socket_too_many(self, app, cast, raw, socket, path):
        app.realtime.handshake.config = with_limit(app.config, 1)
        await socket(cast.ada)
        one = await raw()
        if path.endswith("polling"):
            status = await one.request("GET", path, cookie(cast.grace))
        else:
            status = await one.upgrade(path, cookie(cast.grace))
        assert (status, one.json["error"]["code"]) == (429, "rate_limited")
        assert app.realtime.socket_count == 1

    async def test_a_server_that_stops(self, app, cast, raw, path):
        app.realtime.handshake.is_closed = True
        assert await refused(app, raw, path, cookie(cast.ada), 503) == "busy"

    async def test_guessing_tokens(self, app, cast, raw, path):
        app.realtime.handshake._bad_tokens.burst = 3
        app.realtime.handshake._bad_tokens.per_second = 0
        for _ in range(3):
            assert await refused(app, raw, path, BAD, 401) == "unauthorized"
        assert await refused(app, raw, path, BAD, 429) == "rate_limited"
        one = await raw()
        assert await one.upgrade(PATHS[0], cookie(cast.ada)) == 101

    @pytest.mark.parametrize("who", [cookie, bearer])
    async def test_a_good_one_comes_in(self, app, cast, raw, path, who):
        host = f"127.0.0.1:{app.port}"
        headers = {**who(cast.ada), "Origin": f"http://{host}"}
        one = await raw()
        if path.endswith("polling"):
            assert await one.request("GET", path, headers, host=host) == 200
        else:
            assert await one.upgrade(path, headers, host=host) == 101
        assert app.realtime.socket_count == 1


def with_limit(config, limit):
    import dataclasses

    return dataclasses.replace(config, max_sockets_per_address=limit)


@pytest.mark.parametrize("path", [ENGINE + "websocket", "/ws"])
@pytest.mark.parametrize(
    "header",
    [
        {"Upgrade": None},
        {"Upgrade": "h2c"},
        {"Connection": "keep-alive"},
        {"Sec-WebSocket-Key": None},
        {"Sec-WebSocket-Key": "short"},
        {"Sec-WebSocket-Key": "!!!"},
        {"Sec-WebSocket-Key": "é" * 22 + "=="},
        {"Content-Length": "2"},
        {"Transfer-Encoding": "chunked"},
    ],
)
async def test_what_is_no_handshake(app, cast, raw, path, header):
    headers = cookie(cast.ada) | header
    assert await refused(app, raw, path, headers, 400) == "bad_request"


@pytest.mark.parametrize("path", [ENGINE + "websocket", "/ws"])
@pytest.mark.parametrize("version", ["8", "0", "14", "13, 8", "x", None])
async def test_another_version_of_websockets_is_told_which_one(
    cast, raw, path, version
):
    one = await raw()
    headers = cookie(cast.ada) | {"Sec-WebSocket-Version": version}
    assert await one.upgrade(path, headers) == 426
    assert one.json["error"]["code"] == "bad_request"
    assert one.headers["sec-websocket-version"] == "13"
    assert one.headers["upgrade"] == "websocket"
    assert one.headers["connection"] == "Upgrade, close"
    assert await one.is_ended()


@pytest.mark.parametrize("connection", ["Upgrade", "keep-alive, Upgrade", "keep-alive"])
@pytest.mark.parametrize("path", [ENGINE + "websocket", "/ws"])
async def test_http_1_0_has_no_websockets(app, cast, raw, path, connection):
    one = await raw()
    lines = cookie(cast.ada) | {
        "Upgrade": "websocket",
        "Connection": connection,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    one.write(f"GET {path} HTTP/1.0\r\n{head}\r\n".encode())
    assert await one.answer() == 400
    assert one.json["error"]["code"] == "bad_request"
    assert one.headers["connection"] == "close" and await one.is_ended()
    assert app.realtime.socket_count == 0


async def test_ws_is_no_place_to_post_to(raw, caplog):
    """Anybody may try; that is one line of the access log, and no traceback."""
    with caplog.at_level(logging.DEBUG):
        one = await raw()
        for method in ("POST", "PUT", "DELETE", "BREW"):
            assert await one.request(method, "/ws") == 405
            assert one.headers["allow"] == "GET"
    assert "Traceback" not in caplog.text
    assert all(record.levelno < logging.ERROR for record in caplog.records)


@pytest.mark.parametrize(
    "query",
    [
        "transport=websocket",
        "EIO=3&transport=websocket",
        "EIO=4&transport=x",
        "EIO=4&transport=websocket&sid=nobody",
    ],
)
async def test_a_wrong_query_with_a_good_cookie(app, cast, raw, query):
    path = f"/socket.io/?{query}"
    assert await refused(app, raw, path, cookie(cast.ada), 400) == "bad_request"


async def test_the_native_endpoint_needs_a_session(app, raw):
    assert await refused(app, raw, "/ws", {}, 401) == "unauthorized"


class TestSidsBelongToTheirSession:
    async def open(self, raw, headers):
        one = await raw()
        await one.request("GET", ENGINE + "polling", headers)
        return json.loads(one.body[1:])["sid"]

    async def test_another_cookie_is_refused(self, cast, raw):
        sid = await self.open(raw, cookie(cast.ada))
        path = ENGINE + "polling&sid=" + sid
        for headers in (cookie(cast.grace), bearer(cast.grace), bearer(cast.ada)):
            one = await raw()
            assert await one.request("POST", path, headers, b"40") == 403
            one = await raw()
            assert await one.request("GET", path, headers) == 403
            one = await raw()
            status = await one.upgrade(ENGINE + "websocket&sid=" + sid, headers)
            assert status == 403
        one = await raw()
        assert await one.request("POST", path, cookie(cast.ada), b"40") == 200

    @pytest.mark.parametrize("credentials", [cookie, bearer])
    async def test_who_shows_it_again_must_go_on(self, cast, raw, credentials):
        """As browsers do; from then on the sid alone is nothing."""
        sid = await self.open(raw, credentials(cast.ada))
        path = ENGINE + "polling&sid=" + sid
        one = await raw()
        assert await one.request("POST", path, credentials(cast.ada), b"40") == 200
        for headers in ({}, {"Cookie": "other=1"}):
            one = await raw()
            assert await one.request("POST", path, headers, b"3") == 403
            one = await raw()
            assert await one.request("GET", path, headers) == 403
            one = await raw()
            status = await one.upgrade(ENGINE + "websocket&sid=" + sid, headers)
            assert status == 403

    @pytest.mark.parametrize("credentials", [cookie, bearer])
    async def test_a_program_may_say_who_it_is_once(self, cast, raw, credentials):
        """The Python client does; its sid is as secret as its token."""
        sid = await self.open(raw, credentials(cast.ada))
        path = ENGINE + "polling&sid=" + sid
        for headers, status in (({}, 200), (bearer(cast.grace), 403), ({}, 200)):
            one = await raw()
            assert await one.request("POST", path, headers, b"3") == status

    async def test_the_same_user_in_another_session_is_refused(self, cast, core, raw):
        other = await sessions.start(core, cast.ada.id, "browser", "another browser")
        sid = await self.open(raw, cookie(cast.ada))
        one = await raw()
        headers = {"Cookie": f"hai_session={other}"}
        assert await one.request("GET", ENGINE + "polling&sid=" + sid, headers) == 403

    async def test_sids_stay_out_of_the_log(self, cast, raw, caplog):
        with caplog.at_level(logging.DEBUG):
            sid = await self.open(raw, cookie(cast.ada))
            one = await raw()
            path = ENGINE + "polling&sid=" + sid
            await one.request("POST", path, cookie(cast.grace), b"40")
            one = await raw()
            await one.request("POST", path, cookie(cast.ada), b"4abc")
        assert sid not in caplog.text

    async def test_an_error_of_ours_is_logged_without_the_sid(
        self, cast, raw, caplog, expect_log, monkeypatch
    ):
        sid = await self.open(raw, cookie(cast.ada))

        def fail(found, packets):
            raise RuntimeError("broken")

        monkeypatch.setattr(EngineSocket, "wait_poll", fail)
        expect_log(r"GET /socket.io/ \(127.0.0.1\) failed")
        with caplog.at_level(logging.DEBUG):
            one = await raw()
            path = ENGINE + "polling&sid=" + sid
            assert await one.request("GET", path, cookie(cast.ada)) == 500
        assert "broken" in caplog.text
        assert sid not in caplog.text


class TestStrangers:
    """Neither cookie nor bearer: a hello with a good token, or the handshake."""

    async def open(self, raw):
        one = await raw()
        assert await one.upgrade(ENGINE + "websocket") == 101
        await one.text()
        return one

    async def test_a_token_in_connect_signs_in(self, cast, socket):
        ada = await socket(auth={"token": cast.ada.token})
        ack = await ada.order("get_hais", {"room_id": cast.lab["id"]})
        assert ack == {"hais": [], "has_more": False}

    async def test_a_token_in_connect_signs_in_over_polling(self, cast, socket):
        ada = await socket(None, "polling", auth={"token": cast.ada.token})
        assert "hais" in await ada.order("get_hais", {"room_id": cast.lab["id"]})

    @pytest.mark.parametrize(
        "auth", ["", "{}", '{"token":"no"}', '{"token":7}', '{"token":null}']
    )
    async def test_a_bad_hello_is_refused(self, cast, raw, auth):
        one = await self.open(raw)
        one.send("40" + auth)
        answer = await one.text()
        assert answer.startswith("44{")
        assert json.loads(answer[2:])["data"]["code"] == "unauthorized"

    async def test_an_order_before_the_hello_ends_the_connection(self, cast, raw):
        one = await self.open(raw)
        one.send('420["send_hai",{}]')
        assert await one.close_code() == 1002

    async def test_who_says_nothing_is_closed(self, app, cast, raw):
        app.realtime.engine.connect_timeout_s = 0.1
        one = await self.open(raw)
        assert await one.close_code() == 1008
        assert app.realtime.socket_count == 0

    async def test_who_says_nothing_over_polling_is_forgotten(self, app, cast, raw):
        app.realtime.engine.connect_timeout_s = 0.1
        one = await raw()
        assert await one.request("GET", ENGINE + "polling") == 200
        sid = json.loads(one.body[1:])["sid"]
        while app.realtime.socket_count:
            await asyncio.sleep(0.01)
        assert await (await raw()).request("GET", f"{ENGINE}polling&sid={sid}") == 400

    async def test_a_long_hello_is_cut_short(self, app, cast, raw):
        one = await self.open(raw)
        one.send("40" + "x" * 5000)
        assert await one.close_code() == 1009

    async def test_a_long_hello_over_polling_is_not_read(self, app, cast, raw):
        one = await raw()
        await one.request("GET", ENGINE + "polling")
        sid = json.loads(one.body[1:])["sid"]
        path = ENGINE + "polling&sid=" + sid
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 900000\r\n\r\n"
        one.write(head.encode())
        assert await one.answer() == 400
        assert app.realtime.socket_count == 0

    async def test_a_second_identity_is_refused(self, cast, raw):
        one = await raw()
        await one.upgrade(ENGINE + "websocket", cookie(cast.ada))
        await one.text()
        one.send(f'40{{"token":"{cast.grace.token}"}}')
        answer = await one.text()
        assert json.loads(answer[2:])["data"]["code"] == "forbidden"

    async def test_their_number_is_bounded(self, cast, raw, monkeypatch):
        monkeypatch.setattr("hai.realtime.wire.handshake.MIN_PER_ADDRESS", 2)
        monkeypatch.setattr("hai.realtime.wire.handshake.MAX_UNAUTHENTICATED", 8)
        for _ in range(2):
            await self.open(raw)
        one = await raw()
        assert await one.upgrade(ENGINE + "websocket") == 429
        one = await raw()
        assert await one.upgrade(ENGINE + "websocket", cookie(cast.ada)) == 101

    def test_some_addresses_cannot_lock_others_out(self, config):
        """However many strangers the first ones send, there is room for one more."""
        handshake = HandshakeChecks(config, find=lambda token: None)
        for block in range(50):
            entered = fill(handshake, f"10.0.0.{block}")
            assert entered >= 8
        assert handshake._unauthenticated_count < 12_000

    @pytest.mark.parametrize("packet", ["40/x", '40{"token":"bad"}', "40"])
    async def test_after_five_refusals_they_are_closed(self, cast, raw, packet):
        one = await self.open(raw)
        for _ in range(20):
            one.send(packet)
        refusals = 0
        while (frame := await one.frame())[0] == 1:
            refusals += 1
        assert refusals == 5
        assert frame == (8, (1008).to_bytes(2, "big"))

    async def test_nobody_is_told_a_long_name_back(self, cast, raw):
        one = await self.open(raw)
        one.send("40/" + "n" * 3000)
        assert await one.close_code() == 1002

    async def test_all_places_are_given_back(self, app, cast, raw, socket):
        one = await self.open(raw)
        one.close()
        signed_in = await socket(auth={"token": cast.ada.token})
        await signed_in.close()
        while app.realtime.socket_count:
            await asyncio.sleep(0.01)
        handshake = app.realtime.handshake
        assert (
            handshake._sockets,
            handshake._unauthenticated,
            handshake._unauthenticated_count,
        ) == ({}, {}, 0)
        assert handshake._by_session == {}


def fill(handshake, address):
    """Enter as many strangers from there as are let in."""
    for number in range(20_000):
        try:
            handshake.admit(Requester(address, None))
        except errors.RateLimited:
            return number
    raise AssertionError("no limit")


class TestLimitsBySetting:
    """`rate_limits` and `max_sockets_per_address`, both ways, by the flags."""

    @pytest.fixture(params=["on", "off"])
    def rate_limits(self, request):
        return request.param

    @pytest.fixture
    def config_flags(self, rate_limits):
        return {"rate_limits": rate_limits}

    async def test_strangers(self, cast, raw, rate_limits, monkeypatch):
        monkeypatch.setattr("hai.realtime.wire.handshake.MIN_PER_ADDRESS", 1)
        monkeypatch.setattr("hai.realtime.wire.handshake.MAX_UNAUTHENTICATED", 1)
        statuses = []
        for _ in range(3):
            one = await raw()
            statuses.append(await one.upgrade(ENGINE + "websocket"))
        assert statuses == [101, *[429 if rate_limits == "on" else 101] * 2]

    async def test_bad_tokens(self, app, cast, raw, rate_limits):
        app.realtime.handshake._bad_tokens.per_second = 0  # however slow we are
        statuses = []
        for _ in range(BAD_TOKENS_BURST + 30):
            one = await raw()
            statuses.append(await one.request("GET", ENGINE + "polling", BAD))
        assert statuses[0] == 401
        assert (429 in statuses) == (rate_limits == "on")

    async def test_orders(self, app, cast, ws, rate_limits):
        app.realtime.runner.limit.per_second = 0
        ada = await ws(cast.ada)
        orders = [ada.order("unknown", {}) for _ in range(1500)]
        codes = {ack["error"]["code"] for ack in await asyncio.gather(*orders)}
        limited = {"rate_limited"} if rate_limits == "on" else set()
        assert codes == {"unknown_order"} | limited

    @pytest.mark.parametrize("path", PATHS)
    async def test_sockets_of_a_session(
        self, app, cast, raw, rate_limits, path, monkeypatch
    ):
        monkeypatch.setattr("hai.realtime.wire.handshake.MAX_SOCKETS_PER_SESSION", 2)
        statuses = []
        for _ in range(3):
            one = await raw()
            if path.endswith("polling"):
                statuses.append(await one.request("GET", path, cookie(cast.ada)))
            else:
                statuses.append(await one.upgrade(path, cookie(cast.ada)))
        is_limited = rate_limits == "on"
        assert statuses[2] == (429 if is_limited else statuses[0])
        assert app.realtime.socket_count == (2 if is_limited else 3)
        one = await raw()
        assert await one.upgrade("/ws", cookie(cast.grace)) == 101

    async def test_sockets_of_a_token_in_connect(
        self, cast, raw, rate_limits, monkeypatch
    ):
        monkeypatch.setattr("hai.realtime.wire.handshake.MAX_SOCKETS_PER_SESSION", 1)
        answers = []
        for _ in range(2):
            one = await raw()
            await one.upgrade(ENGINE + "websocket")
            await one.text()
            one.send(f'40{{"token":"{cast.ada.token}"}}')
            answers.append(await one.text())
        assert answers[0].startswith("40")
        assert ("rate_limited" in answers[1]) == (rate_limits == "on")


class TestSocketsPerAddress:
    @pytest.fixture
    def config_flags(self):
        return {"max_sockets_per_address": "2", "trusted_proxies": "127.0.0.1"}

    async def opened(self, raw, person, address):
        one = await raw()
        return await one.upgrade("/ws", cookie(person) | {"X-Forwarded-For": address})

    async def test_the_setting_counts(self, cast, raw):
        statuses = [await self.opened(raw, cast.ada, "9.9.9.9") for _ in range(3)]
        assert statuses == [101, 101, 429]
        assert await self.opened(raw, cast.ada, "9.9.9.8") == 101

    async def test_one_line_is_one_address(self, cast, raw):
        """An IPv6 customer has 2^64 addresses."""
        statuses = [
            await self.opened(raw, cast.ada, f"2001:db8::{number}")
            for number in range(3)
        ]
        assert statuses == [101, 101, 429]
        assert await self.opened(raw, cast.ada, "2001:db8:0:1::1") == 101


@pytest.mark.parametrize("turns", range(12))
@pytest.mark.parametrize("path", ["/ws", ENGINE + "websocket"])
async def test_a_connection_that_is_lost_before_its_101_leaves_nothing(
    app, cast, caplog, raw, path, turns
):
    """However many turns of the loop after it was begun."""
    handshake = app.realtime.handshake
    one = await raw()
    while not app.http._connections:
        await asyncio.sleep(0.01)
    (served,) = app.http._connections
    knocking = asyncio.ensure_future(one.upgrade(path, cookie(cast.ada)))
    for _ in range(turns):
        await asyncio.sleep(0)
    served.stream.close()
    await asyncio.gather(knocking, return_exceptions=True)
    one.close()
    while handshake._by_session or app.realtime.socket_count:
        await asyncio.sleep(0.01)
    assert "Traceback" not in caplog.text
