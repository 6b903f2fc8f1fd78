"""The writer: one transaction for many, nobody spoiled, nothing acked too early."""

import asyncio
import sqlite3
import time
from contextlib import closing, contextmanager
from functools import partial

import pytest

from hai import errors
from hai.events import TypingStarted
from hai.storage import database
from hai.storage import writer as writer_module
from hai.storage.database import Database
from hai.storage.sqlite import reserve, wal, write_lock
from hai.storage.writer import Write


@pytest.fixture
def told():
    return []


@pytest.fixture
def db(io_loop, tmp_path, told):
    db = Database(tmp_path / "hai.db", durability="full", publish=told.append)
    io_loop.run_sync(db.start)
    yield db
    io_loop.run_sync(db.stop)


def stored(db):
    """What another process reads in the file at this moment."""
    with sqlite3.connect(db.path) as other:
        return [row[0] for row in other.execute("SELECT code_hash FROM invites")]


def insert(tx, what, *, fail=None):
    tx.execute(
        "INSERT INTO invites (code_hash, created_at, expires_at) VALUES (?, 0, ?)",
        (what, tx.next_rev()),
    )
    tx.publish(TypingStarted(len(what), 0))
    if fail:
        raise fail
    return what


async def test_what_was_acked_is_in_the_file(db):
    assert await db.write(insert, "a") == "a"
    assert stored(db) == ["a"]


async def test_writes_queued_together_are_one_commit(db):
    await db.write(insert, "first")
    before = db.writer.batch_count
    await asyncio.gather(*[db.write(insert, f"n{n}") for n in range(200)])
    assert db.writer.batch_count - before <= 20  # 3, on an idle machine
    assert len(stored(db)) == 201


async def test_a_write_that_raises_spoils_no_other(db, told):
    results = await asyncio.gather(
        db.write(insert, "a"),
        db.write(lambda tx: insert(tx, "bad", fail=errors.Forbidden())),
        db.write(lambda tx: insert(tx, "worse", fail=ZeroDivisionError())),
        db.write(insert, "bb"),
        return_exceptions=True,
    )
    assert [type(result).__name__ for result in results] == [
        "str",
        "Forbidden",
        "ZeroDivisionError",
        "str",
    ]
    assert stored(db) == ["a", "bb"]
    assert [fact.room_id for fact in told] == [1, 2], "facts of failed writes were told"


async def test_a_bulk_that_hits_the_database_wrongly_is_replayed_one_by_one(
    db, expect_log
):
    expect_log("a write failed: UNIQUE")

    def insert_all(tx, items):
        return [insert(tx, item) for item in items]

    results = await asyncio.gather(
        *[db.write_bulk(insert_all, item) for item in ("a", "b", "b", "c")],
        return_exceptions=True,
    )
    kinds = [type(result).__name__ for result in results]
    assert kinds == ["str", "str", "Busy", "str"]
    assert stored(db) == ["a", "b", "c"]


async def test_facts_are_told_after_the_commit_and_before_the_ack(db):
    seen = []
    db.writer.publish = lambda fact: seen.append(("fact", stored(db)))
    future = db.write(insert, "a")
    future.add_done_callback(lambda _: seen.append(("ack", None)))
    await future
    assert seen[0] == ("fact", ["a"])
    assert ("ack", None) not in seen[:1]


async def test_revs_rise_in_commit_order_and_survive_a_restart(db, tmp_path):
    revs = await asyncio.gather(*[db.write(lambda tx: tx.next_rev()) for _ in range(9)])
    assert revs == list(range(1, 10))
    second = Database(db.path, durability="full", publish=print)
    await second.start()
    assert await second.write(lambda tx: tx.next_rev()) == 10
    await second.stop()
    from hai.storage import models

    models.proxy.initialize(db.engine)


async def test_beyond_the_queue_it_is_busy_at_once(db, monkeypatch):
    monkeypatch.setattr(writer_module, "QUEUE_LIMIT", 3)
    queued = [db.write(insert, str(n)) for n in range(3)]
    with pytest.raises(errors.Busy):
        db.write(insert, "one too many")
    await asyncio.gather(*queued)
    assert await db.write(insert, "again") == "again"


async def test_stopping_commits_what_was_queued(io_loop, tmp_path):
    db = Database(tmp_path / "other.db", durability="full", publish=print)
    db.writer.publish = lambda fact: None
    await db.start()
    queued = [db.write(insert, str(n)) for n in range(100)]
    await db.stop()
    assert len(await asyncio.gather(*queued)) == 100
    assert len(stored(db)) == 100
    with pytest.raises(errors.Busy):
        db.write(insert, "late")


async def test_a_caller_that_has_gone_leaves_its_write(db):
    future = db.write(insert, "a")
    future.cancel()
    await db.write(insert, "b")
    assert stored(db) == ["a", "b"]


