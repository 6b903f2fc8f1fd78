"""Whatever happens to the connections, every client ends up with the same picture.

    python -m tests.durability.cuts --cuts 10000 --seed 7

Watchers on /ws, Socket.IO and polling keep a `View` behind a bad network. After each
cut they subscribe, ask for the changes since what they know, and merge. Meanwhile
others send, edit, delete, react, join, leave, invite and remove, and the server
restarts.
"""

import argparse
import asyncio
import json
import random
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress

from tests.durability import swarm
from tests.durability.proxy import Proxy
from tests.durability.stage import stage
from tests.durability.swarm import Http, NativeClient, PollingClient, SocketIoClient
from tests.view import View, comparable

PEOPLE = 4
ROUND_CUTS = 500  # of a long run: then a new server, unless told otherwise
MISSED_S = 2.0  # to catch up with 10,000 hais
PATIENCE_S = 30
SETTLING_S = 120
PACE_S = 0.03
MEAN_BYTES = 7000  # of a line: what was lost shows only by the facts after it
EMOJI = ("🌊", "🐟", "☕")
JSON = "application/json"
LOST = (OSError, asyncio.IncompleteReadError, StopAsyncIteration, TimeoutError)


class BrowserHttp(Http):
    """Sends a request again by itself when a kept connection broke before the answer
    began, as browsers do. Each has a `t` of its own."""

    count = 0

    async def ask(self, method, path, *args):
        self.count += 1
        path, is_kept = f"{path}&t={self.count}", self.writer is not None
        try:
            return await super().ask(method, path, *args)
        except swarm.Gone:
            raise
        except (OSError, asyncio.IncompleteReadError) as error:
            has_begun = getattr(error, "partial", b"") or getattr(error, "expected", 0)
            if has_begun or not is_kept:
                raise
        self.close()
        self.writer = None
        return await super().ask(method, path, *args)


class BrowserPollingClient(PollingClient):
    """Ends when a request fails in spite of `BrowserHttp`."""

    def connection(self):
        return BrowserHttp(self.port, self.token)

    async def send_all(self):
        try:
            while packets := self.unsent[:16]:
                del self.unsent[:16]
                await self.telling.ask("POST", self.path, "\x1e".join(packets).encode())
        except (OSError, asyncio.IncompleteReadError):
            self.hang_up()


KINDS = (NativeClient, SocketIoClient, BrowserPollingClient)


def empty_view(user_id):
    return View(
        {"me": {"id": user_id}, "rev": 0, "epoch": "", "rooms": [], "users": []}
    )


class Watcher:
    """One client that keeps a view, whatever the network does."""

    def __init__(self, scene, person, kind, port, dice):
        self.scene = scene
        self.person = person
        self.kind = kind
        self.port = port
        self.dice = dice
        self.view = empty_view(person.id)
        self.histories = {}  # room id -> the hai up to which its hais are here
        self.early = []  # facts heard while catching up; None: they are merged at once
        self.behind = asyncio.Event()
        self.sent_count = 0
        self.unacked = None

    async def run(self):
        while True:
            self.early = []
            client = self.kind(self.port, self.person.token, self.hear)
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await client.start()
                await self.stay(client)
            except LOST:
                await asyncio.sleep(0.01)
            finally:
                await client.stop()

    async def stay(self, client):
        """Catch up, and again whenever there is a room that was not known."""
        closing = asyncio.ensure_future(client.closed.wait())
        try:
            while not client.closed.is_set():
                await self.catch_up(client)
                await self.send(client)
                behind = asyncio.ensure_future(self.behind.wait())
                await asyncio.wait(
                    [closing, behind], return_when=asyncio.FIRST_COMPLETED
                )
                behind.cancel()
        finally:
            closing.cancel()

    async def send(self, client):
        """Say hai by the bad network, with the same client_id until it is acked."""
        if self.unacked is None and not self.scene.is_over:
            self.sent_count += 1
            client_id = f"w{self.person.id}-{self.kind.__name__}-{self.sent_count}"
            self.unacked = {"room_id": self.scene.stage_id, "client_id": client_id}
            self.unacked["text"] = client_id
        if self.unacked:
            ack = await self.ask(client, "send_hai", self.unacked)
            self.scene.acked[self.unacked["client_id"]] = ack["hai"]["id"]
            self.unacked = None

    async def catch_up(self, client):
        while self.early is not None:
            self.behind.clear()
            await self.get_changes(client)
            await self.get_histories(client)
            early, self.early = self.early, None
            for fact in early:
                self.hear(*fact)

    async def get_changes(self, client):
        has_more = True
        while has_more:
            payload = {"since_rev": self.view.rev, "limit": self.dice.randint(1, 100)}
            if self.view.epoch:
                payload["epoch"] = self.view.epoch
            page = await self.ask(client, "get_changes", payload)
            for room_id in page["removed_room_ids"]:
                self.histories.pop(room_id, None)
            known = self.view.rooms.keys() - page["removed_room_ids"]
            self.view.catch_up(page)
            self.view.epoch = page["epoch"]
            for room_id in self.view.rooms.keys() - known:
                self.histories[room_id] = 0
            has_more = page["has_more"]

    async def get_histories(self, client):
        """The older hais of rooms that are new here; goes on where it was cut."""
        for room_id in list(self.histories):
            has_more = True
            while has_more:
                after = self.histories[room_id]
                payload = {"room_id": room_id, "after": after, "limit": 100}
                page = await self.ask(client, "get_hais", payload, "forbidden")
                for hai in page.get("hais", ()):
                    self.view.merge_hai(hai)
                    self.histories[room_id] = hai["id"]
                has_more = page.get("has_more")
            del self.histories[room_id]

    async def ask(self, client, name, payload, *excused):
        async with asyncio.timeout(PATIENCE_S):
            ack = await client.order(name, payload)
        code = ack.get("error", {}).get("code")
        if code == "busy":
            raise swarm.Gone(code)
        if code and code not in (*excused, "not_found"):
            self.scene.problems.append(f"{name} {payload}: {ack['error']}")
            raise swarm.Gone(code)
        return ack

    def hear(self, name, payload):
        if self.early is not None:
            self.early.append((name, payload))
            return
        rooms = set(self.view.rooms)
        self.view.hear(name, payload)
        if name == "room_removed":
            self.histories.pop(payload["room_id"], None)
        for room_id in self.view.rooms.keys() - rooms:
            self.histories[room_id] = 0
            self.early = []
            self.behind.set()

    @property
    def name(self):
        return f"{self.kind.__name__} of {self.person.id}"


