"""State and facts agree in any interleaving: for every kind of fact, by chance.

Somebody subscribes, takes a snapshot at any moment after that, hears the facts late,
some of them twice, is away for a while, and catches up now and then in pages of any
size, which are ahead of the facts still to come. In the end the view equals a snapshot
taken afresh.
"""

import asyncio
import random
from collections import deque

import pytest

from hai import errors, events
from hai.core.identity import sessions
from hai.core.people import accounts
from hai.core.pictures import avatars
from hai.realtime.directory import Directory
from hai.storage import rooms as room_rows
from tests.factories import give_avatar, make_hai, make_room, order
from tests.view import fresh_view

FEW, MANY = 20, 1000  # interleavings of each fact; many with --slow
ORDERS = 14  # in each, about half of them of the kind that is tested
HAIS = 4  # in the room before; with all that are sent no more than a first state holds


class Stage:
    """One room, who is in it, and what one reader of it hears."""

    def __init__(self, core, cast, dice):
        self.core = core
        self.people = [cast.ada, cast.grace, cast.linus]
        self.reader = dice.choice([cast.grace, cast.linus])
        self.dice = dice
        self.hais = []
        self.untold = deque()  # facts on their way to the reader
        self.told_names = []
        self.directory = Directory()
        self.directory.load(core.db.read_now(room_rows.all_memberships))

    async def set_up(self):
        self.room = await make_room(self.core, *self.people, name="Busy")
        self.directory.load(self.core.db.read_now(room_rows.all_memberships))
        if self.dice.random() < 0.8:
            await self.order(
                self.people[0],
                "change_room",
                room_id=self.room["id"],
                has_receipts=True,
            )
        for _ in range(HAIS):
            await send(self)

    def publish(self, fact):
        """As the sockets are told: to those who are members when it is published."""
        if isinstance(fact, events.RoomChanged | events.RoomRemoved):
            self.directory.apply(fact)
        self.told_names.append(fact.name)
        if self.is_for_reader(fact.audience()):
            self.untold.append(fact)

    def is_for_reader(self, to):
        me = self.reader.id
        if to.kind in ("room", "room_but"):
            return me in self.directory.members(to.id) and me != to.but_user_id
        return {
            "user": to.id == me,
            "session": to.id == self.reader.identity.session_id,
            "everyone": True,
            "user_and_small_rooms": me in self.directory.company(to.id),
        }[to.kind]

    def anyone(self):
        return self.dice.choice(self.people)

    def a_hai(self):
        return self.dice.choice(self.hais)

    async def order(self, person, name, **payload):
        """An order that may be refused: its author has left, its hai is deleted."""
        try:
            return await order(self.core, person, name, payload)
        except (errors.Forbidden, errors.NotFound):
            return None


# --- What brings each fact about -----------------------------------------------------


async def send(stage):
    person = stage.anyone()
    if person.id in stage.directory.members(stage.room["id"]):
        text = f"number {len(stage.hais)}"
        stage.hais.append(await make_hai(stage.core, person, stage.room, text))


async def change_a_hai(stage):
    hai, person = stage.a_hai(), stage.anyone()
    name = stage.dice.choice(
        ["edit_hai", "delete_hai", "add_reaction", "remove_reaction"]
    )
    payload = {"hai_id": hai["id"]}
    if name == "edit_hai":
        payload["text"] = f"better {stage.dice.random()}"
    elif name != "delete_hai":
        payload["emoji"] = stage.dice.choice("🌊🐟")
    await stage.order(person, name, **payload)


async def change_the_room(stage):
    new = {"topic": f"about {stage.dice.random()}"}
    if stage.dice.random() < 0.4:
        new = {"has_receipts": stage.dice.choice([True, True, False])}
    await stage.order(stage.people[0], "change_room", room_id=stage.room["id"], **new)


async def come_and_go(stage):
    """The reader leaves, is removed, joins or is added."""
    room_id, reader, owner = stage.room["id"], stage.reader, stage.people[0]
    is_member = reader.id in stage.directory.members(room_id)
    person = stage.dice.choice([owner, reader])
    name = ("add_member", "remove_member")[is_member]
    if person is owner:
        await stage.order(owner, name, room_id=room_id, user_id=reader.id)
    else:
        name = ("join_room", "leave_room")[is_member]
        await stage.order(reader, name, room_id=room_id)


