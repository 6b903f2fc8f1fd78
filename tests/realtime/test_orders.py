"""Orders in, acks out: the same on every transport."""

import asyncio
import json

import pytest

from hai.core import read_budget
from hai.storage import hais as hai_rows
from tests.reads import PATIENCE_S, Endless, held, until, waiting
from tests.realtime.raw import Raw


def hai_order(room, number, **more):
    return {
        "room_id": room["id"],
        "client_id": f"c{number}",
        "text": str(number),
        **more,
    }


async def test_a_hai_is_acked_and_reaches_every_member(cast, any_socket):
    ada, grace = await any_socket(cast.ada), await any_socket(cast.grace)
    ack = await ada.order("send_hai", hai_order(cast.lab, 1))
    assert ack["hai"]["text"] == "1"
    assert (await ada.fact("hai_sent")) == ack
    assert (await grace.fact("hai_sent")) == ack


async def test_an_ack_follows_its_own_fact(cast, any_socket):
    ada = await any_socket(cast.ada)
    for number in range(20):
        await ada.order("send_hai", hai_order(cast.lab, number))
        assert len(ada.named("hai_sent")) == number + 1


async def test_orders_are_handled_in_the_order_sent(cast, any_socket):
    ada, grace = await any_socket(cast.ada), await any_socket(cast.grace)
    orders = [ada.order("send_hai", hai_order(cast.lounge, n)) for n in range(300)]
    acks = await asyncio.gather(*orders)
    ids = [ack["hai"]["id"] for ack in acks]
    assert ids == sorted(ids)
    await grace.fact("hai_sent", lambda payload: payload["hai"]["text"] == "299")
    texts = [payload["hai"]["text"] for payload in grace.named("hai_sent")]
    assert texts == [str(number) for number in range(300)]


async def test_many_senders_are_heard_in_one_order_by_all(cast, any_socket, socket, ws):
    everyone = [await any_socket(p) for p in (cast.ada, cast.grace, cast.linus)]
    everyone += [await socket(cast.ada, "polling"), await ws(cast.linus)]
    orders = [
        sender.order("send_hai", hai_order(cast.lounge, f"{index}-{number}"))
        for number in range(40)
        for index, sender in enumerate(everyone)
    ]
    await asyncio.gather(*orders)
    for listener in everyone:
        await listener.settle()
    heard = [[fact["hai"]["rev"] for fact in one.named("hai_sent")] for one in everyone]
    assert len(heard[0]) == 200
    assert heard[0] == sorted(heard[0])
    assert all(one == heard[0] for one in heard)


@pytest.mark.parametrize(
    "name",
    ["unknown", "", "connect", "disconnect", "on_connect", "__class__", "take_event"],
)
async def test_what_is_no_order_is_acked_unknown_order(cast, any_socket, name):
    ada = await any_socket(cast.ada)
    ack = await ada.order(name, {})
    assert ack["error"]["code"] == "unknown_order"


@pytest.mark.parametrize("payload", [None, 7, "text", [], [{}]])
async def test_a_payload_that_is_no_object_is_acked_bad_request(
    cast, any_socket, payload
):
    ada = await any_socket(cast.ada)
    assert (await ada.order("send_hai", payload))["error"]["code"] == "bad_request"


async def test_two_payloads_are_acked_bad_request(cast, socket):
    ada = await socket(cast.ada)
    ack = await ada.order("send_hai", (hai_order(cast.lab, 1), {}))
    assert ack["error"]["code"] == "bad_request"


async def test_an_oversize_text_is_acked_and_the_socket_lives(cast, any_socket):
    ada = await any_socket(cast.ada)
    ack = await ada.order("send_hai", hai_order(cast.lab, 1, text="x" * 100_000))
    assert ack["error"]["code"] == "text_too_long"
    assert (await ada.order("get_hais", {"room_id": cast.lab["id"]}))["hais"] == []


async def test_an_order_without_an_ack_id_is_carried_out(cast, socket, ws):
    ada, grace = await socket(cast.ada), await ws(cast.grace)
    await ada.client.emit("send_hai", hai_order(cast.lab, 1))
    assert (await ada.fact("hai_sent"))["hai"]["text"] == "1"
    await grace.send(["send_hai", hai_order(cast.lab, 2)])
    assert (await ada.fact("hai_sent"))["hai"]["text"] == "2"


async def test_an_order_that_fails_inside_is_busy_and_logged(
    app, cast, any_socket, expect_log
):
    def break_down(core, who, name, payload):
        raise RuntimeError("broken")

    app.realtime.runner._run = break_down
    expect_log("an order failed")
    ada = await any_socket(cast.ada)
    assert (await ada.order("send_hai", {}))["error"]["code"] == "busy"


