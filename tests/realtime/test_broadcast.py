"""The way of a fact, beside the plain way: python-socketio's manager and its rooms.

The same facts go to `Broadcast`, which resolves a room through the directory and the
open tabs, and to a plain `AsyncManager` in which each tab is in `user:<id>` only. Each
tab must hear the same bytes, in the form of its transport.
"""

import random

import pytest
import socketio

from hai.bus import Bus
from hai.core.identity.sessions import Identity
from hai.events import (
    HaiChanged,
    HaiSent,
    PresenceChanged,
    ReadMarked,
    RoomChanged,
    RoomRemoved,
    TypingStarted,
    UserChanged,
)
from hai.ids import user_room
from hai.realtime.broadcast import Broadcast
from hai.realtime.directory import Directory
from hai.realtime.presence import Tab, Tabs
from hai.realtime.wire.frames import frame
from hai.realtime.wire.outbox import (
    FEW_SOCKETS,
    NO_FRAMES,
    NO_NATIVE_FRAMES,
    NO_PAYLOAD,
    Flusher,
)
from hai.realtime.wire.packets import AckCache, Packet
from tests.realtime.test_presence import Watcher

SMALL, LARGE = 7, 8
PEOPLE = range(1, 2 * FEW_SOCKETS)
ROOTS = (NO_FRAMES, NO_NATIVE_FRAMES, NO_PAYLOAD)
ROUNDS = 400


class Listener(Tab):
    """A tab that keeps what the flush would write."""

    def __init__(self, user_id, root, flusher):
        self.identity = Identity(user_id, user_id, "member", "person")
        self.root = self.pending = root
        self.flusher = flusher
        self.written = []

    def flush(self):
        place, self.pending = self.pending, self.root
        if place is not self.root:
            self.written.append(place.joined())

    @property
    def heard(self):
        return (b"\x1e" if self.root is NO_PAYLOAD else b"").join(self.written)


class Reference:
    """The plain manager, and who is a member where in its own words."""

    def __init__(self):
        self.sio = socketio.AsyncServer(serializer=Packet, async_mode="tornado")
        self.sio.eio.send_packet = self.keep
        self.packets = {}
        self.members = {SMALL: {1, 2, 3}, LARGE: set(PEOPLE)}

    async def keep(self, eio_sid, packet):
        self.packets[eio_sid].append(packet.encode().encode())

    async def connect(self, eio_sid, user_id):
        self.packets[eio_sid] = []
        sid = await self.sio.manager.connect(eio_sid, "/")
        await self.sio.enter_room(sid, user_room(user_id))
        return sid

    async def tell(self, event):
        if isinstance(event, RoomChanged):
            members = self.members[event.room["id"]]
            members |= set(event.joined)
            members -= set(event.left)
        rooms = [user_room(user_id) for user_id in self.audience(event)]
        if rooms:
            await self.sio.emit(event.name, event.payload(), room=rooms)

    def audience(self, event):
        match event:
            case HaiSent() | HaiChanged():
                return self.members[event.hai["room_id"]]
            case RoomChanged():
                return self.members[event.room["id"]]
            case TypingStarted():
                return self.members[event.room_id] - {event.user_id}
            case UserChanged():
                return PEOPLE
            case PresenceChanged():
                rooms = self.members.values()
                near = [r for r in rooms if event.user_id in r and len(r) <= 100]
                return {event.user_id}.union(*near)
            case _:
                return {event.user_id}

    def heard(self, eio_sid, root):
        packets = self.packets[eio_sid]
        if root is NO_PAYLOAD:
            return b"\x1e".join(packets)
        if root is NO_NATIVE_FRAMES:
            packets = [packet.removeprefix(b"42") for packet in packets]
        return b"".join(map(frame, packets))


def something(chance, number, members):
    """The next fact, and what the reference's members become of it."""
    room_id, user_id = chance.choice((SMALL, LARGE)), chance.choice(PEOPLE)
    hai = {"id": number, "room_id": room_id, "text": "γεια " * chance.randrange(60)}
    room = {"id": room_id, "kind": "open"}
    return chance.choice(
        [
            HaiSent(hai),
            HaiSent(hai),
            HaiChanged(hai),
            RoomChanged(room, joined=(user_id,)),
            RoomChanged(room, left=(user_id,)),
            RoomRemoved(room_id, user_id),
            UserChanged({"id": user_id, "role": "member"}),
            ReadMarked(room_id, user_id, number),
            TypingStarted(room_id, user_id),
            PresenceChanged(user_id, "online"),
        ]
    )


class Both:
    def __init__(self, loop):
        self.flusher = Flusher(loop)
        directory = Directory()
        self.tabs = Tabs(directory, Watcher())
        self.bus = Bus()
        Broadcast(
            self.bus,
            directory=directory,
            tabs=self.tabs,
            flusher=self.flusher,
            ack_cache=AckCache(),
        )
        self.reference = Reference()
        members = self.reference.members
        directory.load((room, user) for room in members for user in members[room])
        self.listeners = {}  # eio_sid -> (ours, the reference's sid)
        self.gone = []

    async def connect(self, user_id, root):
        eio_sid = f"eio-{len(self.listeners) + len(self.gone)}"
        tab = Listener(user_id, root, self.flusher)
        self.tabs.enter(tab, user_id)
        self.listeners[eio_sid] = tab, await self.reference.connect(eio_sid, user_id)

    async def disconnect(self, eio_sid):
        tab, sid = self.listeners.pop(eio_sid)
        self.tabs.leave(tab, tab.identity.user_id)
        await self.reference.sio.manager.disconnect(sid, "/")
        self.gone.append((eio_sid, tab))

    async def tell(self, event):
        """RoomRemoved follows the RoomChanged that says so, as in core."""
        if isinstance(event, RoomRemoved):
            left = RoomChanged({"id": event.room_id}, left=(event.user_id,))
            await self.reference.tell(left)
            self.bus.publish(left)
        self.bus.publish(event)
        await self.reference.tell(event)


@pytest.mark.parametrize("seed", range(3))
async def test_each_tab_hears_what_the_plain_manager_says(io_loop, seed):
    chance = random.Random(seed)
    both = Both(io_loop.asyncio_loop)
    for user_id in PEOPLE:
        for _ in range(1 + user_id % 3):
            await both.connect(user_id, chance.choice(ROOTS))
    for number in range(ROUNDS):
        await both.tell(something(chance, number, both.reference.members))
        match chance.randrange(20):
            case 0:
                both.flusher._flush_express()
            case 1:
                both.flusher.flush_now()
            case 2:
                await both.connect(chance.choice(PEOPLE), chance.choice(ROOTS))
            case 3:
                await both.disconnect(chance.choice([*both.listeners]))
    both.flusher.flush_now()
    ours = [(sid, tab) for sid, (tab, _) in both.listeners.items()] + both.gone
    for eio_sid, tab in ours:
        assert tab.heard == both.reference.heard(eio_sid, tab.root)
    roots_heard = {tab.root for _, tab in ours if tab.heard}
    assert roots_heard == set(ROOTS)
