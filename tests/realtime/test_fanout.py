"""The fast fan-out equals python-socketio's plain manager, frame for frame."""

import asyncio
import random

import pytest
import socketio
from engineio import packet as eio

from hai.ids import room_room, user_room
from hai.realtime.directory import Directory
from hai.realtime.fanout import FanoutManager
from hai.realtime.wire.frames import frame
from hai.realtime.wire.outbox import (
    FEW_SOCKETS,
    NO_FRAMES,
    NO_NATIVE_FRAMES,
    NO_PAYLOAD,
    Fact,
    Flusher,
    Outbox,
    tell,
)
from hai.realtime.wire.packets import Packet

PEOPLE = range(1, 7)


class PlainSocket:
    """What the plain manager sends to: keeps each packet as a frame."""

    def __init__(self):
        self.frames = b""

    async def send(self, packet):
        data = packet.encode()
        binary = isinstance(data, bytes)
        self.frames += frame(data, 0x82) if binary else frame(data.encode())


class FastSocket(Outbox):
    """What ours tells to: keeps what the flush would write."""

    def __init__(self, flusher, root=NO_FRAMES):
        self.flusher, self.root, self.pending = flusher, root, root
        self.frames, self.writes = b"", 0

    async def send(self, packet):
        data = packet.encode()
        binary = isinstance(data, bytes)
        fact = Fact(data, is_binary=True) if binary else Fact(data.encode())
        self.push(fact)

    def flush(self):
        place, self.pending = self.pending, self.root
        if place is not self.root:
            self.frames += place.joined()
            self.writes += 1


class Server:
    """A python-socketio server whose sockets only keep what they are sent."""

    def __init__(self, manager, make_socket):
        self.sio = socketio.AsyncServer(
            client_manager=manager, serializer=Packet, async_mode="tornado"
        )
        self.sio.eio.send_packet = self.send_packet
        self.make_socket = make_socket
        self.sids = {}

    async def send_packet(self, eio_sid, packet):
        await self.sio.eio.sockets[eio_sid].send(packet)

    async def add(self, person, namespace):
        eio_sid = f"eio-{person}"
        self.sio.eio.sockets.setdefault(eio_sid, self.make_socket())
        sid = await self.sio.manager.connect(eio_sid, namespace)
        self.sids[person, namespace] = sid
        await self.sio.enter_room(sid, user_room(person), namespace)

    def frames(self):
        return [self.sio.eio.sockets[f"eio-{person}"].frames for person in PEOPLE]


DATA = [
    None,
    "text",
    "é\U0001f44b",
    {"a": [1, 2.5, None, True]},
    ("two", {"arguments": 1}),
    b"\0\1",
    {"attached": [b"\2", {"deep": b"\3"}]},
    "x" * 200,
    "x" * 70_000,
]


async def both(io_loop):
    directory = Directory()
    directory.load([(7, 1), (7, 2), (7, 3), (8, 6)])
    flusher = Flusher(io_loop.asyncio_loop)
    plain = Server(socketio.AsyncManager(), PlainSocket)
    fast = Server(FanoutManager(directory, flusher), lambda: FastSocket(flusher))
    for server in (plain, fast):
        for person in PEOPLE:
            await server.add(person, "/")
        for person in (2, 4):
            await server.add(person, "/other")
        for person in (1, 5):
            await server.sio.enter_room(server.sids[person, "/"], "club")
    return plain, fast, flusher


def resolved(room):
    """room:7 for the plain manager, which has no directory: its users' rooms."""
    return [user_room(user) for user in (1, 2, 3)] if room == room_room(7) else room


@pytest.mark.parametrize("namespace", ["/", "/other"])
async def test_every_emit_is_the_same_bytes_for_the_same_people(io_loop, namespace):
    plain, fast, flusher = await both(io_loop)
    random.seed(1)
    rooms = [None, "club", user_room(4), [user_room(1), "club"], room_room(7), "nobody"]
    for data in DATA * 3:
        room = random.choice(rooms)
        skipped = random.choice([None, 2])
        for server, to in ((plain, resolved(room)), (fast, room)):
            skip_sid = server.sids.get((skipped, namespace))
            await server.sio.emit(
                "event", data, room=to, skip_sid=skip_sid, namespace=namespace
            )
        if random.random() < 0.3:
            flusher.flush_now()
    flusher.flush_now()
    assert fast.frames() == plain.frames()
    assert any(plain.frames())


