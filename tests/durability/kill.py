"""What was acked survives kill -9.

    python -m tests.durability.kill --kills 200 --seed 1

Sixteen clients send texts and pictures, and backups are taken, while the real server is
killed again and again at random; then every ack is compared with what is in the
database. A backup that was said to be taken is whole; one that was cut short has no
name, and does not stand in the next one's way.
"""

import argparse
import asyncio
import hashlib
import random
import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass, field

from hai.storage.sqlite.verify import Counts, problems
from tests.durability import swarm
from tests.durability.stage import stage
from tests.durability.swarm import Gone, Http, NativeClient, upload
from tests.pictures import big_png
from tests.served import run_command

CLIENTS = 16
PIPELINED = 8  # orders that a client has under way at once
PICTURE_EVERY = 40  # hais
# What a run must reach: 100,000 acks in 200 lives, and half of them begun in a second.
ACKS_PER_KILL = 500
READY_S = 1.0
LIFE_S = (0.3, 1.2)  # how long the server lives from its first ack on
SAVE_PAUSE_S = 1.0  # between two backups


@dataclass
class Acked:
    """What the clients were promised."""

    hais: dict = field(default_factory=dict)  # hai id -> (client_id, text)
    pictures: dict = field(default_factory=dict)  # picture id -> (hai id, SHA-256)
    client_ids: dict = field(default_factory=dict)  # client_id -> hai id
    uploads: dict = field(default_factory=dict)  # picture id -> SHA-256, sent or not
    problems: list = field(default_factory=list)
    ready_s: list = field(default_factory=list)
    kills: int = 0
    backups: int = 0

    def keep(self, payload, hai):
        """Note an ack; a client_id acked twice must be the same hai."""
        client_id = payload["client_id"]
        if self.client_ids.setdefault(client_id, hai["id"]) != hai["id"]:
            self.problems.append(f"{client_id} was acked as two hais")
        self.hais[hai["id"]] = (client_id, payload["text"])
        for picture in hai["pictures"]:
            self.pictures[picture["id"]] = (hai["id"], self.uploads[picture["id"]])


class Sender:
    """One person whose connection ends again and again, and who tries again."""

    def __init__(self, staged, number, acked, dice):
        self.staged = staged
        self.number = number
        self.token = staged.tokens[number]
        self.acked = acked
        self.dice = dice
        self.sent_count = 0
        self.is_over = False

    async def run(self):
        """Send until told that it is over; what was not acked is sent again."""
        self.unacked = {}  # client_id -> payload
        while not self.is_over:
            try:
                client = await NativeClient(self.staged.port, self.token).start()
            except OSError:
                await asyncio.sleep(0.02)
                continue
            try:
                await self.talk(client)
            except (OSError, asyncio.IncompleteReadError):
                pass
            finally:
                await client.stop()

    async def talk(self, client):
        http = Http(self.staged.port, self.token)
        try:
            while not (self.is_over and not self.unacked):
                while len(self.unacked) < PIPELINED and not self.is_over:
                    payload = await self.new_payload(http)
                    self.unacked[payload["client_id"]] = payload
                await self.send_all(client)
        finally:
            http.close()

    async def send_all(self, client):
        pairs = [(p, client.start_order("send_hai", p)) for p in self.unacked.values()]
        await asyncio.wait([future for _, future in pairs])
        for payload, future in pairs:
            ack = future.exception() or future.result()
            if isinstance(ack, Gone):
                raise ack
            if "error" in ack:
                self.acked.problems.append(f"refused: {ack['error']}")
            else:
                self.acked.keep(payload, ack["hai"])
            del self.unacked[payload["client_id"]]

    async def new_payload(self, http):
        self.sent_count += 1
        client_id = f"{self.number}-{self.sent_count}"
        text = f"{client_id} " + "hai " * self.dice.randrange(40)
        payload = {"room_id": self.staged.room_id, "client_id": client_id}
        payload["text"] = text.strip()
        if self.sent_count % PICTURE_EVERY == 0:
            data = big_png(self.dice.randrange(200, 600_000))
            picture = await upload(http, self.staged.room_id, "p.png", data)
            self.acked.uploads[picture["id"]] = hashlib.sha256(data).digest()
            payload["picture_ids"] = [picture["id"]]
        return payload


