"""Opens the database: one writer thread, a few reader threads.

`write` goes through the writer thread (writer.py). `read` runs a plain function in one
read transaction on a reader thread (sqlite/readers.py), so all its queries see the same
snapshot; `read_slow` does the same for reads that may take more than 5 ms. `read_now`
runs on the loop thread and is only for reads measured below 200 us; nothing else may
block the loop. A query outside of these raises, because `autoconnect` is off.

An existing file is never replaced by a new one: a file that cannot be opened, is
damaged or is not ours raises `Unusable` and is left as it is.
"""

import asyncio
import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from peewee import DatabaseError, SqliteDatabase

from hai import errors
from hai.storage import models
from hai.storage.sqlite import epoch, faults, migrations, rescue
from hai.storage.sqlite.faults import Unusable
from hai.storage.sqlite.open_files import LostFile, OpenFiles
from hai.storage.sqlite.readers import Readers
from hai.storage.sqlite.readers import asker as asker
from hai.storage.sqlite.reserve import RESERVE_NAME
from hai.storage.sqlite.write_lock import BUSY_TIMEOUT_MS
from hai.storage.writer import Maintenance, Write, Writer
from hai.units import CHUNK_BYTES

Result = TypeVar("Result")

logger = logging.getLogger(__name__)

SQLITE_VERSION = sqlite3.sqlite_version

LONG_READ_S = 1.0  # a longer read is interrupted if it keeps the WAL from shrinking

PRAGMAS = {
    "auto_vacuum": "incremental",  # before the first table; it has no effect later
    "journal_mode": "wal",  # readers and the writer do not wait for each other
    "foreign_keys": 1,
    "busy_timeout": BUSY_TIMEOUT_MS,
    "wal_autocheckpoint": 0,  # wal.py does it, and sees its errors
    # Savepoint journals in memory: no file is created and deleted in each batch.
    "temp_store": "memory",
    "journal_size_limit": 64 * 1024 * 1024,
    "cache_size": -4096,  # 4 MiB for the loop and the writer; readers.py takes less
}


