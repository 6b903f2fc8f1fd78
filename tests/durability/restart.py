"""A restart with everybody connected.

    python -m tests.durability.restart --clients 1000

SIGTERM: every client is told that the service restarts (1012, or a CLOSE packet to who
polls) and the process ends soon; kill -9: nobody is told anything. Either way everybody
comes back, and what was acked and what was waiting is there once.
"""

import argparse
import asyncio
import sqlite3
import statistics
import time
from contextlib import closing, suppress
from dataclasses import dataclass, field

from tests.durability import swarm
from tests.durability.stage import stage
from tests.durability.swarm import NativeClient, PollingClient, SocketIoClient

RETRY_S = 0.1
SENDERS = 20  # of the clients; they send all the time
PATIENCE_S = 120
KINDS = (NativeClient, SocketIoClient, SocketIoClient, PollingClient)
# What a run must reach.
EXIT_S, BLACKOUT_S = 5.0, 2.0


@dataclass
class Blackout:
    """What one restart was like.

    told: whether each client on a WebSocket was told of it. Who polls is told when a
    request of theirs waits just then (most of the time), and else finds nobody there.
    """

    exit_s: float = 0.0
    exit_code: int = 0
    told: list = field(default_factory=list)
    away_s: list = field(
        default_factory=list
    )  # from the cut to being back, each client
    problems: list = field(default_factory=list)


class Guest:
    """A client that stays, and comes back; some also send."""

    def __init__(self, staged, number):
        self.staged = staged
        self.number = number
        self.kind = KINDS[number % len(KINDS)]
        self.token = staged.tokens[number % len(staged.tokens)]
        self.acked = {}  # client_id -> hai id
        self.unacked = None
        self.is_over = False
        self.away_s = []
        self.told = []

    async def open(self):
        """Connect, again and again until it works."""
        while True:
            with suppress(OSError, asyncio.IncompleteReadError):
                self.client = await self.kind(self.staged.port, self.token).start()
                return
            await asyncio.sleep(RETRY_S)

    async def stay(self):
        while not self.is_over:
            await self.client.closed.wait()
            if self.is_over:
                return
            began_s = time.monotonic()
            self.told.append(self.client.was_told)
            self.client.hang_up()
            await self.open()
            self.away_s.append(time.monotonic() - began_s)

    async def talk(self):
        count = 0
        while not self.is_over or self.unacked:
            if self.unacked is None:
                count += 1
                self.unacked = {
                    "room_id": self.staged.room_id,
                    "client_id": f"{self.number}-{count}",
                    "text": "still here",
                }
            with suppress(OSError):
                ack = await self.client.order("send_hai", self.unacked)
                if "hai" in ack:
                    self.acked[self.unacked["client_id"]] = ack["hai"]["id"]
                    self.unacked = None
            await asyncio.sleep(0.02)


async def run(clients=200, how="SIGTERM"):
    """Restart once under `clients` connected clients; return the Blackout."""
    blackout = Blackout()
    with stage(people=SENDERS) as staged:
        guests = [Guest(staged, number) for number in range(clients)]
        await asyncio.gather(*[guest.open() for guest in guests])
        staying = [asyncio.ensure_future(guest.stay()) for guest in guests]
        talking = [asyncio.ensure_future(guest.talk()) for guest in guests[:SENDERS]]
        await asyncio.sleep(0.5)
        began_s = time.monotonic()
        end = staged.stop if how == "SIGTERM" else staged.kill
        blackout.exit_code = await asyncio.to_thread(end)
        blackout.exit_s = time.monotonic() - began_s
        await asyncio.to_thread(staged.start)
        async with asyncio.timeout(PATIENCE_S):
            while not all(guest.away_s for guest in guests):
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.3)
        for guest in guests:
            guest.is_over = True
        await asyncio.gather(*talking)
        for guest in guests:
            guest.client.hang_up()
        await asyncio.gather(*staying)
        blackout.problems = list(audit(staged.database, guests))
    on_sockets = [guest for guest in guests if guest.kind is not PollingClient]
    blackout.told = [guest.told[0] for guest in on_sockets]
    blackout.away_s = [guest.away_s[0] for guest in guests]
    return blackout


def audit(path, guests):
    with closing(sqlite3.connect(path)) as db:
        query = "SELECT client_id, id FROM hais WHERE client_id <> ''"
        stored = db.execute(query).fetchall()
    if len(dict(stored)) != len(stored):
        yield "a hai is there twice"
    for guest in guests:
        for client_id, hai_id in guest.acked.items():
            if dict(stored).get(client_id) != hai_id:
                yield f"{client_id} was acked and is not there"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, default=1000)
    given = parser.parse_args()
    is_bad = False
    for how in ("SIGTERM", "SIGKILL"):
        blackout = swarm.run(run(given.clients, how))
        median_s = statistics.median(blackout.away_s)
        told = sum(blackout.told)
        is_bad |= bool(blackout.problems) or median_s > BLACKOUT_S
        if how == "SIGTERM":
            is_bad |= told < len(blackout.told) or blackout.exit_s > EXIT_S
        print(
            f"{how}, {given.clients} clients: ended after {blackout.exit_s:.2f} s with"
            f" code {blackout.exit_code}; {told} of {len(blackout.told)}"
            f" on sockets told; back after"
            f" {median_s:.2f} s (median), {max(blackout.away_s):.2f} s (longest);"
            f" {len(blackout.problems)} problems"
        )
    return is_bad


if __name__ == "__main__":
    raise SystemExit(main())
