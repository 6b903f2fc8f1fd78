"""A file is removed, replaced, moved or cut under the running server.

Nothing is acked into it; Hai says so in one line, rescues what it has open, and ends
with exit code 3. Who does what the line says has every hai that was acked.
"""

import asyncio
import os
import re
import shutil
import signal
import sqlite3
from contextlib import closing, suppress

import pytest

from tests.durability import swarm
from tests.durability.stage import Stage
from tests.durability.swarm import Gone, Http, NativeClient, upload
from tests.durability.test_faults import (
    Disk,
    assert_refused,
    fill,
    hai_of,
    health,
    stored,
)
from tests.pictures import big_png
from tests.served import run_command

SENDERS = 4
PATIENCE_S = 120  # of a machine that is ten times slower


@pytest.fixture(scope="module")
def founded(tmp_path_factory):
    """Two people in one room, made once: a Stage that does not serve."""
    stage = Stage(tmp_path_factory.mktemp("founded"), people=2).set_up()
    stage.stop()
    return stage


@pytest.fixture
def staged(founded, tmp_path):
    """`staged()`: a server with a copy of them in a folder of its own."""
    stages = []

    def make(folder=tmp_path):
        stage = Stage(folder)
        shutil.copytree(founded.data, stage.data)
        stage.room_id, stage.tokens = founded.room_id, founded.tokens
        stage.served.log_path = tmp_path / "log"  # where no disk is made full
        stages.append(stage)
        stage.start()
        return stage

    yield make
    for stage in stages:
        if stage.served.process:
            stage.served.stop(signal.SIGKILL)


# --- Ways to lose a file: (stage) -> None ---------------------------------------------


def remove(suffix):
    return lambda stage: os.unlink(f"{stage.database}{suffix}")


def put_away(stage):
    stage.database.rename(stage.data.parent / "put-away.db")


def replace_by_copy(suffix):
    """As `cp` to another name and `mv` over the old one do."""

    def replace(stage):
        path, new = f"{stage.database}{suffix}", f"{stage.database}.new"
        shutil.copyfile(path, new)
        os.replace(new, path)

    return replace


def replace_by_link(stage):
    elsewhere = stage.data.parent / "elsewhere.db"
    shutil.copyfile(stage.database, elsewhere)
    stage.database.unlink()
    stage.database.symlink_to(elsewhere)


def move_folder(stage):
    stage.data.rename(stage.data.with_name("moved"))


def move_and_link_back(stage):
    """It is the same file; but its log is looked for beside its new place."""
    stage.database.rename(stage.data.parent / "elsewhere.db")
    stage.database.symlink_to(stage.data.parent / "elsewhere.db")


def remove_folder(stage):
    """All that is in it now, and the folder, unless a rescue is there meanwhile."""
    for path in list(stage.data.iterdir()):
        path.unlink(missing_ok=True)
    with suppress(OSError):
        stage.data.rmdir()


def remove_all_files(stage):
    for path in stage.data.iterdir():
        path.unlink()


def replace_folder(stage):
    stage.data.rename(stage.data.with_name("moved"))
    shutil.copytree(
        stage.data.with_name("moved"),
        stage.data,
        ignore=shutil.ignore_patterns("*.sock", "rescue-*", ".*"),
    )


LOSSES = {
    "the database is removed": remove(""),
    "the log is removed": remove("-wal"),
    "the index of the log is removed": remove("-shm"),
    "the database is put away": put_away,
    "the database is replaced by a copy": replace_by_copy(""),
    "the log is replaced by a copy": replace_by_copy("-wal"),
    "the database is replaced by a link": replace_by_link,
    "the database is moved and linked to": move_and_link_back,
    "the folder is moved": move_folder,
    "the folder is removed": remove_folder,
    "all files are removed": remove_all_files,
    "the folder is replaced by a copy": replace_folder,
}