async def change_a_user(stage):
    person = stage.anyone()
    identity = person.identity
    if stage.dice.random() < 0.3:
        await give_avatar(stage.core, person, stage.dice.randbytes(8))
        return
    if stage.dice.random() < 0.2:
        await avatars.remove(stage.core, identity)
        return
    display_name = f"Countess {stage.dice.randint(1, 1000)}"
    await accounts.change_profile(stage.core, identity, display_name=display_name)


async def mark_read(stage):
    person = stage.dice.choice([stage.reader, stage.anyone()])
    hai_id = stage.a_hai()["id"]
    await stage.order(person, "mark_read", room_id=stage.room["id"], hai_id=hai_id)


async def type_something(stage):
    await stage.order(stage.anyone(), "start_typing", room_id=stage.room["id"])


async def connect_or_disconnect(stage):
    presence = stage.core.presence
    person = stage.anyone()
    if presence.of(person.id) == "online":
        presence.grace_s = 0
        presence.disconnected(person.id)
        await asyncio.sleep(0.001)
    else:
        presence.connected(person.id)


async def end_a_session(stage):
    """Another one than the reader's own, which nobody else is told of."""
    person = stage.anyone()
    token = await sessions.start(stage.core, person.id, "browser", "Test/1.0")
    identity = sessions.find(stage.core, token)
    await sessions.end(stage.core, person.id, identity.session_id)


async def begin_a_session(stage):
    person = stage.dice.choice([stage.reader, stage.anyone()])
    agent = f"Firefox/{stage.dice.random()} Linux"  # one that is new
    await sessions.start(stage.core, person.id, "browser", agent)


ACTS = {
    events.HaiSent: send,
    events.HaiChanged: change_a_hai,
    events.RoomChanged: change_the_room,
    events.RoomRemoved: come_and_go,
    events.UserChanged: change_a_user,
    events.ReadMarked: mark_read,
    events.TypingStarted: type_something,
    events.PresenceChanged: connect_or_disconnect,
    events.SessionEnded: end_a_session,
    events.SessionStarted: begin_a_session,
}


def test_every_fact_has_a_row():
    assert set(ACTS) == set(events.FACTS)


# --- The interleavings ---------------------------------------------------------------


@pytest.fixture
def stages(core, cast):
    """`await stages(seed)`: a stage of its own; the last one hears the facts."""
    current = []

    def publish(fact):
        if current:
            current[-1].publish(fact)

    for fact in events.FACTS:
        core.bus.subscribe(fact, publish)

    async def make(seed):
        current.append(Stage(core, cast, random.Random(seed)))
        await current[-1].set_up()
        return current[-1]

    return make


@pytest.mark.parametrize("fact", ACTS, ids=lambda fact: fact.name)
async def test_few_interleavings(stages, seed, fact):
    await check_interleavings(stages, fact, FEW, seed)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=900)
@pytest.mark.parametrize("fact", ACTS, ids=lambda fact: fact.name)
async def test_many_interleavings(stages, seed, fact):
    await check_interleavings(stages, fact, MANY, seed)


async def check_interleavings(stages, fact, count, seed):
    told_count = 0
    for number in range(count):
        name = f"{seed}{fact.name} {number}"
        stage = await stages(name)
        await one_interleaving(stage, ACTS[fact], name)
        told_count += stage.told_names.count(fact.name)
    assert told_count > count  # or it was no test of this fact


async def one_interleaving(stage, act, seed):
    dice, others = stage.dice, list(ACTS.values())
    subscribed_at = dice.randrange(ORDERS)
    snapshot_at = dice.randrange(subscribed_at, ORDERS)
    away_at = dice.randrange(ORDERS)
    away = range(away_at, min(away_at + dice.randint(0, 6), ORDERS))
    view = None
    for number in range(ORDERS):
        if number == subscribed_at:
            stage.untold.clear()
        if number == snapshot_at:
            view = await snapshot(stage)
        await dice.choice([act, dice.choice(others)])(stage)
        if view and number not in away:
            await hear_some(stage, view, dice.randint(0, 3))
            if dice.random() < 0.15:
                await catch_up(stage, view)
        if view and away and number == away.stop - 1:
            stage.untold.clear()  # what was told to a lost connection
            await catch_up(stage, view)
    await hear_some(stage, view, len(stage.untold))
    await catch_up(stage, view)
    await assert_same_view(stage, view, seed)


