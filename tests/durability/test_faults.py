"""The disk is full, the file is locked, broken or not ours, the process is frozen.

Real faults on a real server in a process of its own: a small disk, a limit on the size
of files, and strace, which lets a system call fail.
"""

import asyncio
import os
import re
import resource
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path

import pytest

from hai.storage.sqlite.migrations import MIGRATIONS
from hai.storage.sqlite.write_lock import BUSY_TIMEOUT_MS
from tests.durability import swarm
from tests.durability.power import child_of, strace
from tests.durability.stage import Stage
from tests.durability.swarm import (
    Gone,
    Http,
    NativeClient,
    SocketIoClient,
    upload,
)
from tests.pictures import big_png
from tests.served import ROOT, RUN, clean_environment, run_command

PASSWORD = "a good long password"
MIB = 1024 * 1024


@pytest.fixture
def staged(tmp_path):
    """`staged(*flags)`: a server with two people in one room; staged.served."""
    stages = []

    def make(*flags, folder=tmp_path):
        stages.append(Stage(folder, *flags, people=2))
        return stages[-1].set_up()

    yield make
    for stage in stages:
        if stage.served.process:
            stage.served.stop(signal.SIGKILL)


class Disk:
    """A folder with a file system of 24 MiB of its own.

    Where we may not mount, a process in namespaces of its own does, and is there as
    long as the disk; its root is seen by all of our processes.
    """

    def __init__(self, folder):
        self.folder = folder
        self.keeper = None
        if self.run("mount", *TMPFS, folder):
            command = 'mount "$@" && echo ready && exec sleep infinity'
            self.keeper = subprocess.Popen(
                ["unshare", "-Urm", "sh", "-c", command, "sh", *TMPFS, folder],
                stdout=subprocess.PIPE,
            )
            if not self.keeper.stdout.readline():
                self.close()
                pytest.skip("neither root nor a user of their own may mount a disk")

    @property
    def path(self):
        root = f"/proc/{self.keeper.pid}/root" if self.keeper else ""
        return Path(f"{root}{self.folder}")

    def run(self, *command):
        """Run a program where the disk is mounted; return its exit code."""
        enter = ["nsenter", "-U", "-m", "--preserve-credentials"]
        where = [*enter, "-t", str(self.keeper.pid)] if self.keeper else []
        return subprocess.run([*where, *command], capture_output=True).returncode

    def remount(self, how):
        assert self.run("mount", "-o", f"remount,bind,{how}", self.folder) == 0

    def close(self):
        if self.keeper:
            self.keeper.kill()
            self.keeper.communicate()
        else:
            assert self.run("umount", "-l", self.folder) == 0


TMPFS = ("-t", "tmpfs", "-o", "size=24m", "hai-test")


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "small").mkdir()
    disk = Disk(tmp_path / "small")
    yield disk
    disk.close()


@pytest.fixture
def small_disk(disk):
    return disk.path


async def send(client, stage, client_id, text="hai"):
    """The ack of one hai."""
    payload = {"room_id": stage.room_id, "text": text, "client_id": client_id}
    return await client.order("send_hai", payload)


async def send_until_refused(client, stage, limit=3000):
    """(client_ids acked, the error at last)."""
    acked = []
    for number in range(limit):
        client_id = f"fill {number}"
        ack = await send(client, stage, client_id, f"{number} " * 700)
        if "error" in ack:
            return acked, ack["error"]
        acked.append(client_id)
    raise AssertionError("it was never refused")


async def send_until_taken(client, stage, client_id):
    """Send again and again until it is acked; how often it was refused."""
    for count in range(600):
        if "hai" in await send(client, stage, client_id):
            return count
        await asyncio.sleep(0.1)
    raise AssertionError("it is still refused")


async def send_until_full(client, stage, ballast):
    """(client_ids acked, the one refused), with a disk that another program fills anew
    before each: Hai gives room back by itself when it writes its log back."""
    acked = []
    for number in range(100):
        fill(ballast)
        client_id = f"no {number}"
        ack = await send(client, stage, client_id)
        if "error" in ack:
            assert ack["error"]["code"] == "storage_full"
            return acked, client_id
        acked.append(client_id)
    raise AssertionError("it was never refused")