class Person:
    """One who does things all the time, by a good connection."""

    def __init__(self, scene, token, user_id, dice):
        self.scene = scene
        self.token = token
        self.id = user_id
        self.dice = dice
        self.count = 0
        self.client = None

    async def run(self):
        while not self.scene.is_over:
            await self.do(*self.draw())
            await asyncio.sleep(PACE_S * self.dice.random())
        if self.client:
            await self.client.stop()

    async def do(self, name, payload):
        """Once, but a hai is sent again until it is acked."""
        if name == "change_name":
            return await self.change_name(payload)
        while True:
            try:
                if self.client is None or self.client.closed.is_set():
                    port = self.scene.staged.port
                    self.client = await NativeClient(port, self.token).start()
                ack = await self.client.order(name, payload)
            except LOST:
                await asyncio.sleep(0.05)
                ack = {"error": {"code": "busy"}}
            code = ack.get("error", {}).get("code")
            if name == "send_hai" and code == "busy":
                continue
            if code not in (None, "busy", "forbidden", "not_found"):
                self.scene.problems.append(f"{name} {payload}: {ack['error']}")
            self.keep(name, ack)
            return ack

    async def change_name(self, form):
        """There is no order for it: the form of the settings."""
        http = Http(self.scene.staged.port, self.token)
        with suppress(*LOST):
            await http.ask("POST", "/settings", json.dumps(form).encode(), JSON)
        http.close()

    def keep(self, name, ack):
        if name == "send_hai" and "hai" in ack:
            hai = ack["hai"]
            self.scene.acked[hai["client_id"]] = hai["id"]
            self.scene.hais.append((hai["id"], hai["room_id"]))

    def draw(self):
        """An order, at random, that changes something."""
        dice, scene = self.dice, self.scene
        room_id = dice.choice([scene.stage_id, *scene.room_ids])
        hai_id = dice.choice(scene.hais[-100:])[0] if scene.hais else 1
        number = dice.random()
        if number < 0.4:
            self.count += 1
            text = f"hai {self.id}-{self.count}"
            return "send_hai", {"room_id": room_id, "client_id": text, "text": text}
        if number < 0.55:
            return "edit_hai", {"hai_id": hai_id, "text": f"better {number}"}
        if number < 0.65:
            return "delete_hai", {"hai_id": hai_id}
        if number < 0.85:
            name = dice.choice(["add_reaction", "remove_reaction"])
            return name, {"hai_id": hai_id, "emoji": dice.choice(EMOJI)}
        if number < 0.87:
            return "change_name", {"display_name": f"Person {number}"}
        if number < 0.9 and scene.hais:
            hai_id, room_id = dice.choice(scene.hais[-20:])
            return "mark_read", {"room_id": room_id, "hai_id": hai_id}
        return self.draw_about_rooms(dice.choice(scene.room_ids))

    def draw_about_rooms(self, room_id):
        dice = self.dice
        other_id = dice.choice([person.id for person in self.scene.people])
        kind = dice.choice(
            ["join", "join", "leave", "leave", "add", "remove", "change"]
        )
        if kind in ("join", "leave"):
            return f"{kind}_room", {"room_id": room_id}
        if kind == "change":
            return "change_room", {"room_id": room_id, "topic": f"{dice.random()}"}
        if other_id == self.id:
            return "join_room", {"room_id": room_id}
        return f"{kind}_member", {"room_id": room_id, "user_id": other_id}


