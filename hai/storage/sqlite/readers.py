"""The reader threads, and whose read they run next: a queue that is fair to users.

Every read is done on behalf of somebody, whom the edge sets in `asker`: a user, the
address of an unauthenticated client, or nobody (the server's own work). Those with
reads waiting take turns, one read each, so a long queue of one user never delays
another by more than one read. Slow reads (which grow with all that is stored, such as a
search) have a queue of their own, which always leaves a thread for the short ones.

A caller that stops waiting (its task is cancelled, because the client is gone)
withdraws the read: one that waits is dropped, one that runs is interrupted.
`sqlite3_interrupt` ends the current statement only, and does nothing between two
statements, so it is repeated until the read has ended. (A progress handler needs the
GIL each time it is called: every 1,000 instructions, it made a scan of 25 ms beside a
busy loop one of 37 to 68.)
"""

import asyncio
import contextlib
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any

from peewee import DatabaseError, SqliteDatabase

from hai import errors
from hai.storage.sqlite import faults

READER_COUNT = 2  # threads: reads are short, and there are two cores
SLOW_COUNT = READER_COUNT - 1  # of them may run slow reads
# Of pages, for each thread; the kernel keeps the others. Chunks of large pictures fill
# all there is, and are never read again: with 4 MiB, 6.7 MiB for people who look at
# them (benchmark `pictures`). Lists and pages among a million hais take as long.
CACHE_KIB = 2048
MAX_WAITING_SLOW = 8  # per asker: as many pages as a person opens at once
MAX_WAITING = 256  # short ones: a browser requests a hundred pictures at once
INTERRUPT_AGAIN_S = 0.02
CONNECT_S, CONNECT_AGAIN_S = 5.0, 0.01  # as long as a write waits for a lock

# On whose behalf this task reads; inherited by the tasks that it starts.
asker: ContextVar[Hashable] = ContextVar("asker", default=None)


class Read:
    """One call of `run(*args)` in a read transaction, and who waits for it.

    connection: set while it may be interrupted; changed under the lock of Readers.
    """

    __slots__ = (
        "args",
        "asker",
        "began_s",
        "connection",
        "cpu_s",
        "error",
        "future",
        "is_over",
        "is_slow",
        "is_unwanted",
        "result",
        "run",
    )

    def __init__(
        self, run: Callable[..., Any], args: tuple[Any, ...], is_slow: bool
    ) -> None:
        self.run = run
        self.args = args
        self.is_slow = is_slow
        self.asker = asker.get()
        self.future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.connection: Any = None
        self.began_s = self.cpu_s = 0.0
        self.is_over = self.is_unwanted = False
        self.result: Any = None
        self.error: BaseException | None = None


class FairQueue:
    """Waiting reads, by asker; the askers are in the order of their turns."""

    def __init__(self, max_waiting: int) -> None:
        self.max_waiting = max_waiting
        self.count = 0
        # Not a dict: there, taking the first of thousands skips over all taken before.
        self._waiting: OrderedDict[Hashable, deque[Read]] = OrderedDict()

    def push(self, read: Read) -> None:
        """Raises Busy when too many reads of this asker are waiting; the server's own
        are never too many."""
        queue = self._waiting.get(read.asker)
        if queue is None:
            queue = self._waiting[read.asker] = deque()
        elif len(queue) >= self.max_waiting and read.asker is not None:
            raise errors.Busy("Too many requests of yours are waiting.")
        queue.append(read)
        self.count += 1

    def pop(self) -> Read | None:
        """The oldest read of the next asker, who then goes to the end of the queue."""
        if not self.count:
            return None
        first, queue = self._waiting.popitem(last=False)
        read = queue.popleft()
        if queue:
            self._waiting[first] = queue
        self.count -= 1
        return read

    def remove(self, read: Read) -> bool:
        """Whether it was still waiting."""
        queue = self._waiting.get(read.asker)
        if queue is None or read not in queue:
            return False
        queue.remove(read)
        if not queue:
            del self._waiting[read.asker]
        self.count -= 1
        return True

    def drain(self) -> list[Read]:
        return [read for _ in range(self.count) if (read := self.pop())]