async def health(stage):
    http = Http(stage.port, "")
    try:
        return await http.ask("GET", "/healthz")
    finally:
        http.close()


async def sign_in(stage, name):
    """Sign in by the form; raises Gone when it is refused."""
    http = Http(stage.port, "")
    form = f"name={name}&password={PASSWORD.replace(' ', '+')}".encode()
    try:
        await http.ask("POST", "/sign_in", form, "application/x-www-form-urlencoded")
    finally:
        http.close()


def stored(stage):
    """client_id -> how many rows."""
    with closing(sqlite3.connect(stage.database)) as db:
        query = "SELECT client_id, count(*) FROM hais GROUP BY client_id"
        return dict(db.execute(query).fetchall())


def assert_stored_once(stage, acked):
    rows = stored(stage)
    assert [c for c in acked if rows.get(c) != 1] == []
    assert max(rows.values()) == 1


# --- No room --------------------------------------------------------------------------


def test_on_a_full_disk_one_can_read_and_sign_in_but_not_send(staged, small_disk):
    stage = staged(folder=small_disk)
    add = ("users", "add", "guest", "--password-stdin")
    stage.served.run(*add, stdin=PASSWORD + "\n")
    ballast = small_disk / "ballast"

    async def scene():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        await send(client, stage, "before")
        fill(ballast)
        acked, error = await send_until_refused(client, stage)
        assert error["code"] == "storage_full"
        fill(ballast)  # not a byte is free but what Hai holds
        for _ in range(5):
            await sign_in(stage, "guest")
        page = {"room_id": stage.room_id}
        assert len((await client.order("get_hais", page))["hais"]) > 0
        more, refused = await send_until_full(client, stage, ballast)
        assert b"storage_full" in await health(stage)
        ballast.unlink()
        await send_until_taken(client, stage, refused)
        await client.stop()
        return ["before", *acked, *more, refused]

    acked = swarm.run(scene())
    assert stage.stop() == 0
    assert_stored_once(stage, acked)
    assert "no problems" in stage.served.run("verify")


def fill(path):
    """Write until nothing fits any more."""
    with path.open("ab", buffering=0) as file, suppress(OSError):
        for size in (65536, 4096, 512, 1):
            with suppress(OSError):
                while True:
                    file.write(bytes(size))


def test_on_a_full_disk_deleting_makes_room_for_new_hais(staged, small_disk):
    """However many small orders came before: another program takes at once what is
    given back, and the log begins anew in its own room."""
    stage = staged("--min-free-bytes", "0", folder=small_disk)
    ballast = small_disk / "ballast"

    async def scene():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        http = Http(stage.port, stage.tokens[0])
        hai_ids = [await send_picture(http, client, stage, n) for n in range(16)]
        http.close()
        fill(ballast)
        acked, error = await send_until_refused(client, stage)
        assert error["code"] == "storage_full"
        for name in ("add_reaction", "remove_reaction") * 50:
            fill(ballast)
            order = {"hai_id": hai_ids[0], "emoji": "👍"}
            assert "hai" in await client.order(name, order)
        for hai_id in hai_ids:
            fill(ballast)
            assert "hai" in await client.order("delete_hai", {"hai_id": hai_id})
        await send_until_taken(client, stage, "again")
        for number in range(100):
            assert "hai" in await send(client, stage, f"more {number}", "more " * 700)
        await client.stop()
        return [*acked, "again", *[f"more {number}" for number in range(100)]]

    acked = swarm.run(scene())
    assert ballast.stat().st_size > MIB, "the disk was never full"
    assert stage.stop() == 0
    assert_stored_once(stage, acked)
    assert "no problems" in stage.served.run("verify")


async def send_picture(http, client, stage, number):
    """One of 400 KB that no other is like; the id of its hai."""
    picture = await upload(http, stage.room_id, "p.png", big_png(400_000 + number))
    order = {"picture_ids": [picture["id"]], "client_id": f"picture {number}"}
    ack = await client.order("send_hai", {"room_id": stage.room_id, **order})
    return ack["hai"]["id"]