async def run(kills=5, seed=1, log=lambda line: None, hais=0, pictures=0):
    """Kill that often, and until so much was acked: a busy machine takes longer.
    Return the Acked with all problems found."""
    dice, acked = random.Random(seed), Acked()
    with stage(people=CLIENTS) as staged:
        senders = [
            Sender(staged, n, acked, random.Random(f"{seed} {n}"))
            for n in range(CLIENTS)
        ]
        tasks = [asyncio.create_task(sender.run()) for sender in senders]
        tasks.append(asyncio.create_task(save(staged, acked, senders)))
        for _ in range(kills):
            await one_life(staged, acked, dice)
            log(f"{acked.kills} kills, {len(acked.hais)} acks")
        while len(acked.hais) < hais or len(acked.pictures) < pictures:
            await asyncio.sleep(0.01)
        for sender in senders:
            sender.is_over = True
        await asyncio.gather(*tasks)
        acked.problems += audit(staged.database, acked)
        acked.problems += (await asyncio.to_thread(verify, staged)).splitlines()
        acked.ready_s = staged.ready_s
        staged.stop()
    return acked


async def save(staged, acked, senders):
    """Take backups until all is over, and one more."""
    target = staged.data.parent / "saved.db"
    is_last = False
    while not is_last:
        is_last = all(sender.is_over for sender in senders)
        ran = await asyncio.to_thread(run_command, staged.data, "backup", target)
        if ran.returncode == 0:
            acked.backups += 1
            acked.problems += await asyncio.to_thread(problems_of_file, target)
            target.unlink()
        elif is_last or "Traceback" in ran.stderr or target.exists():
            acked.problems.append(f"backup: {ran.returncode} {ran.stderr}")
        await asyncio.sleep(SAVE_PAUSE_S)


def problems_of_file(path):
    return [f"{path.name}: {problem}" for problem in problems(path, Counts())]


async def one_life(staged, acked, dice):
    """Let it serve for a while from the first ack on, kill it, start it again."""
    before = len(acked.hais)
    while len(acked.hais) == before:
        await asyncio.sleep(0.005)
    await asyncio.sleep(dice.uniform(*LIFE_S))
    await asyncio.to_thread(staged.kill)
    acked.kills += 1
    await asyncio.to_thread(staged.start)


def verify(staged):
    """What `verify` has to say, in a process of its own; empty: all is well."""
    printed = staged.served.run("verify")
    return "" if "no problems" in printed else printed


def audit(path, acked):
    """Compare every ack with what is stored; return the differences."""
    with closing(sqlite3.connect(path)) as db:
        stored = {
            row[0]: row[1:]
            for row in db.execute("SELECT id, client_id, text FROM hais")
        }
        doubled = db.execute(  # each text begins with its client_id
            "SELECT text FROM hais WHERE client_id <> ''"
            " GROUP BY text HAVING count(*) > 1"
        ).fetchall()
        pictures = {
            row[0]: row[1:]
            for row in db.execute("SELECT id, hai_id, sha256 FROM pictures")
        }
    problems = [f"{text!r} is stored twice" for (text,) in doubled]
    for hai_id, was in acked.hais.items():
        if stored.get(hai_id) != was:
            problems.append(f"hai {hai_id}: {was} is {stored.get(hai_id)}")
    for picture_id, was in acked.pictures.items():
        if pictures.get(picture_id) != was:
            problems.append(f"picture {picture_id} is not as it was acked")
    for picture_id, sha256 in acked.uploads.items():
        if pictures.get(picture_id, (0, b""))[1] != sha256:
            problems.append(f"upload {picture_id} is not as it was acked")
    return problems


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    began_s = time.monotonic()
    acked = swarm.run(run(arguments.kills, arguments.seed, log=print))
    for problem in acked.problems[:50]:
        print(problem)
    ready_s = sorted(acked.ready_s)
    too_few = len(acked.hais) < ACKS_PER_KILL * acked.kills
    is_late = ready_s[len(ready_s) // 2] > READY_S
    print(
        f"{acked.kills} kills, {len(acked.hais)} hais, {len(acked.pictures)} pictures"
        f" acked, {acked.backups} backups, {len(acked.problems)} problems; ready after"
        f" {ready_s[len(ready_s) // 2]:.2f} s (median), {ready_s[-1]:.2f} s (longest);"
        f" {time.monotonic() - began_s:.0f} s in all"
    )
    return bool(acked.problems) or too_few or is_late


if __name__ == "__main__":
    raise SystemExit(main())