class Talk:
    """People who send all the time, until they are refused. acked: client_ids."""

    def __init__(self, stage):
        self.stage = stage
        self.acked = []
        self.refused = []  # the client_id that each one sent last
        self.codes = set()

    async def run(self, lose, hais_before=30):
        """Talk, lose a file in the middle of it, and go on to the refusals."""
        tasks = [asyncio.create_task(self.send(n)) for n in range(SENDERS)]
        async with asyncio.timeout(PATIENCE_S):
            while len(self.acked) < hais_before:
                await asyncio.sleep(0.01)
            await asyncio.to_thread(lose, self.stage)
            await asyncio.gather(*tasks)

    async def send(self, sender):
        token = self.stage.tokens[sender % 2]
        client = await NativeClient(self.stage.port, token).start()
        count = 0
        with suppress(Gone):
            while True:
                count += 1
                client_id = f"{sender} {count}"
                ack = await client.order("send_hai", hai_of(self.stage, client_id))
                if "error" in ack:
                    self.codes.add(ack["error"]["code"])
                    break
                self.acked.append(client_id)
        self.refused.append(client_id)
        await client.stop()


def wait_for_end(stage, lines=1):
    """The last line that it has left, when it has ended with exit code 3."""
    assert stage.served.process.wait(timeout=PATIENCE_S) == 3
    stage.served.process.stdout.close()
    left = re.findall(r".* (?:CRITICAL|ERROR|WARNING) hai\..*", stage.served.log)
    assert len(left) == lines, left
    assert "Traceback" not in stage.served.log
    return left[-1]


def check_advice(stage, line):
    """Do what the line says, as a person would; it is tried without it before."""
    if found := re.search(r"run\.py restore (\S+)$", line):
        assert_refused(run_command(stage.data, "--port", "0"), found[0])
        ran = run_command(stage.data, "restore", found[1])
        assert ran.returncode == 0, ran.stderr
    elif found := re.search(r"move (\S+) back$", line):
        os.rename(found[1], stage.data)
    else:
        assert f"is in {stage.database} again" in line
    stage.start()


@pytest.mark.parametrize("how", LOSSES)
def test_all_that_was_acked_is_rescued_however_a_file_is_lost(staged, how):
    stage = staged()
    talk = Talk(stage)
    swarm.run(talk.run(LOSSES[how]))
    line = wait_for_end(stage)
    assert talk.codes <= {"busy"}
    check_advice(stage, line)
    swarm.run(check_retries(stage, talk.refused))
    assert stage.stop() == 0
    rows = stored(stage)
    assert len(talk.acked) >= 30
    assert [c for c in [*talk.acked, *talk.refused] if rows.get(c) != 1] == []
    assert "no problems" in stage.served.run("verify")


async def check_retries(stage, client_ids):
    """What was refused may have been stored all the same: it is not stored twice."""
    client = await NativeClient(stage.port, stage.tokens[0]).start()
    other = await NativeClient(stage.port, stage.tokens[1]).start()
    for client_id in client_ids:
        sender = client if int(client_id.split()[0]) % 2 == 0 else other
        assert "hai" in await sender.order("send_hai", hai_of(stage, client_id))
    await client.stop()
    await other.stop()


QUIET = ["the database is removed", "the log is removed", "the folder is moved"]


@pytest.mark.parametrize("how", QUIET)
def test_a_loss_is_noticed_when_nobody_sends(staged, how):
    stage = staged()
    LOSSES[how](stage)
    wait_for_end(stage)


def cut(suffix, share):
    def shorten(stage):
        path = f"{stage.database}{suffix}"
        os.truncate(path, int(os.stat(path).st_size * share))

    return shorten


CUTS = {
    "the log is emptied": cut("-wal", 0),
    "the log is cut in half": cut("-wal", 0.5),
}


@pytest.mark.parametrize("how", CUTS)
def test_nothing_is_acked_after_a_file_was_cut_short(staged, how):
    """What was written last is rescued from memory."""
    stage = staged()

    async def scene():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        acked = [f"before {number}" for number in range(20)]
        for client_id in acked:
            assert "hai" in await client.order("send_hai", hai_of(stage, client_id))
        CUTS[how](stage)
        with suppress(Gone):
            ack = await client.order("send_hai", hai_of(stage, "after"))
            assert ack["error"]["code"] == "busy"
        await client.stop()
        return acked

    acked = swarm.run(scene())
    line = wait_for_end(stage)
    assert "cut short" in line
    check_advice(stage, line)
    assert stage.stop() == 0
    assert set(acked) <= set(stored(stage))
    assert "no problems" in stage.served.run("verify")