def test_on_a_full_disk_pictures_are_refused_and_later_taken(staged, small_disk):
    stage = staged("--min-free-bytes", "0", folder=small_disk)
    ballast = small_disk / "ballast"

    async def scene():
        http = Http(stage.port, stage.tokens[0])
        with ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, 12 * MIB)
        with pytest.raises(Gone, match=r"507.*storage_full"):
            for number in range(20):
                await upload(http, stage.room_id, "p.png", big_png(MIB + number))
        ballast.unlink()
        await until_uploaded(stage)
        http.close()

    swarm.run(scene())
    assert stage.stop() == 0
    assert "no problems" in stage.served.run("verify")


async def until_uploaded(stage):
    """Upload again and again until it is taken; returns the picture."""
    for _ in range(600):
        http = Http(stage.port, stage.tokens[0])
        try:
            return await upload(http, stage.room_id, "p.png", big_png(200_000))
        except (Gone, ConnectionError):
            await asyncio.sleep(0.1)
        finally:
            http.close()
    raise AssertionError("it is still refused")


def test_after_a_stop_it_starts_again_on_a_full_disk(staged, small_disk):
    """The room that it holds for that day is for this, too."""
    stage = staged(folder=small_disk)
    ballast = small_disk / "ballast"

    async def fill_up():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        assert "hai" in await send(client, stage, "before")
        fill(ballast)
        acked, _ = await send_until_refused(client, stage)
        await client.stop()
        return ["before", *acked]

    async def look():
        client = await NativeClient(stage.port, stage.tokens[1]).start()
        page = {"room_id": stage.room_id}
        assert len((await client.order("get_hais", page))["hais"]) > 0
        more, refused = await send_until_full(client, stage, ballast)
        ballast.unlink()
        await send_until_taken(client, stage, refused)
        await client.stop()
        return [*more, refused]

    acked = swarm.run(fill_up())
    for stop in (stage.stop, stage.kill):
        stop()
        fill(ballast)
        stage.start()
    acked += swarm.run(look())
    assert stage.stop() == 0
    assert_stored_once(stage, acked)


def test_when_nothing_is_held_a_start_on_a_full_disk_says_so(staged, small_disk):
    stage = staged(folder=small_disk)
    stage.stop()
    os.truncate(stage.data / "hai.reserve", 0)
    fill(small_disk / "ballast")
    assert_refused(run_command(stage.data, "--port", "0"), "disk is full")


def test_somebody_has_removed_the_room_that_is_held(staged, small_disk):
    """Then there is none for the small writes; but each is answered."""
    stage = staged(folder=small_disk)
    ballast = small_disk / "ballast"

    async def scene():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        (stage.data / "hai.reserve").unlink()
        fill(ballast)
        acked, error = await send_until_refused(client, stage)
        assert error["code"] == "storage_full"
        more, refused = await send_until_full(client, stage, ballast)
        ballast.unlink()
        await send_until_taken(client, stage, refused)
        await client.stop()
        return [*acked, *more, refused]

    acked = swarm.run(scene())
    assert stage.stop() == 0
    assert_stored_once(stage, acked)


def test_a_disk_that_cannot_be_written_to_is_said_in_one_line(disk, tmp_path):
    data = disk.path / "data"
    run_command(data, "users", "add", "ada")
    disk.remount("ro")
    for command in (["--port", "0"], ["users", "list"], ["backup", tmp_path / "b.db"]):
        assert_refused(run_command(data, *command), "Read-only")
    assert_refused(run_command(disk.path / "new", "--port", "0"), "Read-only")
    disk.remount("rw")
    assert run_command(data, "users", "list").stdout.startswith("ada")


def assert_refused(ran, said):
    """Exit code 3, and one line beside the settings."""
    assert ran.returncode == 3, ran.stderr
    lines = [line for line in ran.stderr.splitlines() if " INFO " not in line]
    assert len(lines) == 1 and said in lines[0], ran.stderr


def test_a_limit_on_the_size_of_files_is_like_a_full_disk(staged):
    stage = staged()
    pid = stage.served.process.pid
    soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)

    async def scene():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (1024 * 1024, hard))
        acked, error = await send_until_refused(client, stage)
        assert error["code"] == "storage_full"
        page = {"room_id": stage.room_id}
        assert len((await client.order("get_hais", page))["hais"]) > 0
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
        await send_until_taken(client, stage, "again")
        await client.stop()
        return [*acked, "again"]

    acked = swarm.run(scene())
    stage.stop()
    assert_stored_once(stage, acked)


