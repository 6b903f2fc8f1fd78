"""A send that is tried again is stored once.

    python -m tests.durability.retries --sends 100000 --seed 1

Every send goes out one to five times: at once, after the connection was cut, by another
transport, after the server was killed or restarted. Some have a picture, which a form
uploads anew each time. Each must be acked as the same hai every time,
and there must be exactly one row for it.
"""

import argparse
import asyncio
import random
import sqlite3
import time
from collections import Counter
from contextlib import closing

from tests.durability import swarm
from tests.durability.stage import stage
from tests.durability.swarm import CLIENTS, ApiClient
from tests.pictures import big_png

PEOPLE = 4
TOGETHER = 20  # sends of one person under way at once
TRANSPORTS = (*CLIENTS, ApiClient)
PICTURE_EVERY = 50  # sends; small ones, each with bytes of its own
CUT_EVERY = 5  # rounds of one person, in which the connection is cut under the orders
PATIENCE_S = 60


class Person:
    """Has a client of each transport, and an order book of what was acked."""

    def __init__(self, staged, number, dice, problems):
        self.staged = staged
        self.token = staged.tokens[number]
        self.number = number
        self.dice = dice
        self.problems = problems
        self.clients = {}  # transport -> client
        self.hai_ids = {}  # client_id -> the id that it was acked with

    async def send_all(self, count):
        for first in range(0, count, TOGETHER):
            numbers = range(first, min(first + TOGETHER, count))
            orders = [self.payload(number) for number in numbers]
            tries = [p for p in orders for _ in range(self.dice.randint(1, 5))]
            self.dice.shuffle(tries)
            cutting = self.dice.randrange(CUT_EVERY) == 0
            await asyncio.gather(*[self.send(p, cutting) for p in tries])
        for client in self.clients.values():
            await client.stop()

    def payload(self, number):
        client_id = f"{self.number}-{number}"
        payload = {
            "room_id": self.staged.room_id,
            "client_id": client_id,
            "text": f"hai {client_id}",
        }
        if number % PICTURE_EVERY == 0:
            payload["picture"] = big_png(500 + number)
        return payload

    async def send(self, payload, cutting):
        """Try by any transport until it is acked; sometimes cut it just after."""
        said = []  # what became of each try
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not await self.is_acked(payload, cutting, said):
                    await asyncio.sleep(0.02)
        except TimeoutError:
            tries = ", ".join(said[-5:])
            self.problems.append(f"{payload['client_id']} was not acked: {tries}")

    async def is_acked(self, payload, cutting, said):
        said.append("no connection")
        try:
            is_form = "picture" in payload
            client = await self.client(ApiClient if is_form else None)
            said[-1] = type(client).__name__
            future = client.start_order("send_hai", payload)
            if cutting and self.dice.random() < 0.05:
                await asyncio.sleep(self.dice.random() * 0.01)
                client.hang_up()
            ack = await future
        except (OSError, asyncio.IncompleteReadError) as error:
            said[-1] += f": {error!r}"
            return False
        if ack.get("error", {}).get("code") == "busy":  # it restarts
            said[-1] += ": busy"
            return False
        self.compare(payload, ack)
        return True

    async def client(self, kind=None):
        kind = kind or self.dice.choice(TRANSPORTS)
        client = self.clients.get(kind)
        if client is None or client.closed.is_set():
            opening = asyncio.ensure_future(kind(self.staged.port, self.token).start())
            self.clients[kind] = Opening(opening)
        client = self.clients[kind]
        if isinstance(client, Opening):
            client = self.clients[kind] = await client.done()
        return client

    def compare(self, payload, ack):
        client_id = payload["client_id"]
        if "error" in ack:
            self.problems.append(f"{client_id}: {ack['error']}")
            return
        hai = ack["hai"]
        first = self.hai_ids.setdefault(client_id, hai["id"])
        count = len(hai["pictures"])
        was = (first, payload["text"], int("picture" in payload))
        if (hai["id"], hai["text"], count) != was:
            self.problems.append(f"{client_id} was acked as {first} and as {hai['id']}")


class Opening:
    """A client that is being opened, by the first of many who want it."""

    def __init__(self, task):
        self.task = task
        self.closed = asyncio.Event()

    async def done(self):
        try:
            return await asyncio.shield(self.task)
        except (OSError, asyncio.IncompleteReadError):
            self.closed.set()
            raise

    async def stop(self):
        self.task.cancel()


async def run(sends=2000, seed=1, kills=2):
    """Return the problems, and how often the server was killed meanwhile."""
    problems, dice = [], random.Random(seed)
    with stage(people=PEOPLE) as staged:
        people = [
            Person(staged, n, random.Random(f"{seed} {n}"), problems)
            for n in range(PEOPLE)
        ]
        sending = [asyncio.ensure_future(p.send_all(sends // PEOPLE)) for p in people]
        for life in range(kills):
            await part_done(people, sends * (life + 1) // (kills + 1), sending)
            await asyncio.sleep(dice.random() * 0.1)
            await asyncio.to_thread(staged.stop if life % 2 else staged.kill)
            await asyncio.to_thread(staged.start)
        await asyncio.gather(*sending)
        problems += audit(staged.database, people, sends)
    return problems


async def part_done(people, count, sending):
    """Wait until that many different sends were acked."""
    while sum(len(person.hai_ids) for person in people) < count:
        if any(task.done() for task in sending):
            return
        await asyncio.sleep(0.01)


def audit(path, people, sends):
    with closing(sqlite3.connect(path)) as db:
        rows = db.execute("SELECT text, id FROM hais WHERE client_id <> ''")
        stored = [(text.removeprefix("hai "), id_) for text, id_ in rows]
        pictures = db.execute("SELECT count(*) FROM pictures WHERE hai_id IS NOT NULL")
        picture_count = pictures.fetchone()[0]
    times = Counter(client_id for client_id, _ in stored)
    yield from (f"{c} is stored {n} times" for c, n in times.items() if n > 1)
    wanted = sum(int(c.split("-")[1]) % PICTURE_EVERY == 0 for c, _ in stored)
    if picture_count != wanted:
        yield f"there are {picture_count} pictures for {wanted} sends with one"
    if len(stored) != sends:
        yield f"there are {len(stored)} rows for {sends} sends"
    acked = {c: hai_id for person in people for c, hai_id in person.hai_ids.items()}
    if acked != dict(stored):
        yield "what was acked is not what is stored"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sends", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began_s = time.monotonic()
    problems = swarm.run(run(given.sends, given.seed, given.kills))
    print(*problems[:20], sep="\n")
    print(
        f"{given.sends} sends, 1 to 5 times each, {given.kills} kills:"
        f" {len(problems)} problems; {time.monotonic() - began_s:.0f} s in all"
    )
    return bool(problems)


if __name__ == "__main__":
    raise SystemExit(main())