async def test_sends_to_a_sid_keep_their_place_among_emits(io_loop):
    plain, fast, flusher = await both(io_loop)
    for number in range(20):
        for server in (plain, fast):
            to = server.sids[1 + number % 3, "/"]
            await server.sio.emit("one", number, to=to)
            await server.sio.emit("all", number)
            packet = eio.Packet(eio.MESSAGE, f"raw {number}")
            await server.send_packet("eio-2", packet)
    flusher.flush_now()
    assert fast.frames() == plain.frames()


async def test_callbacks_work_as_in_the_plain_manager(io_loop):
    plain, fast, flusher = await both(io_loop)
    heard = []
    for server in (plain, fast):
        to = server.sids[3, "/"]
        await server.sio.emit("ask", 1, to=to, callback=heard.append)
        await server.sio.manager.trigger_callback(to, 1, ["yes"])
    flusher.flush_now()
    assert heard == ["yes", "yes"]
    assert fast.frames() == plain.frames()


async def test_rooms_are_as_in_the_plain_manager(io_loop):
    plain, fast, _ = await both(io_loop)
    for server in (plain, fast):
        await server.sio.leave_room(server.sids[5, "/"], "club")
        await server.sio.close_room("nobody")
        await server.sio.manager.disconnect(server.sids[1, "/"], "/")
        with pytest.raises(ValueError, match="sid room"):
            await server.sio.enter_room(server.sids[2, "/"], server.sids[3, "/"])
        with pytest.raises((ValueError, KeyError)):  # the plain one: KeyError
            await server.sio.enter_room(server.sids[1, "/"], "club")
    for person in PEOPLE:
        rooms = []
        for server in (plain, fast):
            sid = server.sids[person, "/"]
            rooms.append({"own" if r == sid else r for r in server.sio.rooms(sid)})
            assert server.sio.manager.is_connected(sid, "/") is (person != 1)
        assert rooms[0] == rooms[1] or person == 1
    assert list(fast.sio.manager.get_participants("/", "club")) == []
    assert list(plain.sio.manager.get_participants("/", "club")) == []


# --- The outbox ----------------------------------------------------------------------


async def test_one_write_a_turn_however_many_facts(io_loop):
    flusher = Flusher(io_loop.asyncio_loop)
    sockets = [FastSocket(flusher) for _ in range(10)]
    for number in range(20):
        tell(Fact(str(number).encode(), b"4"), sockets, flusher)
    sockets[3].push(Fact(b"mine"))
    while not all(socket.writes for socket in sockets):
        await asyncio.sleep(0)
    await asyncio.sleep(0.01)  # for a second one, if there were
    assert {socket.writes for socket in sockets} == {1}
    whole = b"".join(frame(f"4{number}".encode()) for number in range(20))
    assert sockets[0].frames == whole
    assert sockets[3].frames == whole + frame(b"mine")


async def test_sockets_that_wait_for_the_same_share_one_join(io_loop):
    flusher = Flusher(io_loop.asyncio_loop)
    sockets = [FastSocket(flusher) for _ in range(10)]
    for _ in range(5):
        tell(Fact(b"fact"), sockets, flusher)
    assert len({id(socket.pending) for socket in sockets}) == 1
    assert sockets[0].pending.joined() is sockets[9].pending.joined()


async def test_each_kind_of_socket_gets_its_own_form(io_loop):
    flusher = Flusher(io_loop.asyncio_loop)
    roots = (NO_FRAMES, NO_NATIVE_FRAMES, NO_PAYLOAD)
    sockets = [FastSocket(flusher, root) for root in roots]
    for number in range(2):
        tell(Fact(b"[%d]" % number, b"42"), sockets, flusher)
    flusher.flush_now()
    assert sockets[0].frames == frame(b"42[0]") + frame(b"42[1]")
    assert sockets[1].frames == frame(b"[0]") + frame(b"[1]")
    assert sockets[2].frames == b"42[0]\x1e42[1]"