def test_a_database_that_was_emptied_is_not_served_until_one_is_restored(
    staged, tmp_path
):
    stage = staged()
    saved = tmp_path / "saved.db"
    stage.served.run("backup", saved)
    os.truncate(stage.database, 0)
    assert f"{stage.database} was emptied while Hai served" in wait_for_end(stage)
    assert_refused(run_command(stage.data, "--port", "0"), "was emptied")
    assert run_command(stage.data, "restore", saved).returncode == 0
    stage.start()
    assert stage.stop() == 0


def test_what_cannot_be_rescued_is_not_said_to_be(staged):
    """More was in the log than is in memory; the line leads to what is left."""
    stage = staged()
    left = stored(stage)

    async def scene():
        http = Http(stage.port, stage.tokens[0])
        for number in range(12):
            await upload(http, stage.room_id, "p.png", big_png(1_000_000 + number))
        http.close()
        CUTS["the log is emptied"](stage)

    swarm.run(scene())
    line = wait_for_end(stage)
    assert "could not be rescued" in line and "all that was acked" not in line
    assert list(stage.data.glob("*rescue*")) == []
    check_advice(stage, line)
    assert stage.stop() == 0
    assert stored(stage) == left
    assert "no problems" in stage.served.run("verify")


@pytest.fixture
def disk(tmp_path):
    (tmp_path / "small").mkdir()
    disk = Disk(tmp_path / "small")
    yield disk
    disk.close()


def test_where_no_copy_fits_hai_stays_until_one_does(staged, disk):
    """What is in a file without a name ends with the process."""
    stage = staged(folder=disk.path)
    ballast = disk.path / "ballast"

    async def scene():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        assert "hai" in await client.order("send_hai", hai_of(stage, "before"))
        fill(ballast)
        stage.database.unlink()
        await until(lambda: "tries again" in stage.served.log)
        ack = await client.order("send_hai", hai_of(stage, "after"))
        assert ack["error"]["code"] == "busy"
        with pytest.raises(Gone, match=r"503.*failed"):
            await health(stage)
        assert stage.served.process.poll() is None
        ballast.unlink()
        await client.stop()

    swarm.run(scene())
    check_advice(stage, wait_for_end(stage, lines=2))
    assert stage.stop() == 0
    assert stored(stage) == {"before": 1}


async def until(is_so):
    async with asyncio.timeout(PATIENCE_S):
        while not is_so():
            await asyncio.sleep(0.05)


def test_another_disk_is_mounted_over_the_folder(staged, disk):
    """The folder is hidden, and the rescue is where one sees it."""
    stage = staged(folder=disk.path)
    talk = Talk(stage)
    mount = ("mount", "-t", "tmpfs", "-o", "size=24m", "hai-test")
    inside = disk.folder / "data"

    def lose(stage):
        assert disk.run(*mount, inside) == 0

    try:
        swarm.run(talk.run(lose))
        check_advice(stage, wait_for_end(stage))
        assert stage.stop() == 0
        assert set(talk.acked) <= set(stored(stage))
    finally:
        disk.run("umount", "-l", inside)


def test_a_backup_is_restored_where_only_the_log_is_left(staged, tmp_path):
    """The old log does not go into the file that takes the old one's name."""
    stage = staged()
    saved = tmp_path / "saved.db"
    stage.served.run("backup", saved)
    kept = stored(stage)

    async def scene():
        client = await NativeClient(stage.port, stage.tokens[0]).start()
        for number in range(20):
            await client.order("send_hai", hai_of(stage, f"later {number}"))
        await client.stop()

    swarm.run(scene())
    stage.kill()
    stage.database.unlink()
    assert_refused(run_command(stage.data, "--port", "0"), "missing or empty")
    assert run_command(stage.data, "restore", saved).returncode == 0
    assert stored(stage) == kept
    assert "no problems" in stage.served.run("verify")


@pytest.mark.parametrize("is_there", [False, True])
def test_a_copy_that_was_rescued_is_named_where_there_is_no_database(staged, is_there):
    """Also when the note beside it is gone; and where a new one without tables is: a
    connection that was just being made has made it."""
    stage = staged()
    LOSSES["all files are removed"](stage)
    wait_for_end(stage)
    (stage.data / "hai.lost").unlink()
    (copy,) = stage.data.glob("rescue-*.db")
    stage.database.unlink(missing_ok=True)
    if is_there:
        with closing(sqlite3.connect(stage.database)) as db:
            db.execute("PRAGMA journal_mode = wal")
    assert_refused(run_command(stage.data, "--port", "0"), f"run.py restore {copy}")