class Scene:
    """A server, people, rooms that they join and leave, and who watches.

    acked: client_id -> hai id. stage_id: a room that nobody leaves.
    """

    def __init__(self, staged, seed):
        self.staged = staged
        self.seed = seed
        self.stage_id = staged.room_id
        self.room_ids = []
        self.hais = []  # (id, room id)
        self.acked = {}
        self.problems = []
        self.is_over = False
        self.people = []

    async def set_up(self):
        for number, token in enumerate(self.staged.tokens[:PEOPLE]):
            dice = random.Random(f"{self.seed} person {number}")
            user_id = await id_of(self.staged.port, token, self.stage_id)
            self.people.append(Person(self, token, user_id, dice))
        member_ids = [person.id for person in self.people]
        for number, person in enumerate(self.people):
            kind = ("open", "closed")[number % 2]
            payload = {"name": f"Room {number}", "kind": kind}
            payload["member_ids"] = member_ids
            ack = await person.do("create_room", payload)
            self.room_ids.append(ack["room"]["id"])

    def watchers(self, port):
        """One of each kind for each person."""
        return [
            Watcher(self, person, kind, port, random.Random(f"{self.seed} {n} {kind}"))
            for n, person in enumerate(self.people)
            for kind in KINDS
        ]


async def id_of(port, token, room_id):
    client = await NativeClient(port, token).start()
    payload = {"room_id": room_id, "client_id": "me", "text": "who am I?"}
    ack = await client.order("send_hai", payload)
    await client.stop()
    return ack["hai"]["user_id"]


@asynccontextmanager
async def running(*coroutines):
    tasks = [asyncio.ensure_future(one) for one in coroutines]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        for error in done:
            if isinstance(error, Exception):
                raise error


async def run(cuts=150, seed=1):
    """Return (scene, proxy); scene.problems says what is wrong."""
    with stage("--max-sockets-per-address", 2000, people=PEOPLE) as staged:
        scene = Scene(staged, seed)
        await scene.set_up()
        proxy = await Proxy(staged.port, seed, MEAN_BYTES).start()
        watchers = scene.watchers(proxy.port)
        async with running(*[watcher.run() for watcher in watchers]) as tasks:
            async with asyncio.TaskGroup() as acting:
                for person in scene.people:
                    acting.create_task(person.run())
                acting.create_task(direct(scene, proxy, cuts, tasks))
            await until_alike(scene, watchers)
        await proxy.stop()
    return scene, proxy


async def direct(scene, proxy, cuts, tasks):
    """Let half of the cuts happen, restart the server, then the other half."""
    await until_cut(proxy, cuts // 2, tasks)
    how = (scene.staged.stop, scene.staged.kill)[scene.seed % 2]
    await asyncio.to_thread(how)
    await asyncio.to_thread(scene.staged.start)
    await until_cut(proxy, cuts, tasks)
    while len(scene.acked) < cuts // 3:
        await until_cut(proxy, proxy.cut_count + 1, tasks)
    proxy.is_calm = scene.is_over = True


async def until_cut(proxy, count, tasks):
    while proxy.cut_count < count:
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.01)


async def until_alike(scene, watchers):
    """Wait until all views are as they should be; else note what is wrong."""
    deadline = time.monotonic() + SETTLING_S
    while any(w.unacked or w.early is not None for w in watchers):
        if time.monotonic() > deadline:
            break
        await asyncio.sleep(0.05)
    fresh = {p.id: await fresh_of(scene, p) for p in scene.people}
    for watcher in watchers:
        wrong = differences(watcher, fresh[watcher.person.id])
        while wrong and time.monotonic() < deadline:
            await asyncio.sleep(0.2)
            wrong = differences(watcher, fresh[watcher.person.id])
        scene.problems += wrong
    scene.problems += lost_or_doubled(scene, fresh.values())


async def fresh_of(scene, person):
    """({room id: room}, {room id: its hais}, {user id: name}) as of now."""
    http = Http(scene.staged.port, person.token)
    rooms = json.loads(await http.ask("GET", "/api/v1/rooms"))["rooms"]
    users = json.loads(await http.ask("GET", "/api/v1/users"))["users"]
    http.close()
    client = await NativeClient(scene.staged.port, person.token).start()
    hais = {room["id"]: await history(client, room["id"]) for room in rooms}
    await client.stop()
    names = {user["id"]: user["display_name"] for user in users}
    return {room["id"]: comparable(room) for room in rooms}, hais, names