class Readers:
    """Threads with one connection each. Call `read` and `stop` on the loop thread.

    translate: gets the error of a read on its thread, and may raise a better one.
    before_connect: called on a thread before it connects; may raise Busy. on_cost:
    called on the loop with the asker of a read and its CPU time in ms.
    """

    def __init__(
        self,
        engine: SqliteDatabase,
        translate: Callable[[BaseException], None],
        *,
        before_connect: Callable[[], None] = lambda: None,
    ) -> None:
        self.engine = engine
        self.translate = translate
        self.before_connect = before_connect
        self.on_cost: Callable[[Hashable, float], None] = _ignore
        self.read_count = 0
        self.unwanted_count = 0  # whose client was gone
        self.refused_count = 0
        self.connections: list[Any] = []  # raw ones; to be closed after stop()
        self._short, self._slow = FairQueue(MAX_WAITING), FairQueue(MAX_WAITING_SLOW)
        self._running: set[Read] = set()
        self._slow_running = 0
        self._untold: list[Read] = []  # done, and the loop does not know yet
        self._idle_count = 0
        self._threads: list[threading.Thread] = []
        self._is_stopping = False
        # Guards all of the above except the counts. Held for microseconds.
        self._changed = threading.Condition(threading.Lock())

    @property
    def waiting_count(self) -> int:
        return self._short.count + self._slow.count

    @property
    def running_count(self) -> int:
        return len(self._running)

    def read(
        self, run: Callable[..., Any], args: tuple[Any, ...], *, is_slow: bool = False
    ) -> "asyncio.Future[Any]":
        """The result, or what `run` raises. Cancel it to end the read. Raises Busy."""
        read = Read(run, args, is_slow)
        try:
            self._submit(read)
        except errors.Busy:
            self.refused_count += 1
            raise
        read.future.add_done_callback(partial(self._ended, read))
        return read.future

    def _ended(self, read: Read, future: "asyncio.Future[Any]") -> None:
        if future.cancelled():
            self._take_back(read)

    async def stop(self) -> None:
        """Refuse waiting reads, interrupt running ones, then end the threads."""
        with self._changed:
            self._is_stopping = True
            waiting = self._short.drain() + self._slow.drain()
            self._changed.notify_all()
        for read in waiting:
            if not read.future.done():
                read.future.set_exception(errors.Busy())
        while any(thread.is_alive() for thread in self._threads):
            self.interrupt(older_than_s=0)
            await asyncio.sleep(0.005)
        await asyncio.sleep(0)  # the last reads' futures

    def interrupt(self, older_than_s: float) -> None:
        """End the reads that began before: they raise Busy. From any thread."""
        oldest = time.monotonic() - older_than_s
        with self._changed:
            for read in self._running:
                if read.connection is not None and read.began_s < oldest:
                    read.connection.interrupt()

    # --- The loop thread -------------------------------------------------------------

    def _queue_of(self, read: Read) -> FairQueue:
        return self._slow if read.is_slow else self._short

    def _submit(self, read: Read) -> None:
        with self._changed:
            if self._is_stopping:
                raise errors.Busy()
            self._queue_of(read).push(read)
            self._changed.notify()
            is_short_of_threads = self.waiting_count > self._idle_count
            if is_short_of_threads and len(self._threads) < READER_COUNT:
                self._start_thread()

    def _start_thread(self) -> None:
        name = f"reader_{len(self._threads)}"
        self._threads.append(
            threading.Thread(
                target=self._serve,
                args=(asyncio.get_running_loop(),),
                name=name,
                daemon=True,
            )
        )
        self._threads[-1].start()

    def _take_back(self, read: Read) -> None:
        """Nobody waits for it any more."""
        if read.is_over:
            return
        self.unwanted_count += 1
        read.is_unwanted = True
        with self._changed:
            if self._queue_of(read).remove(read):
                return
        self._end(read)

    def _end(self, read: Read) -> None:
        if read.is_over:
            return
        with self._changed:
            if read.connection is not None:
                read.connection.interrupt()
        loop = asyncio.get_running_loop()
        loop.call_later(INTERRUPT_AGAIN_S, self._end, read)

    def _tell_all(self) -> None:
        """Waking the loop for each costs 10 us when many come at once (benchmark
        `storm`)."""
        with self._changed:
            reads, self._untold = self._untold, []
        for read in reads:
            self._tell(read)

    def _tell(self, read: Read) -> None:
        self.read_count += 1
        self.on_cost(read.asker, 1000 * read.cpu_s)
        future, error = read.future, read.error
        del read.future, read.error  # or they and the traceback keep one another
        if future.done():  # cancelled
            return
        if error is not None:
            future.set_exception(error)
        else:
            future.set_result(read.result)

    # --- A reader thread -------------------------------------------------------------

    def _serve(self, loop: asyncio.AbstractEventLoop) -> None:
        while (read := self._take()) is not None:
            self._run(read)
            read.is_over = True
            with self._changed:
                self._running.discard(read)
                self._slow_running -= read.is_slow
                self._untold.append(read)
                is_first = len(self._untold) == 1
            if is_first:  # else the loop has been woken for one before
                with contextlib.suppress(RuntimeError):  # the loop is closed
                    loop.call_soon_threadsafe(self._tell_all)

    def _take(self) -> Read | None:
        """Wait for the next read; None: there will be none."""
        with self._changed:
            while not self._is_stopping:
                if (read := self._next()) is not None:
                    self._running.add(read)
                    self._slow_running += read.is_slow
                    return read
                self._idle_count += 1
                self._changed.wait()
                self._idle_count -= 1
        return None

    def _next(self) -> Read | None:
        """A slow one first, if it may run: short ones always have a thread."""
        if self._slow.count and self._slow_running < SLOW_COUNT:
            return self._slow.pop()
        return self._short.pop()

    def _run(self, read: Read) -> None:
        began_s = time.thread_time()
        try:
            if self.engine.is_closed():
                self._connect()
            if not read.is_unwanted:
                with self._snapshot(read):
                    read.result = read.run(*read.args)
        except BaseException as error:
            read.error = self._translated(error)
        read.cpu_s = time.thread_time() - began_s

    def _translated(self, error: BaseException) -> BaseException:
        try:
            self.translate(error)
        except Exception as better:
            return better
        return error

    def _connect(self) -> None:
        """While another connection opens the file, SQLite refuses at once to look at
        its journal, whatever the busy timeout: so it is asked again."""
        until_s = time.monotonic() + CONNECT_S
        while self.engine.is_closed():
            self.before_connect()
            try:
                self.engine.connect()
            except DatabaseError as error:
                if not faults.is_locked(error) or time.monotonic() > until_s:
                    raise
                time.sleep(CONNECT_AGAIN_S)
        self.connections.append(self.engine.connection())
        self.engine.execute_sql("PRAGMA query_only = 1")
        self.engine.execute_sql(f"PRAGMA cache_size = -{CACHE_KIB}")

    @contextlib.contextmanager
    def _snapshot(self, read: Read) -> Iterator[None]:
        """One transaction, which can be interrupted except during BEGIN and COMMIT."""
        connection = self.engine.connection()
        self.engine.execute_sql("BEGIN")
        self._let_interrupt(read, connection)
        try:
            yield
        finally:
            self._let_interrupt(read, None)
            if connection.in_transaction:  # an error may have ended it
                self.engine.execute_sql("COMMIT")

    def _let_interrupt(self, read: Read, connection: Any) -> None:
        with self._changed:
            read.began_s = time.monotonic()
            read.connection = connection


def _ignore(asker: Hashable, cpu_ms: float) -> None:
    """The default: nobody counts."""
