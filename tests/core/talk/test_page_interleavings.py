"""The page's own models agree with the server in any interleaving.

As test_interleavings.py, but for what ships: static/js/models runs in Node
(tests/js/page_peer.js) and hears facts late and twice, loses its socket, and asks. Each
answer is one moment of the database; facts of before and after overtake it on its way.
`--seed` begins with other interleavings than those of every day.
"""

import json
import subprocess
from contextlib import contextmanager

import pytest

from hai.cli.check import node
from hai.core.talk import first_state
from tests.core.talk.test_interleavings import ACTS, FEW, MANY, ORDERS, snapshot
from tests.core.talk.test_interleavings import stages as stages  # a fixture
from tests.view import comparable

OVERTAKING = 3  # facts at most that overtake one answer


class Peer:
    """A page's models in Node."""

    def __init__(self, process):
        self.process = process
        self.asked = []  # [id, name, payload], not yet answered
        self.shown = None

    def tell(self, **line):
        """Returns when it is at rest; what it asks is in `asked`."""
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()
        for answer in map(json.loads, self.process.stdout):
            if "rest" in answer:
                return
            if "order" in answer:
                self.asked.append(answer["order"])
            else:
                self.shown = answer["shown"]
        raise AssertionError("the models have failed: see what Node said")

    def show(self):
        self.tell(show=True)
        return self.shown


