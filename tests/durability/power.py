"""What was acked survives power loss.

    python -m tests.durability.power --cuts 10000 --seed 1

A real server's own writes and syncs are recorded with strace. Then the disk is played
back to every moment of the recording: what was synced is there; of what was only
written, each sector of 512 bytes is kept, dropped or torn in half. Every such disk must
open, be whole, and hold all that had been acked at that moment. The log goes into the
file far more often than it usually does, so that cuts fall into that, too.
"""

import argparse
import asyncio
import hashlib
import os
import random
import re
import signal
import sqlite3
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from hai.storage.sqlite import verify
from tests.durability import swarm
from tests.durability.stage import stage
from tests.durability.swarm import Http, NativeClient, upload
from tests.pictures import big_png

CHECKPOINTING = Path(__file__).with_name("checkpointing.py")
SECTOR_BYTES = 512
NAMES = ("hai.db", "hai.db-wal")
CALLS = (
    "openat,pwrite64,write,ftruncate,fsync,fdatasync,"
    "?unlink,?unlinkat,?rename,?renameat,?link,?linkat"
)
PICTURE_EVERY = 25  # hais
VERIFY_EVERY = 20  # cuts: every row, index and picture is looked at, by Hai itself

# 123 1700000000.123456 pwrite64(9</data/hai.db-wal>, "\x37...", 4096, 32) = 4096
LINE = re.compile(
    r"^\d+ +(?P<at>[\d.]+) "
    r"(?:(?P<call>\w+)\((?P<args>.*)|<\.\.\. (?P<again>\w+) resumed>.*)$"
)
TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')
HANDLE = re.compile(r"^\d+<([^>]*)>")


@dataclass
class Step:
    """One thing done to a file. kind: write, size, sync, make, remove, rename or link.

    name: the new one of what is renamed or linked.
    """

    at_s: float
    kind: str
    path: str
    offset: int = 0
    data: bytes = b""
    name: str = ""


@dataclass
class Acks:
    """What was promised, and when the promise was heard (wall clock, as strace's)."""

    hais: list = field(default_factory=list)  # (at_s, hai id, text)
    pictures: list = field(default_factory=list)  # (at_s, picture id, SHA-256)


@dataclass
class File:
    """What is on the disk for sure, and what was written since."""

    synced: bytes = b""
    pending: list = field(default_factory=list)  # Steps of kind write and size

    def sync(self):
        self.synced, self.pending = bytes(self.after(lambda step: step.data)), []

    def after(self, survive):
        """The content when each write leaves what `survive` makes of it."""
        content = bytearray(self.synced)
        for step in self.pending:
            if step.kind == "size":
                if survive(step) is not None:
                    del content[step.offset :]
                continue
            for start in range(0, len(step.data), SECTOR_BYTES):
                sector = survive(step)
                if sector is not None:
                    put(content, step, start, sector)
        return content