# --- The disk fails -------------------------------------------------------------------


@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
def test_after_a_failed_sync_nothing_is_acked(staged, tmp_path, call):
    """A write that fails is refused and the next one may work; a sync that fails
    makes Hai stop, since no later one could be believed."""
    stage = staged()
    stage.stop()
    when = "30+" if call == "fdatasync" else "60..62"
    inject = ("-e", f"inject={call}:error=EIO:when={when}")
    trace = tmp_path / "trace.txt"
    stage.served.wrapper = strace(trace, stage.data, *inject)
    stage.start()
    acked, error = swarm.run(send_through(stage))
    if call == "fdatasync":
        stage.served.process.wait(timeout=60)
        assert stage.stop() == 3
        assert stage.served.log.count("CRITICAL") == 1
        assert error in (None, "busy")
    else:
        assert error == "busy" and "again" in acked
        assert stage.served.process.poll() is None
        os.kill(child_of(stage.served.process), signal.SIGTERM)
        stage.served.process.wait(timeout=60)
        assert stage.stop() == 0
    assert len(acked) >= 3
    stage.served.wrapper = []
    stage.start()
    stage.stop()
    assert_stored_once(stage, acked)


def test_writes_that_fail_are_told_once_and_counted_and_health_says_so(
    staged, tmp_path
):
    """A hundred attempts fail, be they posts or the writer's own once a second."""
    stage = staged()
    stage.stop()
    inject = ("-e", "inject=pwrite64:error=EIO:when=60..160")
    stage.served.wrapper = strace(tmp_path / "trace.txt", stage.data, *inject)
    stage.start()
    before = stage.served.log.count(" ERROR ")

    async def scene():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        assert b'"ok"' in await health(stage)
        taken = 0
        while "hai" in await send(client, stage, f"taken {taken}"):
            taken += 1
        with pytest.raises(Gone, match=r"503.*failing"):
            await health(stage)
        failed = 1
        while "error" in await send(client, stage, "again"):
            failed += 1
        assert b'"ok"' in await health(stage)
        await client.stop()
        return failed

    failed = swarm.run(scene())
    assert failed > 10
    assert stage.served.log.count(" ERROR ") == before + 1
    told = re.findall(r"writes succeed again; (\d+) had failed", stage.served.log)
    assert len(told) == 1 and int(told[0]) >= failed  # Hai may have had its own
    os.kill(child_of(stage.served.process), signal.SIGTERM)
    stage.served.process.wait(timeout=60)
    assert stage.stop() == 0
    stage.served.wrapper = []
    stage.start()
    stage.stop()
    assert_stored_once(stage, ["again"])


@pytest.mark.parametrize("when", ["1", "1+"])
def test_after_a_sync_that_failed_in_a_checkpoint_nothing_is_acked(
    staged, tmp_path, when
):
    """SQLite's own checkpoint keeps silent about it. Once is enough: the next sync
    succeeds without what the first one has lost."""
    stage = staged()
    stage.stop()
    stage.served.wrapper = [
        *("strace", "-f", "-qq", "-o", tmp_path / "trace.txt"),
        *("-P", stage.database, "-e", "trace=fdatasync,fsync", "-e", "signal=none"),
        *("-e", f"inject=fdatasync,fsync:error=EIO:when={when}"),
    ]
    stage.start()
    acked = swarm.run(upload_through(stage))
    assert stage.served.process.wait(timeout=60) == 3
    assert stage.served.log.count("CRITICAL") == 1
    assert 3 <= len(acked) < 16  # the first checkpoint is due at 16 MiB: five of them
    stage.stop()
    stage.served.wrapper = []
    stage.start()
    stage.stop()
    with closing(sqlite3.connect(stage.database)) as db:
        query = "SELECT id FROM pictures WHERE completed_at IS NOT NULL"
        assert set(acked) <= {id_ for (id_,) in db.execute(query)}
    assert "no problems" in stage.served.run("verify")


async def upload_through(stage, limit=40):
    """Upload different pictures until one is refused; the ids of those acked."""
    http = Http(stage.port, stage.tokens[0])
    acked = []
    with suppress(Gone, OSError, EOFError):
        for number in range(limit):
            data = big_png(3_000_000 + number)
            acked.append((await upload(http, stage.room_id, "p.png", data))["id"])
    http.close()
    return acked


