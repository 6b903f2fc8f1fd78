"""A backup taken under load is whole, and holds all that was acked before it began.

python -m tests.durability.backups --backups 100 --seed 1
"""

import argparse
import asyncio
import os
import shutil
import sqlite3
import time
from contextlib import closing
from random import Random

from tests.durability import swarm
from tests.durability.stage import stage
from tests.durability.swarm import Http, NativeClient, upload
from tests.pictures import big_png
from tests.served import run_command

SENDERS = 4
PICTURE_EVERY = 50  # hais, on average
PAUSE_S = 0.02  # after an ack, on average: so many backups shall not fill the disk
LOOK_EVERY_S = 0.05
LOG_BYTES = 64 * 1024 * 1024  # what the write-ahead log may take


class Talk:
    """Everybody sends, a little after the last ack. acked: client_id -> text."""

    def __init__(self, staged, chance):
        self.staged = staged
        self.chance = chance
        self.acked = {}
        self.is_over = False
        self.longest_ack_s = 0.0
        self.longest_log_bytes = 0

    async def send(self, number):
        port, token = self.staged.port, self.staged.tokens[number]
        client = await NativeClient(port, token).start()
        http = Http(port, token)
        count = 0
        while not self.is_over:
            count += 1
            payload = {"room_id": self.staged.room_id, "text": f"hai {number} {count}"}
            payload["client_id"] = f"{number}-{count}"
            if self.chance.random() < 1 / PICTURE_EVERY:
                data = big_png(self.chance.randrange(10_000, 400_000))
                picture = await upload(http, self.staged.room_id, "p.png", data)
                payload["picture_ids"] = [picture["id"]]
            began_s = time.monotonic()
            await client.order("send_hai", payload)
            self.longest_ack_s = max(self.longest_ack_s, time.monotonic() - began_s)
            self.acked[payload["client_id"]] = payload["text"]
            await asyncio.sleep(self.chance.expovariate(1 / PAUSE_S))
        http.close()
        await client.stop()

    async def watch(self):
        while not self.is_over:
            log_bytes = os.stat(f"{self.staged.database}-wal").st_size
            self.longest_log_bytes = max(self.longest_log_bytes, log_bytes)
            await asyncio.sleep(LOOK_EVERY_S)


async def run(backups=3, seed=1, hais=100):
    """Return (problems, what was said meanwhile). hais: the last backup begins when so
    many are acked."""
    problems = []
    with stage(people=SENDERS) as staged:
        talk = Talk(staged, Random(seed))
        work = [talk.watch(), *map(talk.send, range(SENDERS))]
        tasks = [asyncio.ensure_future(one) for one in work]
        await asyncio.sleep(1)
        for number in range(backups):
            while number == backups - 1 and len(talk.acked) < hais:
                await asyncio.sleep(0.01)
            before = dict(talk.acked)
            target = staged.data.parent / f"saved{number}.db"
            await asyncio.to_thread(staged.served.run, "backup", target)
            problems += await asyncio.to_thread(list_of_problems, target, before)
        talk.is_over = True
        await asyncio.gather(*tasks)
    if talk.longest_log_bytes > LOG_BYTES:
        problems.append(f"the log took {talk.longest_log_bytes} bytes")
    return problems, talk


def list_of_problems(target, before):
    try:
        return list(restore(target, before))
    finally:
        target.unlink(missing_ok=True)
        shutil.rmtree(target.with_suffix(""), ignore_errors=True)


def restore(target, before):
    """Restore into a folder of its own, verify, and compare with what was acked."""
    folder = target.with_suffix("")
    for command in (("restore", target), ("verify",)):
        ran = run_command(folder, *command)
        if ran.returncode:
            yield f"{target.name}: {command[0]}: {ran.stdout}{ran.stderr}"
    with closing(sqlite3.connect(folder / "hai.db")) as db:
        query = "SELECT client_id, text FROM hais WHERE client_id IS NOT NULL"
        stored = dict(db.execute(query).fetchall())
    missing = [c for c, text in before.items() if stored.get(c) != text]
    if missing:
        yield f"{target.name}: {len(missing)} hais acked before it are not in it"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--backups", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began_s = time.monotonic()
    problems, talk = swarm.run(run(given.backups, given.seed))
    print(*problems[:20], sep="\n")
    print(
        f"{given.backups} backups while {len(talk.acked)} hais were sent:"
        f" {len(problems)} problems; longest ack {talk.longest_ack_s * 1000:.0f} ms,"
        f" log at most {talk.longest_log_bytes / 2**20:.1f} MiB;"
        f" {time.monotonic() - began_s:.0f} s in all"
    )
    return bool(problems)


if __name__ == "__main__":
    raise SystemExit(main())