class Database:
    """One SQLite file. Start it on the loop that will use it.

    failed: set when the file failed and nothing is acked any more.
    """

    def __init__(
        self, path: Path, *, durability: str, publish: Callable[[Any], None]
    ) -> None:
        self.path = path
        self.durability = durability
        self.failed = asyncio.Event()
        self.engine = SqliteDatabase(
            str(path),
            pragmas={**PRAGMAS, "synchronous": durability},
            autoconnect=False,
            check_same_thread=False,  # so that stop() may close the readers'
        )
        self.writer = Writer(
            self.engine,
            publish,
            on_failure=self.failed.set,
            interrupt_readers=lambda: self.readers.interrupt(LONG_READ_S),
            rescue=self._rescue,
        )
        self.readers = Readers(
            self.engine, self._check_error, before_connect=self._refuse_lost_files
        )

    async def start(self) -> None:
        """Migrate, bind the models and start the writer. Raises Unusable."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        models.proxy.initialize(self.engine)
        while True:
            try:
                self._open()
                break
            except (DatabaseError, sqlite3.Error) as error:
                self.engine.close()
                is_full = faults.is_full_at_open(error, self.path.parent)
                if not is_full or not self.writer.reserve.give_some():
                    reason = faults.FULL_DISK if is_full else faults.reason(error)
                    raise Unusable(f"{self.path} {reason}") from error
        self.writer.start()

    def _open(self) -> None:
        inspect(self.path)
        self.engine.connect()
        migrations.migrate(self.engine.execute_sql)
        epoch.begin_run(self.engine.execute_sql, self.durability)
        self.writer.watch(OpenFiles(self.path))
        self.engine.execute_sql("PRAGMA query_only = 1")

    async def stop(self) -> None:
        """Commit what is queued, then close every connection.

        After a lost file they stay open: then the process should end without `close`.
        """
        await self.writer.stop()
        await self.readers.stop()
        if self.has_lost_file:
            return
        if not self.writer.failure:
            self._end_run()
        for connection in self.readers.connections:
            connection.close()
        self.engine.close()
        self.writer.files.close()

    @property
    def has_lost_file(self) -> bool:
        """Then SQLite must not close its files: it would write the log into whatever
        has the database's name now, or into a database that has lost its log, and
        delete a log.
        """
        return isinstance(self.writer.failure, LostFile)

    def _rescue(
        self, connection: Any, loss: str, acked_rev: int, is_over: threading.Event
    ) -> None:
        rescue.end(
            self.writer.files,
            connection,
            loss=loss,
            acked_rev=acked_rev,
            is_over=is_over,
            tell=logger.critical,
        )

    def _end_run(self) -> None:
        """If the disk is full the mark stays, and the next start counts as unclean."""
        self.engine.execute_sql("PRAGMA query_only = 0")
        with contextlib.suppress(DatabaseError):
            epoch.end_run(self.engine.execute_sql)

    def write(self, run: Callable[..., Result], *args: Any) -> "asyncio.Future[Result]":
        """Queue `run(tx, *args)`: queued when this returns, durable when awaited."""
        return self.writer.submit(Write(run, _new_future(), args))

    def write_bulk(self, run: Callable[..., Any], item: Any) -> "asyncio.Future[Any]":
        """Queue one item of `run(tx, items) -> results or exceptions`."""
        write = Write(run, _new_future(), item=item, is_bulk=True, fills=True)
        return self.writer.submit(write)

    def write_chunk(
        self,
        run: Callable[..., Result],
        *args: Any,
        chunk_bytes: int = CHUNK_BYTES,
        fills: bool = True,
    ) -> "asyncio.Future[Result]":
        """The slow queue: hais go first. Await it: that is the back-pressure."""
        write = Write(run, _new_future(), args, chunk_bytes=chunk_bytes, fills=fills)
        return self.writer.submit(write)

    def run_maintenance(self, run: Maintenance) -> "asyncio.Future[Any]":
        """Run `run(connection, yield_to_writes)` between batches. (writer thread)"""
        return self.writer.submit(Write(run, _new_future(), maintenance=run))

    def read(self, run: Callable[..., Result], *args: Any) -> "asyncio.Future[Result]":
        """Run `run(*args)` in one read transaction on a reader thread.

        On behalf of this task's `asker`, in turn with others. Cancelling it interrupts
        the read. Raises Busy when too many reads of the asker are waiting, and when a
        long read was interrupted because it kept the write-ahead log growing.
        """
        return self.readers.read(run, args)

    def read_slow(
        self, run: Callable[..., Result], *args: Any
    ) -> "asyncio.Future[Result]":
        """The same for reads that take more than 5 ms or grow with the data: they never
        take the last thread from short reads, and fewer of them may wait."""
        return self.readers.read(run, args, is_slow=True)

    def read_now(self, run: Callable[..., Result], *args: Any) -> Result:
        """The same on the loop thread; only for reads measured below 200 us."""
        try:
            return run(*args)
        except DatabaseError as error:
            self._check_error(error)
            raise

    def _refuse_lost_files(self) -> None:
        """A connection made now would open another file. Raises Busy. (any thread)"""
        if loss := self.writer.files.find_loss():
            self.writer.fail(LostFile(loss))
            raise errors.Busy()

    def _check_error(self, error: BaseException) -> None:
        """Translate the error of a read. Damage stops Hai, because nothing else in the
        file can be trusted.

        Raises Busy for damage, for a lock, and for a read that was interrupted. (any
        thread)
        """
        if not isinstance(error, DatabaseError):
            return
        if faults.is_fatal(error):
            self.writer.fail(error)
            raise errors.Busy() from error
        is_interrupted = faults.code_of(error) == sqlite3.SQLITE_INTERRUPT
        if is_interrupted or faults.is_locked(error):
            raise errors.Busy() from error


def inspect(path: Path) -> None:
    """Look at a file before anything is changed in it.

    Raises Unusable when a new database must not be created, NewerSchema, or
    sqlite3.Error when it cannot be read or is damaged where we look.
    """
    _refuse_after_loss(path)
    if not path.exists() or not path.stat().st_size:
        _refuse_leftovers(path)
        return
    with contextlib.closing(
        sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True)
    ) as db:
        version = db.execute("PRAGMA user_version").fetchone()[0]
        tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        names = [row[0] for row in tables]
        if names and not version:
            raise Unusable(f"{path} is another program's database")
        if not names:  # perhaps made anew by a connection of the run that lost ours
            _refuse_after_rescue(path)
        if version > len(migrations.MIGRATIONS):
            raise migrations.NewerSchema(f"{path} {migrations.newer(version)}")
        for name in names:
            db.execute(f"SELECT 1 FROM {name} LIMIT 1").fetchone()


def _refuse_after_loss(path: Path) -> None:
    """A file was lost while an earlier Hai served, and the present one may be older."""
    note = path.with_name(rescue.NOTE_NAME)
    if note.exists():
        raise Unusable(note.read_text().strip())


def _refuse_leftovers(path: Path) -> None:
    """There was a database here: a new one would hide that it is gone."""
    _refuse_after_rescue(path)
    for leftover in (Path(f"{path}-wal"), Path(f"{path}.restoring")):
        if leftover.exists() and leftover.stat().st_size:
            raise Unusable(f"{path} is missing or empty, but {leftover} is there")
    reserve = path.with_name(RESERVE_NAME)
    if reserve.exists():  # made when the first database was whole
        raise Unusable(
            f"{path} is missing or empty, and was there before: restore a backup,"
            f" or remove {reserve} to begin anew"
        )


def _refuse_after_rescue(path: Path) -> None:
    if rescued := sorted(path.parent.glob(f"{rescue.PREFIX}*.db")):
        raise Unusable(
            f"{path} is missing or empty; what an earlier Hai has rescued:"
            f" run.py restore {rescued[-1]}"
        )


def execute(sql: str, params: Any = ()) -> Any:
    """Run SQL text on this thread's connection. For modules of storage/."""
    return models.proxy.execute_sql(sql, params)


def _new_future() -> "asyncio.Future[Any]":
    return asyncio.get_running_loop().create_future()


def server_row() -> tuple[int, str]:
    """(rev, epoch) as this thread's transaction sees them. (any thread)"""
    row: tuple[int, str] = execute("SELECT rev, epoch FROM server").fetchone()
    if row is None:
        raise errors.Busy("The database is not ready.")
    return row