async def until_told(stage, client):
    """Commit until the log has been too long for several tries to begin it anew."""
    async with asyncio.timeout(60):
        while "stays long: another program is reading" not in stage.served.log:
            await client.order("create_room", {"name": "Yet another", "kind": "open"})
            await asyncio.sleep(0.2)


def test_another_program_that_reads_for_long_does_not_make_the_log_long(staged):
    """What makes it grow is refused until the reader has gone; nothing else is."""
    stage = staged()
    log = f"{stage.database}-wal"

    async def scene():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        with closing(sqlite3.connect(stage.database, isolation_level=None)) as other:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM users").fetchone()
            acked = await upload_through(stage)
            assert len(acked) > 10
            assert (await send(client, stage, "no"))["error"]["code"] == "busy"
            order = {"name": "Another", "kind": "open"}
            assert "room" in await client.order("create_room", order)
            assert 40 * MIB < os.stat(log).st_size < 64 * MIB
            await until_told(stage, client)
        await send_until_taken(client, stage, "no")
        await until_uploaded(stage)
        assert os.stat(log).st_size < 24 * MIB
        await client.stop()

    swarm.run(scene())
    assert stage.served.log.count("stays long: another program is reading") == 1
    assert stage.stop() == 0
    assert "no problems" in stage.served.run("verify")


def test_damage_that_is_met_while_it_serves_ends_it(staged):
    """One line in the log and exit code 3: nothing is acked on what is doubtful."""
    stage = staged()

    async def scene():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        http = Http(stage.port, stage.tokens[0])
        picture = await upload(http, stage.room_id, "p.png", big_png(50_000))
        with closing(sqlite3.connect(stage.database)) as other:
            other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
            query = "SELECT rootpage FROM sqlite_master WHERE name = 'chunks'"
            (page,) = other.execute(query).fetchone()
        overwrite(stage.database, (page - 1) * 4096, b"\xff" * 4096)
        await send(client, stage, "so that nobody trusts what they have cached")
        with pytest.raises((Gone, OSError, EOFError)):
            await http.ask("GET", picture["url"])
        http.close()

    swarm.run(scene())
    assert stage.served.process.wait(timeout=60) == 3
    assert stage.served.log.count("CRITICAL") == 1
    assert "Traceback" not in stage.served.log


async def send_through(stage):
    """(client_ids acked, code of the first refusal)."""
    client = await NativeClient(stage.port, stage.tokens[0]).start()
    acked, code = [], None
    for number in range(200):
        try:
            ack = await send(client, stage, f"hai {number}")
        except Gone:
            break
        if "error" in ack:
            code = ack["error"]["code"]
            with suppress(Gone):
                await asyncio.wait_for(send_until_taken(client, stage, "again"), 60)
                acked.append("again")
            break
        acked.append(f"hai {number}")
    await client.stop()
    return acked, code


# --- The file -------------------------------------------------------------------------


