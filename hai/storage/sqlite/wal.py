"""The write-ahead log: written back into the database in time, and never long.

SQLite would write it back by itself within a COMMIT, and say nothing of a sync
that failed there; so its `wal_autocheckpoint` is off and the writer does it after
a commit, where an error is an error. When that is due is read from the log's index
(open_files.py): how many pages are in the log, which begins anew under another salt.

The log begins anew only when nobody reads in it. Readers of this process are
ended when they take too long; for those of another program there is `is_long`:
what fills the file is refused until they are gone. Promise: 64 MiB at most.
"""

import logging
import time
from collections.abc import Callable

from peewee import DatabaseError, SqliteDatabase

from hai.storage.sqlite import faults
from hai.storage.sqlite.open_files import OpenFiles
from hai.units import MIB

logger = logging.getLogger(__name__)

# 16 MiB, not SQLite's 4: the pages that every batch changes are written back a
# quarter as often (120 us of wall time a hai become 80).
DUE_PAGES = 4096
AGAIN_PAGES = 1024  # more, when a reader has kept the log from beginning anew

WAITED_FOR_BYTES = 24 * MIB  # beyond it we wait for readers, and batches are small
LONG_BYTES = 48 * MIB  # beyond it nothing is taken that makes the file grow
LIMIT_BYTES = 60 * MIB  # beyond it nothing at all; the rest is for what is under way
WAIT_MS = 500  # for readers that are in it; writers wait meanwhile
RETRY_S = 1.0
TOLD_AT = 3  # tries: a read of ours on a busy machine may outlast one or two


class WriteAheadLog:
    """The log of one open database. Writer thread only.

    interrupt_readers: makes this process's long reads end.
    files: set when they are open.
    """

    files: OpenFiles

    def __init__(
        self, engine: SqliteDatabase, interrupt_readers: Callable[[], None]
    ) -> None:
        self.engine = engine
        self.interrupt_readers = interrupt_readers
        self._salt = b""  # of the log that `_due_at` counts in
        self._due_at = DUE_PAGES
        self._tried_at = 0.0
        self._busy_count = 0  # tries in a row that readers kept from beginning anew
        self._is_told = False

    @property
    def byte_count(self) -> int:
        """Of the file, after the last commit."""
        return self.files.log_bytes

    @property
    def is_waited_for(self) -> bool:
        return self.byte_count > WAITED_FOR_BYTES

    @property
    def is_long(self) -> bool:
        return self.byte_count > LONG_BYTES

    @property
    def is_at_its_limit(self) -> bool:
        return self.byte_count > LIMIT_BYTES

    def tend(self) -> None:
        """After a commit: write back what is due.

        Raises DatabaseError when the file cannot be trusted any more.
        """
        if self._is_due():
            self._write_back("PASSIVE")
        if self.is_waited_for and time.monotonic() - self._tried_at > RETRY_S:
            self._shorten()
            self.files.measure_log()

    def _is_due(self) -> bool:
        salt, page_count = self.files.committed
        if salt != self._salt:
            self._salt, self._due_at = salt, DUE_PAGES
        return page_count >= self._due_at

    def _shorten(self) -> None:
        """Begin the log anew with an empty file, as soon as no reader is in it."""
        self._tried_at = time.monotonic()
        self.interrupt_readers()
        before = self.engine.execute_sql("PRAGMA busy_timeout").fetchone()[0]
        self.engine.execute_sql(f"PRAGMA busy_timeout = {WAIT_MS}")
        try:
            self._write_back("TRUNCATE")
        finally:
            self.engine.execute_sql(f"PRAGMA busy_timeout = {before}")

    def _write_back(self, how: str) -> None:
        try:
            row = self.engine.execute_sql(f"PRAGMA wal_checkpoint({how})").fetchone()
        except DatabaseError as error:
            if faults.is_fatal(error):
                raise
            self._due_at += AGAIN_PAGES
            self._tell(str(error))
            return
        is_busy, page_count, _ = row
        self._due_at = page_count + AGAIN_PAGES
        if how == "TRUNCATE":
            self._busy_count = self._busy_count + 1 if is_busy else 0
            if self._busy_count >= TOLD_AT:
                self._tell("another program is reading in the database")
            elif not is_busy:
                self._is_told = False

    def _tell(self, why: str) -> None:
        if not self._is_told:
            logger.warning("the write-ahead log stays long: %s", why)
        self._is_told = True