class TestLimits:
    """One session cannot keep the others waiting."""

    async def test_too_many_orders_are_refused(self, app, cast, any_socket):
        ada, grace = await any_socket(cast.ada), await any_socket(cast.grace)
        app.realtime.runner.limit.burst = 5
        app.realtime.runner.limit.per_second = 0
        acks = [
            await ada.order("start_typing", {"room_id": cast.lab["id"]})
            for _ in range(6)
        ]
        assert [ack.get("error", {}).get("code") for ack in acks] == [None] * 5 + [
            "rate_limited"
        ]
        assert "error" not in await grace.order(
            "start_typing", {"room_id": cast.lab["id"]}
        )

    @pytest.mark.parametrize("path", ["/ws", "/socket.io/?EIO=4&transport=websocket"])
    async def test_who_does_not_listen_is_closed(self, app, cast, path, monkeypatch):
        """The bucket refills all the while, and an order is admitted now and then."""
        monkeypatch.setattr("hai.realtime.orders.MAX_REFUSED", 100)
        raw = await Raw.open(app.port)
        await raw.upgrade(path, {"Authorization": f"Bearer {cast.ada.token}"})
        raw.send("[]" if path == "/ws" else "40")
        app.realtime.runner.limit.burst = 10
        app.realtime.runner.limit.per_second = 50  # fewer than even a slow client sends
        closing = asyncio.ensure_future(raw.close_code())
        order = '["unknown",{}]' if path == "/ws" else '42["unknown",{}]'
        while not closing.done():
            for _ in range(5):
                raw.send(order)
            await asyncio.sleep(0.002)
        assert await closing == 1008
        raw.close()

    async def test_who_does_not_listen_over_polling_is_told(
        self, app, cast, client, monkeypatch
    ):
        """The session ends within the POST, which is not answered with 200."""
        monkeypatch.setattr("hai.realtime.orders.MAX_REFUSED", 100)
        ada = client(cast.ada)
        path = "/socket.io/?EIO=4&transport=polling"
        sid = (await ada.get(path)).text.split('"')[3]
        assert (await ada.post(f"{path}&sid={sid}", body=b"40")).status == 200
        app.realtime.runner.limit.burst = 10
        app.realtime.runner.limit.per_second = 0
        orders = "\x1e".join(['42["unknown",{}]'] * 400)
        answer = await ada.post(f"{path}&sid={sid}", body=orders.encode())
        assert answer.status == 400
        assert app.realtime.socket_count == 0

    async def test_long_orders_cost_more(self, app, cast, any_socket):
        """A hai's length counts, and what is no order is not parsed in vain."""
        ada = await any_socket(cast.ada)
        app.realtime.runner.limit.burst = 50
        app.realtime.runner.limit.per_second = 0
        codes = []
        for number in range(20):
            hai = hai_order(cast.lab, number, text="x" * 3900)
            ack = await ada.order("send_hai", hai)
            codes.append(ack.get("error", {}).get("code"))
        assert codes == [None] * 12 + ["rate_limited"] * 8

    @pytest.mark.parametrize("rate_limits", [True, False])
    async def test_bulk_is_refused_unparsed(self, app, cast, socket, rate_limits):
        app.realtime.runner.limit.is_on = rate_limits
        ada = await socket(cast.ada)
        app.realtime.runner.limit.burst = 50
        order = ("send_hai", hai_order(cast.lab, 1, text="x" * 100_000))
        code = "rate_limited" if rate_limits else "text_too_long"
        assert (await ada.order(*order))["error"]["code"] == code

    async def test_bulk_on_the_native_endpoint_is_a_mistake(self, app, cast, ws):
        ada = await ws(cast.ada)
        app.realtime.runner.limit.burst = 50
        await ada.send(["send_hai", hai_order(cast.lab, 1, text="x" * 100_000), 1])
        assert (await ada.fact("error"))["code"] == "rate_limited"

    @pytest.mark.parametrize("packet", ["40", "41", "40/eliza,", "41/eliza,"])
    async def test_coming_and_going_has_a_limit(self, app, cast, packet):
        """CONNECT and DISCONNECT are no orders, and cost more."""
        app.realtime.runner.limit.per_second = 0
        raw = await Raw.open(app.port)
        headers = {"Authorization": f"Bearer {cast.ada.token}"}
        await raw.upgrade("/socket.io/?EIO=4&transport=websocket", headers)
        for _ in range(1000):
            raw.send(packet)
        assert await raw.close_code() == 1008
        raw.close()

    async def test_orders_in_flight_are_bounded(self, app, cast, ws, monkeypatch):
        """Beyond the bound the socket is not read; nothing is lost."""
        monkeypatch.setattr("hai.realtime.orders.MAX_IN_FLIGHT", 4)
        seen = []
        run = app.realtime.runner._run

        def watch(core, who, name, payload):
            seen.append(app.realtime.runner.in_flight)
            return run(core, who, name, payload)

        app.realtime.runner._run = watch
        ada = await ws(cast.ada)
        orders = [ada.order("send_hai", hai_order(cast.lab, n)) for n in range(100)]
        acks = await asyncio.gather(*orders)
        assert max(seen) <= 4
        assert [ack["hai"]["text"] for ack in acks] == [str(n) for n in range(100)]


PAGES = [("get_hais", {}), ("get_changes", {"since_rev": 0})]