async def test_hais_go_before_chunks_and_chunks_are_paced(db):
    order = []
    chunk = [
        db.write_chunk(lambda tx: order.append("chunk"), chunk_bytes=262_144)
        for _ in range(12)
    ]
    hais = [db.write(lambda tx: order.append("hai")) for _ in range(5)]
    await asyncio.gather(*chunk, *hais)
    assert order.count("chunk") == 12
    assert order.index("hai") <= writer_module.CHUNK_BATCH_BYTES // 262_144 + 1


async def fill(db):
    """Send until it is refused."""
    for n in range(2000):
        await db.write_bulk(insert_all, f"{n}" * 500)


def insert_all(tx, items):
    return [insert(tx, item) for item in items]


async def limit_pages(db, pages):
    """SQLite's own limit stands in for the disk; never below what is there."""
    await db.write(lambda tx: tx.execute(f"PRAGMA max_page_count = {pages}"))


async def test_a_full_disk_is_said_so_and_recovers(db, expect_log, monkeypatch):
    expect_log("the disk is full")
    expect_log("room on the disk again")
    monkeypatch.setattr(reserve, "RETRY_S", 0)
    await limit_pages(db, 1)
    with pytest.raises(errors.StorageFull):
        await fill(db)
    assert db.read_now(lambda: len(stored(db))) >= 0
    await limit_pages(db, 1_000_000)
    assert await db.write_bulk(insert_all, "room again") == "room again"


def held_bytes(db):
    """Of the reserve."""
    return (db.path.parent / "hai.reserve").stat().st_size


async def test_while_the_disk_is_full_small_writes_go_on(db, expect_log):
    """The log is written back and begins anew: nothing has to be given for them."""
    await check_send_when_full(db, expect_log)
    assert held_bytes(db) == reserve.RESERVE_BYTES