async def test_a_cancelled_fact_is_not_written(io_loop):
    flusher = Flusher(io_loop.asyncio_loop)
    sockets = [FastSocket(flusher, root) for root in (NO_FRAMES, NO_NATIVE_FRAMES)]
    older, newer = Fact(b"[1]", b"42"), Fact(b"[2]", b"42")
    tell(older, sockets, flusher)
    tell(newer, sockets, flusher)
    older.cancel()
    flusher.flush_now()
    assert [socket.frames for socket in sockets] == [frame(b"42[2]"), frame(b"[2]")]


async def test_a_long_flush_yields_to_the_loop(io_loop, monkeypatch):
    monkeypatch.setattr("hai.realtime.wire.outbox.SLICE_S", 0)
    flusher = Flusher(io_loop.asyncio_loop)
    sockets = [FastSocket(flusher) for _ in range(1000)]
    tell(Fact(b"fact"), sockets, flusher)
    turns = 0
    while not all(socket.writes for socket in sockets):
        await asyncio.sleep(0)
        turns += 1
    assert turns > 1000 / 64


def busy_flusher(io_loop, last_flush_s=0.008):
    """One whose last flush took so long, so that the next turn takes half more."""
    flusher = Flusher(io_loop.asyncio_loop)
    flusher._spent_s = last_flush_s
    flusher._end_turn()
    return flusher


async def test_a_busy_flusher_lets_its_turns_grow(io_loop):
    began_s = io_loop.asyncio_loop.time()
    flusher = busy_flusher(io_loop)
    sockets = [FastSocket(flusher) for _ in range(FEW_SOCKETS + 1)]
    tell(Fact(b"fact"), sockets, flusher)
    while not sockets[-1].writes:
        await asyncio.sleep(0.001)
    assert io_loop.asyncio_loop.time() - began_s >= 0.0119


async def test_a_small_room_does_not_wait_for_a_large_one(io_loop, monkeypatch):
    """By express; who is in both rooms gets all of it, in order, at once."""
    monkeypatch.setattr(
        "hai.realtime.wire.outbox.MAX_TURN_S", 600
    )  # however slow we are
    flusher = busy_flusher(io_loop, last_flush_s=400)
    sockets = [FastSocket(flusher) for _ in range(FEW_SOCKETS + 1)]
    tell(Fact(b"1"), sockets, flusher)
    tell(Fact(b"2"), sockets[:2], flusher)
    for _ in range(5):
        await asyncio.sleep(0)
    assert [socket.frames for socket in sockets[:2]] == [frame(b"1") + frame(b"2")] * 2
    assert not sockets[2].writes
    flusher.flush_now()
    assert {socket.frames for socket in sockets[2:]} == {frame(b"1")}


async def test_one_bad_socket_stops_nobody_at_the_end(io_loop, expect_log):
    flusher = Flusher(io_loop.asyncio_loop)
    sockets = [FastSocket(flusher) for _ in range(3)]
    sockets[1].flush = None
    tell(Fact(b"last"), sockets, flusher)
    expect_log("a socket could not be flushed")
    flusher.flush_now()
    assert [socket.frames for socket in sockets] == [
        frame(b"last"),
        b"",
        frame(b"last"),
    ]


# --- The directory -------------------------------------------------------------------


def test_facts_told_while_loading_are_not_lost():
    from hai.events import RoomChanged, RoomRemoved

    directory = Directory()
    directory.apply(RoomChanged({"id": 7}, joined=(1, 2)))
    directory.apply(RoomRemoved(7, 1))
    directory.apply(RoomChanged({"id": 7}, left=(1,)))
    directory.load([(7, 1), (7, 3)])
    assert directory.members(7) == {2, 3}
    directory.apply(RoomChanged({"id": 7}, joined=(1,)))
    assert directory.members(7) == {1, 2, 3}
    assert directory.company(1) == {1, 2, 3}
    assert directory.members(99) == set()


def test_large_rooms_are_no_company():
    directory = Directory()
    directory.load([(7, user) for user in range(101)] + [(8, 1), (8, 2)])
    assert directory.company(1) == {1, 2}