def put(content, step, start, how):
    """Write one sector of a step: whole (its data), or torn (how is False)."""
    data = step.data[start : start + SECTOR_BYTES]
    if how is False:
        data = data[: len(data) // 2]
    place = step.offset + start
    if len(content) < place:
        content.extend(bytes(place - len(content)))
    content[place : place + len(data)] = data


# What becomes of a sector that was written and not synced: None is dropped, False torn.
FATES = {
    "all kept": (1, 0, 0),
    "all dropped": (0, 1, 0),
    "half dropped": (1, 1, 0),
    "some torn": (2, 1, 1),
    "few dropped": (9, 1, 0),
}


def fate_of(name, dice):
    """A function that decides on one sector of a step, by the weights above."""
    weights = FATES[name]

    def survive(step):
        return dice.choices((step.data, None, False), weights)[0]

    return survive


# --- Recording ------------------------------------------------------------------------


async def record(folder, hai_count, *flags, senders=4):
    """Serve under strace while people send; returns (Disk before, steps, Acks)."""
    with stage(*flags, people=senders, folder=folder) as staged:
        staged.stop()
        before = {str(staged.database): staged.database.read_bytes()}
        trace, acks = Path(folder) / "trace.txt", Acks()
        staged.served.wrapper = strace(trace, staged.data)
        staged.served.program = [sys.executable, str(CHECKPOINTING)]
        staged.start()
        each = hai_count // senders
        await asyncio.gather(*[send(staged, n, each, acks) for n in range(senders)])
        kill_under(staged.served.process)
    steps = list(steps_of(trace, before))
    return Disk(before, staged.data), steps, acks


def child_of(wrapper):
    """The process id of what runs under strace."""
    children = Path(f"/proc/{wrapper.pid}/task/{wrapper.pid}/children").read_text()
    return int(children.split()[0])


def kill_under(wrapper):
    """Kill what runs under strace, which then ends too; killed itself it lets go."""
    os.kill(child_of(wrapper), signal.SIGKILL)
    wrapper.wait(timeout=60)


def strace(trace, data, *more, names=NAMES):
    """The command that runs another under strace, looking at these files only."""
    paths = [data, *(data / name for name in names)]
    only = [word for path in paths for word in ("-P", str(path))]
    look = ["-e", f"trace={CALLS}", "-e", "signal=none", "-s", "1100000"]
    return [
        "strace",
        "-f",
        "-qq",
        "-y",
        "-xx",
        "-ttt",
        *look,
        *only,
        *more,
        "-o",
        str(trace),
    ]


async def send(staged, number, count, acks):
    """One person who sends, and notes when each ack was heard."""
    token, room_id = staged.tokens[number], staged.room_id
    client = await NativeClient(staged.port, token).start()
    http = Http(staged.port, token)
    for index in range(count):
        payload = {"room_id": room_id, "client_id": f"{number}-{index}"}
        payload["text"] = f"{number}-{index} " + "hai " * (index % 50)
        if index % PICTURE_EVERY == 7:
            data = big_png(1000 + 7919 * index % 400_000)
            picture = await upload(http, room_id, "p.png", data)
            digest = hashlib.sha256(data).digest()
            acks.pictures.append((time.time(), picture["id"], digest))
            payload["picture_ids"] = [picture["id"]]
        hai = (await client.order("send_hai", payload))["hai"]
        acks.hais.append((time.time(), hai["id"], hai["text"]))
    http.close()
    await client.stop()


def steps_of(trace, before):
    """Read the recording. A sync counts from its end, a write from its beginning."""
    known, under_way = set(before), {}
    for line in trace.read_text().splitlines():
        found = LINE.match(line)
        if not found:
            continue
        thread, at_s = line.split(" ", 1)[0], float(found["at"])
        if found["again"]:
            step = under_way.pop(thread, None)
            if step:
                step.at_s = at_s
                yield step
            continue
        step = step_of(at_s, found["call"], found["args"], known)
        if step is None:
            continue
        if step.kind == "sync" and "<unfinished" in line:
            under_way[thread] = step
        else:
            yield step


def step_of(at_s, call, args, known):
    """One line as a Step; None: it changes nothing on the disk."""
    texts = [bytes.fromhex(text.replace("\\x", "")) for text in TEXT.findall(args)]
    handle = HANDLE.match(args)
    path = handle and unhex(handle[1])
    if call == "openat":
        path = texts[0].decode()
        if "O_CREAT" not in args or path in known:
            return None
        known.add(path)
        return Step(at_s, "make", path)
    if call in ("unlink", "unlinkat"):
        known.discard(texts[0].decode())
        return Step(at_s, "remove", texts[0].decode())
    if call in ("rename", "renameat", "link", "linkat"):
        kind = call.removesuffix("at")
        path, name = (text.decode() for text in texts)
        known.add(name)
        return Step(at_s, kind, path, name=name)
    if call in ("fsync", "fdatasync"):
        return Step(at_s, "sync", path)
    numbers = [int(number) for number in re.findall(r", (\d+)", TEXT.sub("", args))]
    if call == "ftruncate":
        return Step(at_s, "size", path, numbers[0])
    assert call == "pwrite64", f"a call that the playback does not know: {call}"
    return Step(at_s, "write", path, numbers[1], texts[-1])


def unhex(text):
    """A path as strace prints it, in hexadecimal with -xx."""
    if "\\x" not in text:
        return text
    return bytes.fromhex(text.replace("\\x", "")).decode()


# --- Playback -------------------------------------------------------------------------


class Disk:
    """The files at one moment of the recording.

    namings: which file each path names: as the folder was synced last, and after
    each change since. A cut leaves any of them, since such changes reach the disk
    one after the other.
    """

    def __init__(self, before, folder):
        self.namings = [{path: File(content) for path, content in before.items()}]
        self.folder = str(folder)

    def take(self, step):
        named = self.namings[-1]
        file = named.get(step.path)
        if step.path == self.folder:
            self.namings = [named]
        elif step.kind == "make":
            self.namings.append(named | {step.path: File()})
        elif file is None:
            return
        elif step.kind in ("remove", "rename"):
            rest = {path: one for path, one in named.items() if path != step.path}
            again = {step.name: file} if step.kind == "rename" else {}
            self.namings.append(rest | again)
        elif step.kind == "link":
            self.namings.append(named | {step.name: file})
        elif step.kind == "sync":
            file.sync()
        else:
            file.pending.append(step)

    def write_to(self, folder, fate, dice):
        """Make the files as they are after the power came back."""
        contents = {}  # of files by identity: two names may be one file's
        for path, file in dice.choice(self.namings).items():
            if path.endswith("-shm"):
                continue
            if id(file) not in contents:
                contents[id(file)] = file.after(fate_of(fate, dice))
            (folder / Path(path).name).write_bytes(contents[id(file)])


def spread(cuts, steps, dice):
    """Moments for so many cuts, spread over all steps: sorted indexes of them."""
    return sorted(dice.randrange(len(steps)) for _ in range(cuts))


def play(disk, steps, look, moments, dice):
    """Cut the power before each of these steps; yield what is wrong.

    look(folder, at_s, number): what is wrong with the files that a cut has left.
    """
    moments = [*moments, -1]
    at = 0
    for index, step in enumerate(steps):
        while moments[at] == index:  # the power fails before this step
            at += 1
            fate = dice.choice(list(FATES))
            with tempfile.TemporaryDirectory() as folder:
                disk.write_to(Path(folder), fate, dice)
                for problem in look(Path(folder), step.at_s, at):
                    yield f"cut before step {index} ({step.kind}), {fate}: {problem}"
        disk.take(step)


def looking_for(acks):
    """A `look`: whether all that had been acked is there."""

    def look(folder, at_s, number):
        try:
            with closing(sqlite3.connect(folder / "hai.db")) as db:
                yield from missing(db, acks, at_s)
            if number % VERIFY_EVERY == 0:
                yield from verify.problems(folder / "hai.db", verify.Counts())
        except sqlite3.Error as error:
            yield f"it does not open: {error}"

    return look


def missing(db, acks, at_s):
    for (line,) in db.execute("PRAGMA integrity_check"):
        if line != "ok":
            yield line
    stored = dict(db.execute("SELECT id, text FROM hais"))
    for acked_s, hai_id, text in acks.hais:
        if acked_s <= at_s and stored.get(hai_id) != text:
            yield f"hai {hai_id} is {stored.get(hai_id)!r}"
    for acked_s, picture_id, digest in acks.pictures:
        if acked_s <= at_s and sha256_of(db, picture_id) != digest:
            yield f"picture {picture_id} is not what was acked"


def sha256_of(db, picture_id):
    query = (
        "SELECT c.bytes FROM pictures p"
        " JOIN chunks c ON c.picture_id = coalesce(p.bytes_of_id, p.id)"
        " WHERE p.id = ? ORDER BY c.number"
    )
    digest = hashlib.sha256()
    for (data,) in db.execute(query, (picture_id,)):
        digest.update(data)
    return digest.digest()


async def run(cuts=300, hais=400, seed=1, *flags):
    """Record, then cut; returns (steps, acks, problems). flags: the server's."""
    with tempfile.TemporaryDirectory() as folder:
        disk, steps, acks = await record(folder, hais, *flags)
    dice = random.Random(seed)
    moments = spread(cuts, steps, dice)
    return steps, acks, list(play(disk, steps, looking_for(acks), moments, dice))


def checkpoints_of(steps):
    """How often the file itself was synced: once in each checkpoint."""
    return sum(s.kind == "sync" and s.path.endswith("hai.db") for s in steps)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cuts", type=int, default=10_000)
    parser.add_argument("--hais", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began_s = time.monotonic()
    steps, acks, problems = swarm.run(run(given.cuts, given.hais, given.seed))
    for problem in problems[:20]:
        print(problem)
    syncs = sum(step.kind == "sync" for step in steps)
    print(
        f"{given.cuts} cuts in {len(steps)} steps ({syncs} syncs,"
        f" {checkpoints_of(steps)} checkpoints),"
        f" {len(acks.hais)} hais and {len(acks.pictures)} pictures acked:"
        f" {len(problems)} problems; {time.monotonic() - began_s:.0f} s in all"
    )
    return bool(problems)


if __name__ == "__main__":
    raise SystemExit(main())