async def history(client, room_id):
    hais, has_more = [], True
    while has_more:
        after = hais[-1]["id"] if hais else 0
        payload = {"room_id": room_id, "after": after, "limit": 100}
        page = await client.order("get_hais", payload)
        hais += page["hais"]
        has_more = page["has_more"]
    return hais


def differences(watcher, fresh):
    rooms, hais, names = fresh
    view, wrong = watcher.view, []
    shown = {user["id"]: user["display_name"] for user in view.users.values()}
    if shown != names:
        wrong.append(f"{watcher.name}: users {unlike(shown, names)}")
    if view.listed() != rooms:
        wrong.append(f"{watcher.name}: rooms {unlike(view.listed(), rooms)}")
    for room_id, wanted in hais.items():
        shown = view.shown(room_id)["hais"]
        if shown != wanted:
            by_id = [{hai["id"]: hai for hai in some} for some in (shown, wanted)]
            wrong.append(f"{watcher.name}: room {room_id}: {unlike(*by_id)}")
    return wrong


def unlike(one, other):
    keys = [key for key in one.keys() | other.keys() if one.get(key) != other.get(key)]
    return [(key, one.get(key), other.get(key)) for key in sorted(keys)[:3]]


def lost_or_doubled(scene, fresh):
    """What was acked and is nowhere, though nobody deleted it, or is there twice."""
    hais = {
        hai["id"]: hai
        for _, rooms, _ in fresh
        for room in rooms.values()
        for hai in room
    }
    times = Counter((hai["user_id"], hai.get("client_id")) for hai in hais.values())
    yield from (f"{key} is there {n} times" for key, n in times.items() if n > 1)
    for client_id, hai_id in scene.acked.items():
        is_watchers = client_id.startswith("w")  # of the room that nobody leaves
        if is_watchers and hai_id not in hais:
            yield f"{client_id} was acked and is not there"


async def catch_up_missed(hais=10_000):
    """Return (seconds, problems) of one who missed that many."""
    with stage(people=PEOPLE) as staged:
        token, other = staged.tokens[:2]
        scene = Scene(staged, 1)
        user_id = await id_of(staged.port, token, staged.room_id)
        person = Person(scene, token, user_id, random.Random(1))
        watcher = Watcher(scene, person, NativeClient, staged.port, Largest())
        await once(watcher)
        sender = await NativeClient(staged.port, other).start()
        for first in range(0, hais, 100):
            await asyncio.gather(
                *[
                    sender.order(
                        "send_hai",
                        {
                            "room_id": staged.room_id,
                            "client_id": str(number),
                            "text": f"one of many, number {number}",
                        },
                    )
                    for number in range(first, min(first + 100, hais))
                ]
            )
        await sender.stop()
        began_s = time.monotonic()
        await once(watcher)
        took_s = time.monotonic() - began_s
        _, wanted, _ = await fresh_of(scene, person)
        shown = watcher.view.shown(staged.room_id)["hais"]
        problems = [] if shown == wanted[staged.room_id] else ["the hais differ"]
        if len(shown) < hais:
            problems.append(f"there are only {len(shown)}")
    return took_s, problems


class Largest:
    """Dice that ask for pages as large as they may be."""

    def randint(self, low, high):
        return 500


async def once(watcher):
    """Connect, catch up, and go."""
    watcher.early = []
    client = watcher.kind(watcher.port, watcher.person.token, watcher.hear)
    await client.start()
    await watcher.catch_up(client)
    await client.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument(
        "--round", type=int, default=ROUND_CUTS, help="cuts of one server and database"
    )
    given = parser.parse_args()
    began_s = time.monotonic()
    totals, problem_count, done = Counter(), 0, 0
    while done < given.cuts:
        seed = given.seed + done // given.round
        scene, proxy = swarm.run(run(min(given.round, given.cuts - done), seed))
        print(*scene.problems[:20], sep="\n", end="\n" if scene.problems else "")
        problem_count += len(scene.problems)
        done += proxy.cut_count
        totals.update(proxy.cut_counts, hais=len(scene.acked))
        print(f"{done} cuts, {problem_count} problems", flush=True)
    print(
        f"{done} cuts ({totals['close']} closed, {totals['reset']} reset,"
        f" {totals['stall']} stalled), {totals['hais']} hais: {problem_count} problems;"
        f" {time.monotonic() - began_s:.0f} s in all"
    )
    took_s, problems = swarm.run(catch_up_missed())
    print(f"10000 missed hais caught up in {took_s:.2f} s", *problems)
    return bool(problem_count or problems) or took_s > MISSED_S


if __name__ == "__main__":
    raise SystemExit(main())