def test_a_locked_database_is_waited_for_then_busy_and_nothing_is_doubled(staged):
    stage = staged()

    async def scene():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        with closing(sqlite3.connect(stage.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            waiting = client.start_order("send_hai", hai_of(stage, "short"))
            await asyncio.sleep(1)
            assert not waiting.done()
            other.execute("ROLLBACK")
            assert "hai" in await waiting
            other.execute("BEGIN IMMEDIATE")
            ack = await client.order("send_hai", hai_of(stage, "long"))
            assert ack["error"]["code"] == "busy"
            other.execute("ROLLBACK")
        await send_until_taken(client, stage, "long")
        await client.stop()

    swarm.run(scene())
    stage.stop()
    assert stored(stage) == {"short": 1, "long": 1}


LATER = 20


def test_a_lock_that_is_held_for_long_is_waited_for_once_and_not_by_each(staged):
    """Who is queued meanwhile is refused with the first; who comes later, at once.

    All of the waits are compared with what one each would take at least.
    """
    stage = staged()

    async def scene():
        began_s = time.monotonic()
        clients = [
            await NativeClient(stage.port, token).start() for token in stage.tokens
        ]
        with closing(sqlite3.connect(stage.database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            first = clients[0].start_order("send_hai", hai_of(stage, "first"))
            await asyncio.sleep(1)
            behind = [
                client.start_order("send_hai", hai_of(stage, f"behind {number}"))
                for number, client in enumerate(clients)
            ]
            acks = [await first, *[await order for order in behind]]
            for number in range(LATER):
                acks.append(await send(clients[0], stage, f"later {number}"))
            assert {ack["error"]["code"] for ack in acks} == {"busy"}
            waited_s = time.monotonic() - began_s
            other.execute("ROLLBACK")
        assert waited_s < LATER * BUSY_TIMEOUT_MS / 1000 / 2
        await send_until_taken(clients[0], stage, "later 0")
        for client in clients:
            await client.stop()

    swarm.run(scene())
    stage.stop()
    assert stored(stage) == {"later 0": 1}


def hai_of(stage, client_id):
    return {"room_id": stage.room_id, "text": "hai", "client_id": client_id}


def overwrite(path, offset, data):
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def make_foreign(path):
    path.unlink()
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE bookmarks (url TEXT)")


def make_newer(path):
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")


def leave_the_log_only(path):
    path.rename(f"{path}-wal")


RUINS = {
    "is not a Hai database": lambda path: overwrite(path, 0, b"ruined" * 100),
    "is damaged": lambda path: os.truncate(path, path.stat().st_size // 2),
    "is damaged;": lambda path: overwrite(path, 8192, b"\xff" * 4096),
    "another program's": make_foreign,
    "newer Hai": make_newer,
    "missing or empty, but": leave_the_log_only,
    "missing or empty, and": Path.unlink,
    "missing or empty, and was": lambda path: os.truncate(path, 0),
}


@pytest.fixture(scope="module")
def community(tmp_path_factory):
    data = tmp_path_factory.mktemp("community") / "data"
    run_command(data, "seed", "--users", "5", "--rooms", "1", "--hais", "300")
    return data


@pytest.mark.parametrize("said", RUINS)
def test_a_file_that_cannot_be_used_is_said_in_one_line_and_kept(
    community, tmp_path, said
):
    data = shutil.copytree(community, tmp_path / "data")
    RUINS[said](data / "hai.db")
    before = {path.name: path.read_bytes() for path in data.glob("hai.db*")}
    assert_refused(run_command(data, "--port", "0"), said)
    after = {path.name: path.read_bytes() for path in data.glob("hai.db*")}
    assert {name: after.get(name) for name in {"hai.db", *before}} == {
        "hai.db": None
    } | before


def test_a_file_that_is_locked_is_said_in_one_line(community, tmp_path):
    """After the five seconds that another program is given."""
    data = shutil.copytree(community, tmp_path / "data")
    with closing(sqlite3.connect(data / "hai.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert_refused(run_command(data, "--port", "0"), "used by another program")
    assert run_command(data, "users", "list").returncode == 0


@pytest.mark.parametrize("mode", [0o000, 0o400])
def test_a_file_without_permission_is_said_in_one_line(community, tmp_path, mode):
    """As root too: without the right to override permissions."""
    data = shutil.copytree(community, tmp_path / "data")
    (data / "hai.db").chmod(mode)
    assert_refused(run_without_rights(data), "cannot be")


def run_without_rights(data):
    drop = []
    if os.geteuid() == 0:
        rights = "-dac_override,-dac_read_search"
        drop = ["setpriv", f"--bounding-set={rights}", f"--inh-caps={rights}"]
    return subprocess.run(
        [*drop, sys.executable, str(RUN), "--port", "0", "--data", str(data)],
        cwd=ROOT,
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )


# --- The process ----------------------------------------------------------------------


def test_frozen_for_a_while_it_goes_on_with_everybody(staged):
    """Ten seconds of SIGSTOP are longer than pings may take, and nobody's fault."""
    stage = staged("--ping-interval-s", "2", "--ping-timeout-s", "6")

    async def scene():
        kinds = (NativeClient, SocketIoClient)
        clients = [await kind(stage.port, stage.tokens[0]).start() for kind in kinds]
        os.kill(stage.served.process.pid, signal.SIGSTOP)
        sent = [
            client.start_order("send_hai", hai_of(stage, f"frozen {number}"))
            for number, client in enumerate(clients)
        ]
        await asyncio.sleep(10)
        os.kill(stage.served.process.pid, signal.SIGCONT)
        acks = await asyncio.wait_for(asyncio.gather(*sent), 60)
        assert all("hai" in ack for ack in acks)
        await asyncio.sleep(1)
        assert not any(client.closed.is_set() for client in clients)
        for client in clients:
            await client.stop()

    swarm.run(scene())
    stage.stop()
    assert stored(stage) == {"frozen 0": 1, "frozen 1": 1}


@pytest.fixture
def limited(staged):
    """`limited(count)`: a server that may open so many descriptors."""

    def make(count):
        stage = staged()
        stage.stop()
        stage.served.wrapper = ["prlimit", f"--nofile={count}:{count}"]
        stage.start()
        return stage

    return make


async def knock(stage, head, count):
    """Connections of one address that say so much and no more."""
    crowd = []
    for _ in range(count):
        crowd.append(await asyncio.open_connection("127.0.0.1", stage.port))
        crowd[-1][1].write(head)
    return crowd


def upgrade(token):
    """What a member's WebSocket begins with."""
    lines = (
        *("GET /ws HTTP/1.1", "Host: hai", f"Authorization: Bearer {token}"),
        *("Connection: Upgrade", "Upgrade: websocket", "Sec-WebSocket-Version: 13"),
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    )
    return "\r\n".join((*lines, "", "")).encode()


def test_out_of_descriptors_it_serves_who_is_there_and_then_all(limited):
    stage = limited(100)
    pid = stage.served.process.pid

    async def scene():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        crowd = await knock(stage, upgrade(stage.tokens[0]), 150)
        began_s, cpu_s = time.monotonic(), cpu_of(pid)
        for number in range(10):
            assert "hai" in await send(client, stage, f"crowded {number}")
            await asyncio.sleep(0.2)
        assert cpu_of(pid) - cpu_s < (time.monotonic() - began_s) / 2
        for _, writer in crowd:
            writer.close()
        late = await asyncio.wait_for(let_in(stage), 60)
        assert "hai" in await send(late, stage, "late")
        await client.stop()
        await late.stop()

    swarm.run(scene())
    assert stage.served.log.count("file descriptors") == 1
    assert "Traceback" not in stage.served.log


HEALTH = "GET /healthz HTTP/1.1\r\nHost: hai\r\n"
SILENCE = {
    "nothing": "",
    "half of a head": HEALTH,
    "what is no HTTP": "hai\r\n\r\n",
    "what is answered": f"{HEALTH}\r\n",
}


@pytest.mark.parametrize("said", SILENCE)
def test_600_silent_connections_of_one_address_keep_nobody_out(limited, said):
    """There are 256 descriptors; a tenth of them is of members at that address."""
    stage = limited(256)

    async def scene():
        tokens = [stage.tokens[0]] * 25
        members = [await NativeClient(stage.port, token).start() for token in tokens]
        crowd = await knock(stage, SILENCE[said].encode(), 600)
        await ask_from(stage, "127.0.0.2")
        assert b"ok" in await health(stage)
        listed = await asyncio.to_thread(stage.served.run, "users", "list")
        assert stage.names[0] in listed
        for number, member in enumerate(members):
            assert "hai" in await send(member, stage, f"{number}")
            await member.stop()
        for _, writer in crowd:
            writer.close()

    swarm.run(asyncio.wait_for(scene(), 120))
    assert stage.stop() == 0
    assert "Traceback" not in stage.served.log


async def ask_from(stage, address):
    """A member's question from there is answered."""
    http = Http(stage.port, stage.tokens[1])
    local = (address, 0)
    opened = asyncio.open_connection("127.0.0.1", stage.port, local_addr=local)
    http.reader, http.writer = await opened
    assert stage.names[1] in (await http.ask("GET", "/api/v1/me")).decode()
    http.close()


async def let_in(stage):
    """The one that shows that there are no more is closed; then all are let in."""
    while True:
        with suppress(Gone):
            return await NativeClient(stage.port, stage.tokens[1]).start()
        await asyncio.sleep(0.1)


def cpu_of(pid):
    """Seconds of processor time that a process has had."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
