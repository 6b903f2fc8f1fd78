"""A lost file is seen; what other programs may do with the files is no loss."""

import os
import sqlite3
from contextlib import closing

import pytest

from hai.storage.database import Database
from hai.storage.sqlite import wal
from tests.storage.test_writer import insert


@pytest.fixture(params=["plain", "a link", "in a linked folder"])
def db(request, io_loop, tmp_path):
    """The file, and where it may also be: behind a link."""
    real, path = tmp_path / "real" / "hai.db", tmp_path / "data" / "hai.db"
    real.parent.mkdir()
    if request.param == "a link":
        path.parent.mkdir()
        path.symlink_to(real)
    elif request.param == "in a linked folder":
        path.parent.symlink_to(real.parent)
    db = Database(path, durability="full", publish=lambda event: None)
    io_loop.run_sync(db.start)
    yield db
    io_loop.run_sync(db.stop)


def opened(path):
    return closing(sqlite3.connect(path, isolation_level=None))


async def check_writes(db, what, count=30):
    for number in range(count):
        await db.write(insert, f"{what} {number}")
        assert db.writer.files.find_loss() is None


def write_back(db):
    with opened(db.path) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def write_too(db):
    with opened(db.path) as other:
        other.execute("PRAGMA busy_timeout = 5000")
        other.execute(
            "INSERT INTO invites (code_hash, created_at, expires_at)"
            " VALUES (hex(randomblob(9)), 0, 0)"
        )


def shrink(db):
    """Makes the file shorter at the next time the log is written back."""
    with opened(db.path) as other:
        other.execute("CREATE TABLE filler (bytes BLOB)")
        other.execute("INSERT INTO filler VALUES (zeroblob(200000))")
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        other.execute("DROP TABLE filler")
        other.execute("PRAGMA incremental_vacuum").fetchall()
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()


def give_another_name(db):
    for file in (db.writer.files.database, db.writer.files.log):
        os.link(file.path, f"{file.path}.other")


def back_up(db):
    with opened(db.path) as other, opened(f"{db.path}.copy") as copy:
        other.backup(copy)


NO_LOSSES = [write_back, write_too, shrink, give_another_name, back_up]


@pytest.mark.parametrize("do", NO_LOSSES, ids=lambda do: do.__name__)
async def test_what_another_program_may_do_is_no_loss(db, do):
    await check_writes(db, "before")
    do(db)
    assert db.writer.files.find_loss() is None
    await check_writes(db, "after")
    assert db.writer.failure is None


async def test_our_own_care_for_the_log_is_no_loss(db, monkeypatch):
    """It is written back, begun anew and emptied again and again."""
    monkeypatch.setattr(wal, "DUE_PAGES", 5)
    monkeypatch.setattr(wal, "WAITED_FOR_BYTES", 50_000)
    monkeypatch.setattr(wal, "RETRY_S", 0)
    await check_writes(db, "one", 300)
    assert db.writer.failure is None
    assert os.stat(db.writer.files.log.path).st_size < 200_000