async def test_while_the_disk_is_full_and_the_log_is_read_the_reserve_is_given(
    db, expect_log
):
    with closing(sqlite3.connect(db.path, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM users").fetchone()
        await db.write(lambda tx: tx.next_rev())  # which that one does not see
        await check_send_when_full(db, expect_log)
    assert held_bytes(db) == reserve.RESERVE_BYTES - reserve.STEP_BYTES


async def check_send_when_full(db, expect_log):
    """Small writes in the same batch as the send that finds the disk full."""
    expect_log("the disk is full")
    await limit_pages(db, 1)
    large = "x" * 1_000_000
    results = await asyncio.gather(
        db.write(insert, "sign in"),
        db.write_bulk(insert_all, large),
        db.write(insert, "mark read"),
        return_exceptions=True,
    )
    assert [type(result).__name__ for result in results] == [
        "str",
        "StorageFull",
        "str",
    ]
    assert set(stored(db)) == {"sign in", "mark read"}


@contextmanager
def locked(db):
    """Another program holds the write lock."""
    with closing(sqlite3.connect(db.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


async def test_the_wait_for_a_lock_counts_from_when_a_write_was_queued(
    db, expect_log, monkeypatch
):
    """One that has waited for an hour in the queue does not wait another hour."""
    expect_log("writes fail .* database is locked")
    expect_log("writes succeed again; 1 had failed")
    hour_ms = 3_600_000
    monkeypatch.setattr(write_lock, "BUSY_TIMEOUT_MS", hour_ms)
    await db.write(insert, "before")
    future = asyncio.get_running_loop().create_future()
    queued_s = time.monotonic() - hour_ms / 1000
    with locked(db), pytest.raises(errors.Busy):
        await db.writer.submit(Write(insert, future, ("a",), queued_s=queued_s))
    assert await db.write(insert, "a") == "a"
    assert stored(db) == ["a", "before"]


async def test_writes_behind_one_that_a_lock_has_refused_wait_no_second_time(
    db, expect_log, monkeypatch
):
    """For the later ones it would be an hour."""
    expect_log("writes fail .* database is locked")
    expect_log("writes succeed again; 30 had failed")
    monkeypatch.setattr(writer_module, "BATCH_LIMIT", 1)
    monkeypatch.setattr(write_lock, "BUSY_TIMEOUT_MS", 300)
    await db.write(insert, "before")
    with locked(db):
        with pytest.raises(errors.Busy):
            await db.write(insert, "first")
        monkeypatch.setattr(write_lock, "BUSY_TIMEOUT_MS", 3_600_000)
        later = [db.write(insert, str(number)) for number in range(29)]
        results = await asyncio.gather(*later, return_exceptions=True)
    assert [type(result) for result in results] == [errors.Busy] * 29
    assert await db.write(insert, "a") == "a"
    assert stored(db) == ["a", "before"]


async def test_once_a_lock_was_free_the_next_one_is_waited_for_again(
    db, expect_log, monkeypatch
):
    expect_log("writes fail .* database is locked")
    expect_log("writes succeed again; 1 had failed")
    monkeypatch.setattr(write_lock, "BUSY_TIMEOUT_MS", 200)
    await db.write(insert, "before")
    with locked(db), pytest.raises(errors.Busy):
        await db.write(insert, "a")
    await db.write(insert, "b")
    monkeypatch.setattr(write_lock, "BUSY_TIMEOUT_MS", 60_000)
    with locked(db):
        waiting = db.write(insert, "c")
        await asyncio.sleep(5 * write_lock.BRIEF_TIMEOUT_MS / 1000)
        assert not waiting.done()
    await waiting
    assert stored(db) == ["b", "before", "c"]


async def test_an_outage_ends_by_itself_when_nobody_writes(db, expect_log, monkeypatch):
    expect_log("writes fail .* database is locked")
    expect_log("writes succeed again; 1 had failed")
    monkeypatch.setattr(write_lock, "BUSY_TIMEOUT_MS", 200)
    await db.write(insert, "a")
    with locked(db):
        with pytest.raises(errors.Busy):
            await db.write(insert, "b")
        assert db.writer.outage.is_on
        await asyncio.sleep(2 * writer_module.CHECK_FILES_S)
        assert db.writer.outage.is_on
    async with asyncio.timeout(60):
        while db.writer.outage.is_on:
            await asyncio.sleep(0.05)
    assert db.writer.outage.failed_count == 1
    assert stored(db) == ["a"]


async def test_in_an_outage_each_commit_writes_so_that_it_proves_something(
    db, expect_log
):
    """Else a refused order, which changes nothing, would end it."""
    expect_log("writes succeed again; 0 had failed")
    await db.write(insert, "a")
    _, before = db.writer.files.committed
    await db.write(lambda tx: None)
    assert db.writer.files.committed[1] == before
    db.writer.outage.is_on = True
    await db.write(lambda tx: None)
    assert db.writer.files.committed[1] > before
    assert not db.writer.outage.is_on


async def test_between_batches_something_long_can_run(db):
    """Writes go on meanwhile: it breathes."""
    counts = []

    def maintenance(connection, yield_to_writes):
        for _ in range(3):
            yield_to_writes()
            count = connection.execute("SELECT count(*) FROM invites").fetchone()[0]
            counts.append(count)
        return "done"

    long = db.run_maintenance(maintenance)
    writes = [db.write(insert, str(n)) for n in range(20)]
    assert await long == "done"
    await asyncio.gather(*writes)
    assert counts[-1] == 20


async def test_what_runs_between_batches_ends_when_hai_stops(io_loop, tmp_path):
    db = Database(tmp_path / "other.db", durability="full", publish=print)
    await db.start()

    def forever(connection, yield_to_writes):
        while True:
            yield_to_writes()

    long = db.run_maintenance(forever)
    await db.stop()
    with pytest.raises(errors.Busy):
        await long


ENDLESS = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i FROM n) SELECT max(i) FROM n
"""


async def test_the_log_stays_short_whatever_readers_do(db, monkeypatch):
    """A read of seconds is ended; without that the log would grow forever."""
    monkeypatch.setattr(wal, "WAITED_FOR_BYTES", 1_000_000)
    monkeypatch.setattr(wal, "RETRY_S", 0.05)
    monkeypatch.setattr(database, "LONG_READ_S", 0.1)
    reads = [
        asyncio.ensure_future(db.read(lambda: database.execute(ENDLESS).fetchall()))
        for _ in range(2)
    ]
    log = db.path.with_name("hai.db-wal")
    number = longest = 0
    while not all(read.done() for read in reads):
        await db.write(insert, f"{number} " * 100_000)
        number, longest = number + 1, max(longest, log.stat().st_size)
    assert {type(read.exception()) for read in reads} == {errors.Busy}
    while log.stat().st_size >= 1_000_000:
        await asyncio.sleep(0.06)
        number += 1
        await db.write(insert, f"{number} more")
    assert 1_000_000 < longest < 64_000_000


async def test_an_error_that_is_no_write_s_own_ends_it_and_all_are_answered(
    db, expect_log
):
    """Else whoever waits would wait forever."""
    expect_log("the writer failed, so Hai stops")
    await db.write(insert, "before")
    fatal = db.write(partial(insert, fail=SystemExit()), "fatal")
    beside = db.write(insert, "beside")
    later = db.write_chunk(insert, "later")
    for waiting in (fatal, beside, later):
        with pytest.raises(errors.Busy):
            await waiting
    await asyncio.wait_for(db.failed.wait(), 60)
    with pytest.raises(errors.Busy):
        db.write(insert, "after")
    assert stored(db) == ["before"]


async def test_an_error_between_batches_ends_it_too(db, expect_log):
    expect_log("the writer failed, so Hai stops")

    def maintenance(connection, yield_to_writes):
        raise SystemExit

    with pytest.raises(errors.Busy):
        await db.run_maintenance(maintenance)
    await asyncio.wait_for(db.failed.wait(), 60)


async def test_the_log_is_written_back_when_it_is_due_and_begun_anew(db, monkeypatch):
    monkeypatch.setattr(wal, "DUE_PAGES", 50)
    log = db.path.with_name("hai.db-wal")
    for number in range(100):
        await db.write(insert, f"{number} " * 5000)
    assert log.stat().st_size < 1_000_000 < db.path.stat().st_size
    assert len(stored(db)) == 100