@contextmanager
def peer_in_node():
    command = [node(), "tests/js/page_peer.js"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as process:
        yield Peer(process)
        process.stdin.close()


@pytest.fixture(scope="module")
def peer():
    with peer_in_node() as peer:
        yield peer


class Journey:
    """One page's way: what reaches it, and in which order."""

    def __init__(self, stage, peer):
        self.stage, self.peer, self.dice = stage, peer, stage.dice
        self.on_the_way = []  # answers: [id, answer, facts that may overtake it]
        self.is_up = True

    async def begin(self):
        is_member = await self.is_member()
        self.opened = self.stage.room["id"] if is_member else None
        state = await self.first_state(self.opened)
        self.peer.tell(begin=state)
        await self.answer_all_asked()

    async def is_member(self):
        return self.stage.reader.id in self.stage.directory.members(
            self.stage.room["id"]
        )

    async def first_state(self, room_id):
        core, identity = self.stage.core, self.stage.reader.identity
        if room_id is None:
            return await first_state.for_user(core, identity)
        return await first_state.for_room(core, identity, room_id)

    async def answer_all_asked(self):
        """Each as the database is now; it arrives later."""
        while self.peer.asked:
            order_id, name, payload = self.peer.asked.pop(0)
            answer = await self.answer_to(name, payload)
            self.on_the_way.append([order_id, answer, self.dice.randint(0, OVERTAKING)])

    async def answer_to(self, name, payload):
        if name == "first_state":
            room_id = payload.get("room_id")
            if room_id is not None and not await self.is_member():
                return {}
            return {"first": await self.first_state(room_id)}
        if name == "people":
            core = self.stage.core
            found = await core.db.read(first_state.users, core, payload["ids"])
            return {"users": found}
        if name == "get_changes":
            payload["limit"] = self.dice.choice([1, 3, 200])
        answer = await self.stage.order(self.stage.reader, name, **payload)
        return answer or {"hais": [], "has_more": False}

    async def hear(self, count):
        """The next facts in their order, some twice; answers in between."""
        for _ in range(min(count, len(self.stage.untold))):
            fact = self.stage.untold.popleft()
            for _ in range(self.dice.choice([1, 1, 1, 2])):
                self.peer.tell(fact=[fact.name, fact.payload()])
                await self.answer_all_asked()
            for way in self.on_the_way:
                way[2] -= 1
            await self.arrive(lambda way: way[2] < 0)

    async def arrive(self, is_there):
        """Acks of one socket keep their order among each other."""
        while self.on_the_way and is_there(self.on_the_way[0]):
            order_id, answer, _ = self.on_the_way.pop(0)
            self.peer.tell(ack=[order_id, answer])
            await self.answer_all_asked()

    async def fall(self):
        self.is_up = False
        self.stage.untold.clear()  # what was told to a lost connection
        self.on_the_way.clear()
        self.peer.tell(fell=True)

    async def rise(self):
        self.is_up = True
        self.stage.untold.clear()
        self.peer.tell(up=True)
        await self.answer_all_asked()

    async def scroll_or_read(self):
        """What the reader does; a marker is shown before the server has it."""
        hais = self.peer.show().get("hais")
        if not hais:
            return
        if self.dice.random() < 0.5:
            self.peer.tell(load=self.dice.choice(["before", "after"]))
            await self.answer_all_asked()
            return
        hai_id = self.dice.choice(hais)["id"]
        self.peer.tell(read=hai_id)
        await self.answer_all_asked()
        room_id = self.stage.room["id"]
        await self.stage.order(
            self.stage.reader, "mark_read", room_id=room_id, hai_id=hai_id
        )

    async def end(self):
        if not self.is_up:
            await self.rise()
        while self.stage.untold or self.on_the_way:
            await self.hear(len(self.stage.untold))
            await self.arrive(lambda way: True)


@pytest.mark.parametrize("fact", ACTS, ids=lambda fact: fact.name)
async def test_few_interleavings(stages, peer, seed, fact):
    await check_interleavings(stages, peer, fact, FEW, seed)


@pytest.mark.slow
@pytest.mark.gen_test(timeout=1800)
@pytest.mark.parametrize("fact", ACTS, ids=lambda fact: fact.name)
async def test_many_interleavings(stages, peer, seed, fact):
    await check_interleavings(stages, peer, fact, MANY, seed)


async def check_interleavings(stages, peer, fact, count, seed):
    told_count = 0
    for number in range(count):
        name = f"{seed} page {fact.name} {number}"
        stage = await stages(name)
        await one_interleaving(stage, Journey(stage, peer), ACTS[fact], name)
        told_count += stage.told_names.count(fact.name)
    assert told_count > count  # or it was no test of this fact


async def one_interleaving(stage, journey, act, name):
    dice, others = stage.dice, list(ACTS.values())
    begins_at = dice.randrange(ORDERS)
    away_at = dice.randrange(ORDERS)
    away = range(away_at, min(away_at + dice.randint(0, 6), ORDERS))
    subscribed_at = dice.randrange(begins_at + 1)
    for number in range(ORDERS):
        if number == subscribed_at:
            stage.untold.clear()
        if number == begins_at:
            await journey.begin()
        await dice.choice([act, dice.choice(others)])(stage)
        if number < begins_at:
            continue
        if number == away.start and away:
            await journey.fall()
        if number not in away:
            await journey.hear(dice.randint(0, 3))
            if dice.random() < 0.2:
                await journey.scroll_or_read()
        if away and number == away.stop - 1 and not journey.is_up:
            await journey.rise()
    await journey.end()
    await assert_same_view(stage, journey, name)


async def assert_same_view(stage, journey, name):
    shown, fresh = journey.peer.show(), await snapshot(stage)
    assert shown["isWhole"], name
    rooms = {room["id"]: comparable(room) for room in shown["rooms"]}
    assert marked(rooms) == marked(fresh.listed()), name
    company = stage.directory.company(stage.reader.id)
    for user in shown["users"]:
        wanted = fresh.users.get(user["id"])
        if wanted and user["id"] not in company:
            wanted["presence"] = user["presence"]
        assert wanted in (None, user), name
    if shown.get("hais") is not None:
        newest = fresh.shown(stage.room["id"])["hais"]
        receipts = fresh.receipts(stage.room["id"])
        assert shown["receipts"] == (receipts and as_json(receipts)), name
        assert shown["hais"] == newest[-len(shown["hais"]) or len(newest) :], name


def as_json(receipts):
    return {str(user_id): hai_id for user_id, hai_id in receipts.items()}


def marked(rooms):
    """No marker is the marker before all hais."""
    return {key: {"my_read_hai_id": 0} | room for key, room in rooms.items()}
