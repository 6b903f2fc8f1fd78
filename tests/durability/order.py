"""Everybody sees the same hais in the same order.

    python -m tests.durability.order --senders 50 --receivers 100 --hais 100000

Receivers on /ws, on Socket.IO over a WebSocket, over polling, and upgrading from one to
the other write down what they hear; one hai in twenty is edited meanwhile. A receiver
that the server drops because it cannot keep up comes back and asks for what it missed,
as every client does; those who upgrade also leave now and then by themselves.
"""

import argparse
import asyncio
import random
import sqlite3
import time
from contextlib import closing

from tests.durability import swarm
from tests.durability.stage import stage
from tests.durability.swarm import CLIENTS, NativeClient, UpgradingClient

PIPELINED = 10
EDITED = 0.05  # of all hais
LEAVE_AFTER = 400  # facts, on average: then an upgrading client connects anew
PATIENCE_S = 60


class Receiver:
    """One client that keeps the newest rev of each hai, and checks the order heard.

    On one connection the revs of a room only rise, and none comes twice.
    """

    def __init__(self, staged, number, dice):
        self.staged = staged
        self.dice = dice
        self.kind = CLIENTS[number % len(CLIENTS)]
        self.token = staged.tokens[number % len(staged.tokens)]
        self.revs = {}  # hai id -> rev
        self.inversion_count = self.double_count = self.drop_count = 0
        self.rev = 0

    async def run(self):
        while True:
            self.catching_up = True
            self.early = []
            self.heard_rev = 0  # on this connection
            try:
                self.client = self.kind(self.staged.port, self.token, self.hear)
                await self.client.start()
                await self.catch_up()
            except OSError:
                await asyncio.sleep(0.05)
                continue
            await self.client.closed.wait()
            self.drop_count += 1

    async def catch_up(self):
        """Subscribed first, now ask for what is missing, then merge."""
        has_more = True
        while has_more:
            ack = await self.client.order("get_changes", {"since_rev": self.rev})
            for hai in ack["hais"]:
                self.merge(hai)
            self.rev, has_more = ack["rev"], ack["has_more"]
        self.catching_up = False
        for hai in self.early:
            if hai["rev"] > self.rev:
                self.merge(hai)

    def hear(self, name, payload):
        if name not in ("hai_sent", "hai_changed"):
            return
        hai = payload["hai"]
        self.double_count += hai["rev"] == self.heard_rev
        self.inversion_count += hai["rev"] < self.heard_rev
        self.heard_rev = hai["rev"]
        if self.catching_up:
            self.early.append(hai)
        else:
            self.merge(hai)
        if self.kind is UpgradingClient and self.dice.random() < 1 / LEAVE_AFTER:
            self.client.hang_up()

    def merge(self, hai):
        """By (id, rev): the higher rev wins."""
        self.revs[hai["id"]] = max(hai["rev"], self.revs.get(hai["id"], 0))
        self.rev = max(self.rev, hai["rev"])


async def run(senders=5, receivers=10, hais=2000, seed=1):
    """Return (receivers, the newest rev of each hai as it is stored)."""
    with stage(people=max(senders, 8)) as staged:
        heard = [
            Receiver(staged, number, random.Random(f"{seed} r{number}"))
            for number in range(receivers)
        ]
        tasks = [asyncio.ensure_future(receiver.run()) for receiver in heard]
        await asyncio.gather(
            *[
                send(staged, n, hais // senders, random.Random(f"{seed} s{n}"))
                for n in range(senders)
            ]
        )
        wanted = stored(staged.database)
        await until_heard(heard, wanted)
        for task, receiver in zip(tasks, heard, strict=True):
            task.cancel()
            await receiver.client.stop()
        await asyncio.gather(*tasks, return_exceptions=True)
    return heard, wanted


async def send(staged, number, count, dice):
    """Send in small groups, and edit some hais of the group before."""
    client = await NativeClient(staged.port, staged.tokens[number]).start()
    hai_ids = []
    for first in range(0, count, PIPELINED):
        numbers = range(first, min(first + PIPELINED, count))
        orders = [
            client.start_order("send_hai", payload(staged, number, n)) for n in numbers
        ]
        for hai_id in hai_ids:
            if dice.random() < EDITED:
                change = {"hai_id": hai_id, "text": f"edited {hai_id}"}
                orders.append(client.start_order("edit_hai", change))
        acks = await asyncio.gather(*orders)
        hai_ids = [ack["hai"]["id"] for ack in acks[: len(numbers)]]
    await client.stop()


def payload(staged, number, n):
    return {
        "room_id": staged.room_id,
        "client_id": f"{number}-{n}",
        "text": f"hai {number}-{n}",
    }


def stored(path):
    """hai id -> rev, of everything that was sent."""
    with closing(sqlite3.connect(path)) as db:
        return dict(db.execute("SELECT id, rev FROM hais WHERE client_id <> ''"))


async def until_heard(heard, wanted):
    """Wait until everybody has everything, or nothing has come for a while."""
    last, at_s = -1, time.monotonic()
    while any(receiver.revs != wanted for receiver in heard):
        now = sum(sum(receiver.revs.values()) for receiver in heard)
        if now != last:
            last, at_s = now, time.monotonic()
        if time.monotonic() - at_s > PATIENCE_S:
            return
        await asyncio.sleep(0.05)


def problems_of(heard, wanted):
    """(gaps, inversions, duplicates) over all receivers."""
    gaps = sum(len(wanted.items() ^ receiver.revs.items()) for receiver in heard)
    inversions = sum(receiver.inversion_count for receiver in heard)
    doubles = sum(receiver.double_count for receiver in heard)
    return gaps, inversions, doubles


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--senders", type=int, default=50)
    parser.add_argument("--receivers", type=int, default=100)
    parser.add_argument("--hais", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began_s = time.monotonic()
    scene = run(given.senders, given.receivers, given.hais, given.seed)
    heard, wanted = swarm.run(scene)
    gaps, inversions, doubles = problems_of(heard, wanted)
    drops = sum(receiver.drop_count for receiver in heard)
    print(
        f"{given.senders} senders, {given.receivers} receivers, {len(wanted)} hais:"
        f" {gaps} gaps, {inversions} inversions, {doubles} duplicates; {drops} times"
        " a receiver was dropped, or left, and came back;"
        f" {time.monotonic() - began_s:.0f} s"
    )
    return bool(gaps or inversions or doubles)


if __name__ == "__main__":
    raise SystemExit(main())
