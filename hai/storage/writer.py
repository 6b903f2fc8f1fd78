"""The one writer thread: many writes, one transaction, one fsync.

Promise: a future resolves after the COMMIT that contains its write, never before; with
`durability=full` that commit has been fsynced, so whatever was acked survives kill -9
and power loss. Facts published inside a write are delivered on the loop after that
commit, in rev order, and before the futures resolve: an ack follows its own fact.

Only this thread owns a connection that may write. A batch is whatever was queued while
the previous one was being committed; there is no timer. The writes that one turn of the
loop queues are handed over together at its end: if the first write woke this thread, it
would compete with the loop for the GIL during each of the others (benchmark `posts`: 5
% less CPU, batches a tenth larger). A write that raises is rolled back to its own
savepoint and affects no other.

When the disk is full, writes that would grow the file are refused and small ones use
the space reserved for them (reserve.py). After a fault that makes later commits
doubtful (faults.py), and after any error that is not caused by a single write, nothing
is acked any more: `failure` is set, waiting writes are refused, and the thread ends.
The same happens when a file was lost (open_files.py), which is checked after each
COMMIT and before its futures resolve; what is still open is rescued first (rescue.py).
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

from peewee import DatabaseError, SqliteDatabase

from hai import clock, errors
from hai.storage.sqlite import faults
from hai.storage.sqlite.open_files import LostFile, OpenFiles
from hai.storage.sqlite.outage import Outage
from hai.storage.sqlite.reserve import RESERVE_NAME, Reserve
from hai.storage.sqlite.wal import WriteAheadLog
from hai.storage.sqlite.write_lock import WriteLock

logger = logging.getLogger(__name__)

QUEUE_LIMIT = 20_000  # writes: 2.5 s at 8,000/s; beyond that: Busy
BATCH_LIMIT = 1_000  # writes in one transaction: limits what one fsync delays
SMALL_BATCH = 100  # while the write-ahead log is long: 4 MiB of the longest hais
CHECK_FILES_S = 1.0  # between checks of the files while nothing is written
CHUNK_BATCH_BYTES = 1024 * 1024  # of pictures in one transaction: 4 chunks

# Maintenance runs between batches. It gets the raw connection, and a function to call
# every few milliseconds, which commits what has been queued meanwhile.
YieldToWrites = Callable[[], None]
Maintenance = Callable[[Any, YieldToWrites], Any]
# Given the raw connection, what was lost, the last rev acked, and an event that is
# set when Hai is told to stop.
Rescue = Callable[[Any, str, int, threading.Event], None]


class Transaction:
    """Passed to write functions. Writer thread only.

    now_ms is the same for all writes of a batch.
    """

    def __init__(self, engine: SqliteDatabase) -> None:
        self.engine = engine
        self.now_ms = clock.now_ms()
        self.events: list[Any] = []
        self._rev = 0  # 0: none taken yet; taking one locks the counter's row
        self._rev_stored = 0

    def execute(self, sql: str, params: Iterable[Any] = ()) -> Any:
        return self.engine.execute_sql(sql, params)

    @property
    def rev(self) -> int:
        """The highest one taken; 0: none."""
        return self._rev

    def next_rev(self) -> int:
        return self.next_revs(1)[0]

    def next_revs(self, count: int) -> range:
        """Take `count` revs. Commit order is rev order, because the row is locked."""
        if not self._rev:
            cursor = self.execute("UPDATE server SET rev = rev RETURNING rev")
            self._rev = self._rev_stored = cursor.fetchall()[0][0]
        first = self._rev + 1
        self._rev += count
        return range(first, self._rev + 1)

    def publish(self, event: Any) -> None:
        """Publish on the bus once this transaction is committed."""
        self.events.append(event)

    def store_rev(self) -> None:
        if self._rev != self._rev_stored:
            self.execute("UPDATE server SET rev = ?", (self._rev,))


@dataclass(slots=True, eq=False)
class Write:
    """One caller's write. `item` is used if `is_bulk`, otherwise `args`.

    fills: it makes the file grow, and is refused when the disk is full. maintenance:
    called between batches, outside any transaction, with (connection, yield_to_writes).
    """

    run: Callable[..., Any]
    future: "asyncio.Future[Any]"
    args: tuple[Any, ...] = ()
    item: Any = None
    is_bulk: bool = False
    chunk_bytes: int = 0  # above 0: the slow lane
    fills: bool = False
    maintenance: Maintenance | None = None
    result: Any = None
    error: BaseException | None = field(default=None)
    queued_s: float = field(default_factory=time.monotonic)


class Writer:
    """Accepts writes on the loop thread and runs them on its own thread.

    on_failure: called on the loop, once, when nothing can be acked any more.
    interrupt_readers: interrupts this process's long reads; from any thread. rescue:
    called on the writer thread when a file was lost and all writes are refused.
    """

    files: OpenFiles  # by `watch`

    def __init__(
        self,
        engine: SqliteDatabase,
        publish: Callable[[Any], None],
        *,
        on_failure: Callable[[], None] = lambda: None,
        interrupt_readers: Callable[[], None] = lambda: None,
        rescue: Rescue = lambda connection, loss, acked_rev, is_over: None,
    ) -> None:
        self.engine = engine
        self.publish = publish
        self.on_failure = on_failure
        self.rescue = rescue
        self.reserve = Reserve(Path(engine.database).with_name(RESERVE_NAME))
        self.wal = WriteAheadLog(engine, interrupt_readers)
        self.lock = WriteLock(engine)
        self.outage = Outage(engine)
        self.failure: BaseException | None = None
        self.is_full = False
        self.waiting_count = 0  # loop thread only
        self.batch_count = 0
        self.write_count = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._fresh: list[Write] = []  # this turn's writes; loop thread only
        self._inbox: SimpleQueue[list[Write] | None] = SimpleQueue()
        self._hais: deque[Write] = deque()
        self._chunks: deque[Write] = deque()
        self._maintenance: deque[Write] = deque()
        self._is_stopping = False  # loop thread: takes no more
        self._is_last = False  # writer thread: nothing more will come
        self._is_over = threading.Event()  # told to stop
        self._acked_rev = 0
        self._files_checked_s = 0.0
        self._failing = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)

    def watch(self, files: OpenFiles) -> None:
        """Called before `start`, when the files are open."""
        self.files = self.wal.files = files

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._thread.start()

    async def stop(self) -> None:
        """Commit everything that was queued, then end the thread."""
        self._is_stopping = True
        self._is_over.set()
        self._hand_over()
        self._inbox.put(None)
        while self._thread.is_alive():
            await asyncio.sleep(0.005)
        await asyncio.sleep(0)  # the last batch's futures

    def submit(self, write: Write) -> "asyncio.Future[Any]":
        """Queue it. Raises Busy beyond QUEUE_LIMIT, while stopping, or after `fail`."""
        if self.waiting_count >= QUEUE_LIMIT or self._is_stopping or self.failure:
            raise errors.Busy()
        self.waiting_count += 1
        if not self._fresh:
            assert self._loop is not None
            self._loop.call_soon(self._hand_over)
        self._fresh.append(write)
        return write.future

    def _hand_over(self) -> None:
        """Pass this turn's writes to the thread."""
        if self._fresh:
            writes, self._fresh = self._fresh, []
            self._inbox.put(writes)

    def fail(self, error: BaseException) -> None:
        """Ack nothing any more, and end. From any thread."""
        with self._failing:
            if self.failure is not None:
                return
            if isinstance(error, DatabaseError) and (loss := self.files.find_loss()):
                error = LostFile(loss)
            self.failure = error
        if isinstance(error, DatabaseError):
            logger.critical("the database failed, so Hai stops: %s", error)
        elif not isinstance(error, LostFile):  # which the rescue reports
            logger.critical("the writer failed, so Hai stops", exc_info=error)
        self._inbox.put(None)

    def _run(self) -> None:
        assert self._loop is not None
        try:
            self._open()
            while self._turn():
                pass
        except BaseException as error:  # otherwise no caller would ever get an answer
            self.fail(error)
        finally:
            if self.failure:
                self._loop.call_soon_threadsafe(self._refuse_the_rest)
            if isinstance(self.failure, LostFile):
                self._rescue(self.failure)
            else:
                with contextlib.suppress(DatabaseError):
                    self.engine.close()
            if self.failure:
                self._loop.call_soon_threadsafe(self.on_failure)

    def _rescue(self, lost: LostFile) -> None:
        connection = self.engine.connection()
        try:
            self.rescue(connection, str(lost), self._acked_rev, self._is_over)
        except Exception as error:
            logger.critical("%s, and the rescue failed", lost, exc_info=error)

    def _open(self) -> None:
        """Connect, even on a full disk, and take the reserve."""
        while True:
            try:
                self.engine.connect(reuse_if_open=True)
                break
            except DatabaseError as error:
                self.engine.close()
                if not faults.is_full_at_open(error, self.reserve.path.parent):
                    raise
                if not self.reserve.give_some():
                    raise
        self.files.check()  # this connection has opened the same files
        self.is_full = not self.reserve.take()

    def _turn(self) -> bool:
        """One batch, or one piece of maintenance; whether there may be more."""
        if self.failure:
            return False
        if batch := self._gather(must_wait=not self._maintenance):
            self._commit(batch)
        elif self._maintenance:
            self._run_maintenance(self._maintenance.popleft())
        else:
            return False
        return self.failure is None

    def _gather(self, *, must_wait: bool) -> list[Write]:
        """Wait for a first write, then take everything that is there, hais first."""
        is_idle = not (self._hais or self._chunks or self._is_last)
        if self._take(block=must_wait and is_idle):
            while self._take(block=False):
                pass
        limit = SMALL_BATCH if self.wal.is_waited_for else BATCH_LIMIT
        batch = [self._hais.popleft() for _ in range(min(len(self._hais), limit))]
        budget = CHUNK_BATCH_BYTES
        while self._chunks and (not batch or budget > 0):
            if self._chunks[0].chunk_bytes > budget and budget < CHUNK_BATCH_BYTES:
                break
            budget -= self._chunks[0].chunk_bytes
            batch.append(self._chunks.popleft())
        return batch

    def _take(self, *, block: bool) -> bool:
        """Sort one turn's writes into the queues; False: nothing more."""
        try:
            writes = self._wait() if block else self._inbox.get_nowait()
        except Empty:
            return False
        if writes is None:
            self._is_last = True
            return False
        for write in writes:
            if write.maintenance:
                self._maintenance.append(write)
            else:
                (self._chunks if write.chunk_bytes else self._hais).append(write)
        return True

    def _wait(self) -> list[Write] | None:
        """The next turn's writes; meanwhile checks the files. Raises LostFile."""
        while True:
            with contextlib.suppress(Empty):
                return self._inbox.get(timeout=CHECK_FILES_S)
            self.files.check()
            self._checkpoint_log()  # the disk may have become almost full meanwhile
            if self.outage.is_on:
                self._try_again()

    def _commit(self, batch: list[Write]) -> None:
        """Store a batch, tell the loop once, then checkpoint if due."""
        events: list[Any] = []
        try:
            events = self._store(self._without_refused(batch))
            self.files.check()
        except (
            BaseException
        ) as error:  # not from a single write: what is stored is unknown
            self.fail(error)
            events = []
            for write in batch:
                write.error = errors.Busy()
        self.batch_count += 1
        self.write_count += len(batch)
        self._resolve_soon(events, batch)
        if self.failure is None:
            self._checkpoint_log()

    def _without_refused(self, batch: list[Write]) -> list[Write]:
        """The writes that may be tried; the others get their error."""
        if self.is_full and self.reserve.retake():
            self.is_full = False
            logger.warning("there is room on the disk again")
        if not (self.is_full or self.wal.is_long):
            return batch
        for write in batch:
            write.error = self._refusal(write)
        return [write for write in batch if write.error is None]

    def _refusal(self, write: Write) -> Exception | None:
        if self.is_full and write.fills:
            return errors.StorageFull()
        grows = write.fills or write.chunk_bytes
        if self.wal.is_at_its_limit or (self.wal.is_long and grows):
            return errors.Busy()
        return None

    def _checkpoint_log(self) -> None:
        try:
            if self.is_full:
                self.wal.make_room(self.reserve.give_some)
            self.wal.checkpoint_if_due()
        except DatabaseError as error:
            self.fail(error)

    def _store(self, batch: list[Write]) -> list[Any]:
        """Run a batch in one transaction and commit; returns its events."""
        while batch:
            try:
                return self._transact(batch)
            except Exception as error:
                self._roll_back()
                if not faults.is_full(error) or not self._make_room():
                    self._fail_batch(batch, error)
                    return []
            batch = self._without_fillers(batch)
        return []

    def _make_room(self) -> bool:
        """For another attempt; False: there is none left."""
        can_begin_anew = self.wal.make_room(self.reserve.give_some)
        return can_begin_anew or self.reserve.give_some()

    def _transact(self, batch: list[Write]) -> list[Any]:
        self.lock.begin(min((write.queued_s for write in batch), default=0.0))
        if self.outage.is_on:
            self.outage.probe()
        transaction = Transaction(self.engine)
        for group in _groups(batch):
            self._run_group(transaction, group)
        transaction.store_rev()
        self.engine.execute_sql("COMMIT")
        self.outage.end()
        self._acked_rev = max(self._acked_rev, transaction.rev)
        return transaction.events

    def _without_fillers(self, batch: list[Write]) -> list[Write]:
        """The disk is full: the space from the reserve is for small writes."""
        if not self.is_full:
            logger.error("the disk is full: hais and pictures are refused")
        self.is_full = True
        for write in batch:
            write.result = None
            write.error = errors.StorageFull() if write.fills else None
        return [write for write in batch if not write.fills]

    def _fail_batch(self, batch: list[Write], error: Exception) -> None:
        """Nothing of this batch is stored."""
        if faults.is_fatal(error):
            self.fail(error)
        elif isinstance(error, DatabaseError) and not faults.is_full(error):
            self.outage.count(error, len(batch))
        shown = errors.Busy() if self.failure else faults.as_hai_error(error)
        for write in batch:
            write.error = shown

    def _try_again(self) -> None:
        """Nothing is queued: does the store take writes again?"""
        try:
            self._transact([])
        except Exception as error:
            self._roll_back()
            self._fail_batch([], error)

    def _run_maintenance(self, write: Write) -> None:
        try:
            while not self._has_room_for(write):
                pass
        except Exception as error:
            write.error = error
            if faults.is_fatal(error):
                self.fail(error)
        except BaseException as error:
            self.fail(error)
            write.error = errors.Busy()
        self._resolve_soon([], [write])

    def _has_room_for(self, write: Write) -> bool:
        """Run it; False: the disk is full, and there is space for another attempt."""
        assert write.maintenance is not None
        self.lock.allow_wait(write.queued_s)
        try:
            write.result = write.maintenance(
                self.engine.connection(), self._yield_to_writes
            )
        except Exception as error:
            if not faults.is_full(error):
                raise
            if not self._make_room():
                raise errors.StorageFull() from error
            return False
        self._checkpoint_log()
        return True

    def _yield_to_writes(self) -> None:
        """Commit what was queued meanwhile. Raises Busy when it is time to stop."""
        if batch := self._gather(must_wait=False):
            self._commit(batch)
        else:
            self._check_files_now_and_then()
        if self._is_last or self.failure:
            raise errors.Busy("Hai is stopping.")

    def _check_files_now_and_then(self) -> None:
        """During long maintenance."""
        if time.monotonic() - self._files_checked_s > CHECK_FILES_S:
            self._files_checked_s = time.monotonic()
            if loss := self.files.find_loss():
                self.fail(LostFile(loss))

    def _refuse_the_rest(self) -> None:
        """After a failure: every waiting write gets an error. Loop thread, when the
        writer thread takes no more."""
        self._hand_over()
        while self._take(block=False) or not self._inbox.empty():
            pass
        rest = [*self._hais, *self._chunks, *self._maintenance]
        for write in rest:
            write.error = errors.Busy()
        self._resolve([], rest)

    def _resolve_soon(self, events: list[Any], batch: list[Write]) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._resolve, events, batch)

    def _roll_back(self) -> None:
        try:
            self.engine.execute_sql("ROLLBACK")
        except DatabaseError:
            pass  # SQLite had already rolled back by itself

    def _run_group(self, transaction: Transaction, group: list[Write]) -> None:
        """Run neighbours of one bulk function together, others one by one."""
        try:
            with _Savepoint(transaction):
                if group[0].is_bulk:
                    results = group[0].run(transaction, [w.item for w in group])
                else:
                    results = [group[0].run(transaction, *group[0].args)]
        except DatabaseError as error:
            if not self.engine.connection().in_transaction:
                raise  # a full disk: SQLite rolled back the whole batch
            if len(group) > 1:
                for write in group:
                    self._run_group(transaction, [write])
                return
            if faults.is_of_batch(error):
                raise
            logger.error("a write failed: %s", error)
            results = [faults.as_hai_error(error)]
        except Exception as error:
            results = [error] * len(group)
        for write, result in zip(group, results, strict=True):
            if isinstance(result, BaseException):
                write.error = result
            else:
                write.result = result

    def _resolve(self, events: list[Any], batch: list[Write]) -> None:
        """Facts first, then the futures. Loop thread."""
        self.waiting_count -= len(batch)
        for event in events:
            self.publish(event)
        for write in batch:
            if write.future.done():
                continue  # its caller is gone; what it wrote stays
            if write.error is not None:
                write.future.set_exception(write.error)
            else:
                write.future.set_result(write.result)


class _Savepoint:
    """Undoes what a failed write did and published."""

    def __init__(self, transaction: Transaction) -> None:
        self.transaction = transaction

    def __enter__(self) -> None:
        self.event_count = len(self.transaction.events)
        self.transaction.execute("SAVEPOINT one_write")

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        if not self.transaction.engine.connection().in_transaction:
            return
        if kind is not None:
            self.transaction.execute("ROLLBACK TO one_write")
            del self.transaction.events[self.event_count :]
        self.transaction.execute("RELEASE one_write")


def _groups(batch: list[Write]) -> Iterable[list[Write]]:
    """Split into runs of neighbours that share one bulk function.

    Only neighbours, so that one client's writes keep their order.
    """
    group: list[Write] = []
    for write in batch:
        if group and not (write.is_bulk and write.run is group[0].run):
            yield group
            group = []
        group.append(write)
    if group:
        yield group
