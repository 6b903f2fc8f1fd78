"""Whose read comes next, how many may wait, and what ends one that nobody waits for."""

import asyncio
import sqlite3

import pytest
from peewee import OperationalError

from hai import errors
from hai.storage.database import Database, execute
from hai.storage.sqlite import readers
from tests.reads import endless, held, read_for, until

ADA, GRACE, LINUS = 1, 2, 3


@pytest.fixture
def db(io_loop, tmp_path):
    db = Database(tmp_path / "hai.db", durability="full", publish=print)
    io_loop.run_sync(db.start)
    yield db
    io_loop.run_sync(db.stop)


async def waiting(db, count):
    await until(lambda: db.readers.waiting_count == count)


async def test_people_take_turns_however_much_one_of_them_asks_for(db):
    order = []
    async with held(db):
        asked = [read_for(ADA, db.read_slow, order.append, f"ada {n}") for n in "123"]
        await waiting(db, 3)
        asked += [read_for(GRACE, db.read_slow, order.append, "grace 1")]
        asked += [read_for(LINUS, db.read_slow, order.append, "linus 1")]
        await waiting(db, 5)
    await asyncio.gather(*asked)
    assert order == ["ada 1", "grace 1", "linus 1", "ada 2", "ada 3"]


async def test_short_reads_take_turns_too(db):
    order = []
    async with held(db):  # one thread is left
        async with held(db, is_slow=False):
            await until(lambda: db.readers.running_count == 2)
            asked = [read_for(ADA, db.read, order.append, f"ada {n}") for n in "123"]
            await waiting(db, 3)
            asked += [read_for(GRACE, db.read, order.append, "grace 1")]
            await waiting(db, 4)
        await asyncio.gather(*asked)
    assert order == ["ada 1", "grace 1", "ada 2", "ada 3"]


async def test_slow_reads_never_keep_short_ones_from_a_thread(db):
    async with held(db):
        slow = [read_for(id_, db.read_slow, int) for id_ in (ADA, GRACE, LINUS)]
        await waiting(db, 3)
        for id_ in (ADA, GRACE, LINUS):
            assert await read_for(id_, db.read, int) == 0
        assert db.readers.waiting_count == 3  # none of the slow ones has begun
    await asyncio.gather(*slow)


@pytest.mark.parametrize(
    ("kind", "most"),
    [("read", readers.MAX_WAITING), ("read_slow", readers.MAX_WAITING_SLOW)],
)
async def test_so_many_of_one_may_wait_and_no_more(db, kind, most):
    read = getattr(db, kind)
    async with held(db), held(db, is_slow=False):
        await until(lambda: db.readers.running_count == 2)
        asked = [read_for(ADA, read, int) for _ in range(most)]
        await waiting(db, most)
        with pytest.raises(errors.Busy):
            await read_for(ADA, read, int)
        assert db.readers.refused_count == 1
        asked += [read_for(GRACE, read, int)]
        asked += [read_for(None, read, int) for _ in range(most + 1)]  # our own
        await waiting(db, 2 * most + 2)
    assert await asyncio.gather(*asked) == [0] * (2 * most + 2)


async def test_a_read_that_nobody_waits_for_any_more_is_never_run(db):
    ran = []
    async with held(db):
        asked = [read_for(ADA, db.read_slow, ran.append, n) for n in range(3)]
        await waiting(db, 3)
        asked[1].cancel()
        await waiting(db, 2)
    await asyncio.gather(*asked, return_exceptions=True)
    assert ran == [0, 2]
    assert asked[1].cancelled()
    assert db.readers.unwanted_count == 1


async def test_a_running_one_is_interrupted_and_the_thread_is_free_for_others(db):
    asked = [read_for(ADA, db.read_slow, endless), read_for(ADA, db.read, endless)]
    await until(lambda: db.readers.running_count == 2)
    others = [read_for(GRACE, db.read_slow, int), read_for(GRACE, db.read, int)]
    for task in asked:
        task.cancel()
    assert await asyncio.gather(*others) == [0, 0]
    await until(lambda: not db.readers.running_count)
    assert db.readers.unwanted_count == 2


async def test_whoever_reads_next_on_that_thread_is_not_interrupted(db):
    count = "SELECT count(*) FROM sqlite_master"
    for _ in range(50):
        asked = read_for(ADA, db.read_slow, endless)
        await until(lambda: db.readers.running_count)
        asked.cancel()
        found = await read_for(GRACE, db.read_slow, lambda: execute(count).fetchone())
        assert found[0] > 0


async def test_at_the_end_what_waits_is_refused_and_what_runs_is_interrupted(
    io_loop, tmp_path
):
    db = Database(tmp_path / "other.db", durability="full", publish=print)
    await db.start()
    asked = [read_for(ADA, db.read_slow, endless) for _ in range(3)]
    await waiting(db, 2)
    await db.stop()
    answers = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(answer) for answer in answers] == [errors.Busy] * 3
    with pytest.raises(errors.Busy):
        await db.read(int)


async def test_what_a_read_has_cost_is_told_with_whom_it_was_for(db):
    told = []
    db.readers.on_cost = lambda asker, cpu_ms: told.append((asker, cpu_ms > 0))
    await read_for(ADA, db.read_slow, int)
    await db.read(int)
    assert told == [(ADA, True), (None, True)]


async def test_what_a_read_raises_is_raised(db):
    with pytest.raises(ValueError, match="x"):
        await db.read(int, "x")


def locked(path):
    """What SQLite says of a file that another connection has locked."""
    holder, other = sqlite3.connect(path), sqlite3.connect(path, timeout=0)
    holder.execute("BEGIN EXCLUSIVE")
    try:
        other.execute("SELECT 1 FROM sqlite_master")
    except sqlite3.OperationalError as error:
        return error
    finally:
        holder.close()
        other.close()


async def test_a_reader_that_comes_while_others_open_the_file_tries_again(
    db, tmp_path, monkeypatch
):
    connect, refused = db.engine.connect, []

    def locked_twice():
        if len(refused) < 2:
            refused.append(locked(tmp_path / "another.db"))
            raise OperationalError("database is locked") from refused[-1]
        return connect()

    monkeypatch.setattr(db.engine, "connect", locked_twice)
    assert (await db.read(execute, "SELECT 7")).fetchone() == (7,)
    assert [error.sqlite_errorcode for error in refused] == [sqlite3.SQLITE_BUSY] * 2


async def test_a_file_that_stays_locked_is_busy(db, tmp_path, monkeypatch):
    def always_locked():
        error = locked(tmp_path / "another.db")
        raise OperationalError("database is locked") from error

    monkeypatch.setattr(readers, "CONNECT_S", 0)
    monkeypatch.setattr(db.engine, "connect", always_locked)
    with pytest.raises(errors.Busy):
        await db.read(execute, "SELECT 7")