async def snapshot(stage):
    is_member = stage.reader.id in stage.directory.members(stage.room["id"])
    return await fresh_view(stage.core, stage.reader, stage.room if is_member else None)


async def hear_some(stage, view, count):
    """The next facts, in their order; some of them arrive twice."""
    for _ in range(min(count, len(stage.untold))):
        fact = stage.untold.popleft()
        for _ in range(stage.dice.choice([1, 1, 1, 2])):
            await hear(stage, view, fact)


async def hear(stage, view, fact):
    """A room that is new here has more to it than its fact: that is asked for."""
    rooms = set(view.rooms)
    view.hear(fact.name, fact.payload())
    for room_id in view.rooms.keys() - rooms:
        await catch_up(stage, view)
        await get_history(stage, view, room_id)


async def catch_up(stage, view):
    has_more = True
    while has_more:
        payload = {"since_rev": view.rev, "epoch": view.epoch}
        payload["limit"] = stage.dice.choice([1, 2, 5, 500])
        page = await order(stage.core, stage.reader, "get_changes", payload)
        known = view.rooms.keys() - page["removed_room_ids"]
        view.catch_up(page)
        for room_id in view.rooms.keys() - known:
            await get_history(stage, view, room_id)
        has_more = page["has_more"]


async def get_history(stage, view, room_id):
    page = await stage.order(stage.reader, "get_hais", room_id=room_id, limit=100)
    for hai in page["hais"] if page else ():
        view.merge_hai(hai)


async def assert_same_view(stage, view, seed):
    """Presence is known of those with whom one is in a small room: with a stranger it
    is as it was when they were met.
    """
    fresh = await snapshot(stage)
    room_id = stage.room["id"]
    assert view.listed() == fresh.listed(), seed
    assert view.shown(room_id) == fresh.shown(room_id), seed
    for user_id in view.users.keys() & fresh.users.keys():
        user, wanted = view.users[user_id], fresh.users[user_id]
        if user_id not in stage.directory.company(stage.reader.id):
            wanted["presence"] = user["presence"]
        assert user == wanted, seed


# --- What chance found ---------------------------------------------------------------


@pytest.mark.parametrize("limit", [1, 500])
async def test_who_left_and_came_back_while_away_drops_what_changed(core, cast, limit):
    """Nobody told them of it, so the room comes as one that is new to them."""
    lounge = cast.lounge
    changed = await make_hai(core, cast.ada, lounge, "as it was")
    view = await fresh_view(core, cast.grace, lounge)
    await order(core, cast.grace, "leave_room", {"room_id": lounge["id"]})
    payload = {"hai_id": changed["id"], "text": "as it is"}
    await order(core, cast.ada, "edit_hai", payload)
    await order(core, cast.grace, "join_room", {"room_id": lounge["id"]})
    later = await make_hai(core, cast.ada, lounge, "later")
    topic = {"room_id": lounge["id"], "topic": "the newest row of all"}
    await order(core, cast.ada, "change_room", topic)
    has_more = True
    while has_more:
        payload = {"since_rev": view.rev, "epoch": view.epoch, "limit": limit}
        page = await order(core, cast.grace, "get_changes", payload)
        view.catch_up(page)
        has_more = page["has_more"]
    assert view.shown(lounge["id"])["hais"] == [later]
    assert view.listed() == (await fresh_view(core, cast.grace)).listed()


async def test_an_edited_hai_that_comes_after_a_later_one_is_unread_too(core, cast):
    view = await fresh_view(core, cast.grace, cast.lab)
    hais = [await make_hai(core, cast.ada, cast.lab) for _ in range(2)]
    payload = {"hai_id": hais[0]["id"], "text": "better"}
    await order(core, cast.ada, "edit_hai", payload)
    payload = {"since_rev": view.rev, "epoch": view.epoch}
    view.catch_up(await order(core, cast.grace, "get_changes", payload))
    assert view.rooms[cast.lab["id"]]["unread"] == 2