def asked_for(room, payload):
    return payload or {"room_id": room["id"]}


SOCKETS = ["/ws", "/socket.io/?EIO=4&transport=websocket"]


async def order_by_hand(app, person, path, *orders):
    raw = await Raw.open(app.port)
    await raw.upgrade(path, {"Authorization": f"Bearer {person.token}"})
    if path != "/ws":
        raw.send("40")
    for order in orders:
        raw.send(("" if path == "/ws" else "42") + json.dumps(order))
    return raw


@pytest.fixture(params=[*SOCKETS, "polling"])
def ask_and_leave(request, app, socket):
    """`await ask_and_leave(person, order, payload)` returns how to hang up.

    Without a word of goodbye, as when a phone is out of reach or a browser dies.
    """

    async def by_polling(person, name, payload):
        client = await socket(person, "polling")
        asking = asyncio.create_task(client.order(name, payload))

        async def leave():
            asking.cancel()
            await client.close()

        return leave

    async def by_websocket(person, *order):
        raw = await order_by_hand(app, person, request.param, order)

        async def leave():
            raw.close()

        return leave

    return by_polling if request.param == "polling" else by_websocket


@pytest.mark.parametrize(("name", "payload"), PAGES)
async def test_a_page_that_waits_is_dropped_when_its_client_hangs_up(
    app, cast, ask_and_leave, name, payload
):
    async with held(app.core.db), held(app.core.db, is_slow=False):
        leave = await ask_and_leave(cast.ada, name, asked_for(cast.lab, payload))
        await until(lambda: waiting(app.core.db) == 1)
        await leave()
        await until(lambda: waiting(app.core.db) == 0)
    await until(lambda: not app.realtime.runner.in_flight)
    await until(lambda: not app.realtime.socket_count)


async def test_a_page_that_is_read_is_interrupted_when_its_client_hangs_up(
    app, cast, ask_and_leave, monkeypatch
):
    readers = app.core.db.readers
    page = Endless()
    monkeypatch.setattr(hai_rows, "newest", page)
    leave = await ask_and_leave(cast.ada, "get_hais", {"room_id": cast.lab["id"]})
    await until(page.begun.is_set)
    await leave()
    await until(lambda: readers.unwanted_count == 1)
    await until(lambda: readers.running_count == 0)


@pytest.mark.parametrize("path", SOCKETS)
async def test_what_was_ordered_behind_that_page_is_carried_out(
    app, cast, ws, monkeypatch, path
):
    page_read = Endless()
    monkeypatch.setattr(hai_rows, "newest", page_read)
    grace = await ws(cast.grace)
    goodbye = hai_order(cast.lab, 1)
    page = ("get_hais", {"room_id": cast.lab["id"]})
    raw = await order_by_hand(app, cast.ada, path, page, ("send_hai", goodbye))
    await until(page_read.begun.is_set)
    raw.close()
    heard = await grace.fact("hai_sent", timeout_s=PATIENCE_S)
    assert heard["hai"]["text"] == "1"


async def test_pages_of_many_sockets_of_one_person_wait_in_one_line(
    app, cast, any_socket, monkeypatch
):
    order, newest = [], hai_rows.newest

    def noted(room_id, *args, **names):
        order.append(room_id)
        return newest(room_id, *args, **names)

    monkeypatch.setattr(hai_rows, "newest", noted)
    lab, lounge = {"room_id": cast.lab["id"]}, {"room_id": cast.lounge["id"]}
    adas = [await any_socket(cast.ada) for _ in range(3)]
    linus = await any_socket(cast.linus)
    async with held(app.core.db):  # one thread is left
        async with held(app.core.db, is_slow=False):
            pages = [asyncio.create_task(ada.order("get_hais", lab)) for ada in adas]
            await until(lambda: waiting(app.core.db) == 3)
            pages.append(asyncio.create_task(linus.order("get_hais", lounge)))
            await until(lambda: waiting(app.core.db) == 4)
        await asyncio.gather(*pages)
    assert order == [lab["room_id"], lounge["room_id"], lab["room_id"], lab["room_id"]]


@pytest.fixture
def dear(monkeypatch):
    """Every read counts, there is next to no reserve, and none comes back."""
    monkeypatch.setattr(read_budget, "FREE_MS", 0)
    monkeypatch.setattr(read_budget, "RESERVE_MS", 0.001)
    monkeypatch.setattr(read_budget, "MS_PER_S", 0)


async def test_who_has_read_too_much_is_refused_pages_and_nothing_else(
    dear, cast, any_socket
):
    ada, grace = await any_socket(cast.ada), await any_socket(cast.grace)
    await ada.order("get_changes", {"since_rev": 0})
    for name, payload in PAGES:
        ack = await ada.order(name, asked_for(cast.lab, payload))
        assert ack["error"]["code"] == "rate_limited"
    assert "hai" in await ada.order("send_hai", hai_order(cast.lab, 1))
    assert "hais" in await grace.order("get_hais", asked_for(cast.lab, {}))
